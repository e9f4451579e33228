"""Scripts laid out evenly: one rule each."""

import pytest

from grammar import FlowSyntaxError, format_script, printer
from grammar.span import SourceText


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "\n"),
        ("1+2*3", "1 + 2 * 3\n"),
        ("let x=-1;let y= - x", "let x = -1; let y = -x\n"),
        ("! a&&!b", "!a && !b\n"),
        ("f ( a ,b )", "f(a, b)\n"),
        ("a [ 0 ]", "a[0]\n"),
        ("[1,2 ,[ 3 ]]", "[1, 2, [3]]\n"),
        ("[]", "[]\n"),
        ("#{ a:1,b : 2 }", "#{a: 1, b: 2}\n"),
        ("#{}", "#{}\n"),
        ("a . b ?. c ?[ 0 ]", "a.b?.c?[0]\n"),
        ("0 .. n", "0..n\n"),
        ("0 ..= n", "0..=n\n"),
        ("|x,y|x+y", "|x, y| x + y\n"),
        ("||1", "|| 1\n"),
        ("a|b", "a | b\n"),
        ("f(|x|x)", "f(|x| x)\n"),
        ("if a{1}else{2}", "if a { 1 } else { 2 }\n"),
        ("fn f(x){\nx\n}", "fn f(x) {\n    x\n}\n"),
        ("while(a){}", "while (a) {}\n"),
        ("f(\n1,\n[\n2\n]\n)", "f(\n    1,\n    [\n        2\n    ]\n)\n"),
        ("1;\n\n\n\n2", "1;\n\n2\n"),
        ("1; // note\n2", "1; // note\n2\n"),
        ("1;   //note\r\n2", "1; //note\n2\n"),
        ("/* a /* b */ c */ 1", "/* a /* b */ c */ 1\n"),
        ("/* a // b */ 1", "/* a // b */ 1\n"),
        ("-/* c */x", "- /* c */ x\n"),
        ("{\n// only\n}", "{\n    // only\n}\n"),
        ("`a  ${ 1+1 }  b`", "`a  ${ 1+1 }  b`\n"),
        ("`a ${ `b ${c}` }`+1", "`a ${ `b ${c}` }` + 1\n"),
        ('format!("{}",1)', 'format!("{}", 1)\n'),
        ("switch x{1|2=>a,_=>b}", "switch x { 1 | 2 => a, _ => b }\n"),
        ("let s='a b'", "let s = 'a b'\n"),
        ("x contains y", "x contains y\n"),
        ("a !in b", "a !in b\n"),
        ("return [1]", "return [1]\n"),
        ("1 // last", "1 // last\n"),
    ],
)
def test_layout(before: str, after: str) -> None:
    assert format_script(before) == after
    assert format_script(after) == after


def test_what_does_not_parse_is_refused_with_its_place() -> None:
    with pytest.raises(FlowSyntaxError) as caught:
        format_script("let = 1", name="a.rhai")
    assert "a.rhai:1:5" in caught.value.render()


def test_a_text_whose_layout_would_change_its_tokens_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def differs(place: SourceText) -> list[tuple[str, object]]:
        return [(place.text, None)]

    monkeypatch.setattr(printer, "_signature", differs)
    assert format_script("1+1") == "1+1"
