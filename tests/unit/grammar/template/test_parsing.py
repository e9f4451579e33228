"""What does not parse: the message, the place and the hint."""

import pytest

from grammar import FlowSyntaxError, Limits, compile_template


@pytest.mark.parametrize(
    ("template", "message", "column", "hint"),
    [
        ("{{a", "The text ends inside a tag or block", 3, "close it with `}}` or `{{/name}}`"),
        (
            "{{#if a}}x",
            "The text ends inside a tag or block",
            11,
            "close it with `}}` or `{{/name}}`",
        ),
        ("{{", "The text ends inside a tag or block", 3, "close it with `}}` or `{{/name}}`"),
        ("x{{else}}", "`{{else}}` has no open block here", 2, None),
        ("{{^}}", "Unexpected end of the tag", 4, None),
        ("{{&else}}", "`{{else}}` has no open block here", 1, None),
        ("{{/if}}", "a closing tag has no open block here", 1, None),
        ("{{else if a}}", "`{{else}}` has no open block here", 1, None),
        ("{{#if a}}{{else}}{{else}}{{/if}}", "`{{else}}` has no open block here", 18, None),
        ("{{#if a}}{{/unless}}", "`{{/unless}}` closes `{{#if}}`", 13, "write `{{/if}}`"),
        ("{{^a}}{{/b}}", "`{{/b}}` closes `{{#a}}`", 10, "write `{{/a}}`"),
        ("{{#(if a)}}b{{/if}}", "A block cannot be named by a call", 5, None),
        ("{{}}", "Unexpected end of the tag", 3, None),
        ("{{{a}}", "Unexpected end of the tag", 5, None),
        ("{{a %}}", "Unexpected `%`", 5, None),
        ("{{a b=}}", "Unexpected end of the tag", 7, None),
        ("{{a b=1 c}}", "Unexpected end of the tag", 10, None),
        (
            "{{#> x}}{{/x}}",
            "Partial blocks, decorators and raw blocks are not supported",
            1,
            "write",
        ),
        ("{{#*inline 'x'}}{{/inline}}", "Partial blocks, decorators and raw", 1, "write"),
        ("{{* x}}", "Partial blocks, decorators and raw", 1, "write"),
        ("{{{{raw}}}}", "Partial blocks, decorators and raw", 1, "write"),
        ("a {{! b", "The comment does not end", 3, "close it with `}}`, or `--}}`"),
        ("a {{!-- b }}", "The comment does not end", 3, "close it with `}}`, or `--}}`"),
        ("{{a/../b}}", "Invalid path `a/../b`", 3, "write `[..]` for a key"),
        ("{{a.this}}", "Invalid path `a.this`", 3, "write `[this]` for a key"),
        ("{{f 'a}}", "Unexpected `'`", 5, None),
        ("{{a (b}}", "Unexpected end of the tag", 7, None),
        ("{{a b)}}", "Unexpected `)`", 6, None),
        ("{{#each a as |x}}{{/each}}", "Unexpected end of the tag", 16, None),
        ("{{#each a as ||}}{{/each}}", "Unexpected `|`", 15, None),
    ],
)
def test_the_first_fault_has_words_and_a_place(
    template: str, message: str, column: int, hint: str | None
) -> None:
    with pytest.raises(FlowSyntaxError) as caught:
        compile_template(template, name="mail")
    fault = caught.value
    assert fault.kind == "parse"
    assert message in fault.message
    assert fault.span is not None
    assert fault.span.column == column
    assert (fault.hint or "").startswith(hint or "")
    assert (fault.hint is None) is (hint is None)
    assert f"--> mail:1:{column}" in fault.render()


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{#if a}}" * 49 + "{{/if}}" * 49, "Nested too deeply: the limit is 48"),
        ("{{#if a}}" + "{{else if a}}" * 48 + "{{/if}}", "Nested too deeply: the limit is 48"),
        ("{{not " + "(not " * 48 + "a" + ")" * 48 + "}}", "Nested too deeply: the limit is 48"),
        ("{{" + ".".join("a" * 65) + "}}", "Path too long: the limit is 64 keys"),
        ("{{" + "../" * 64 + "a}}", "Path too long: the limit is 64 keys"),
        ("{{not " + "9" * 65 + "}}", "Number too long: the limit is 64"),
        ("{{x}}" * 4_001, "Too many tags: the limit is 4000"),
    ],
)
def test_size_and_nesting_have_limits(template: str, message: str) -> None:
    with pytest.raises(FlowSyntaxError, match=message) as caught:
        compile_template(template)
    assert caught.value.source is not None


def test_sources_have_a_limit_in_bytes() -> None:
    assert compile_template("é" * 5, limits=Limits(source_bytes=10)).render({}) == "é" * 5
    with pytest.raises(FlowSyntaxError, match="too long: the limit is 10 bytes"):
        compile_template("é" * 6, limits=Limits(source_bytes=10))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{default x 'it''}}", None),
        ("{{default x 'a\\'b'}}{{default x \"q\\\"r\"}}{{default x 'a\\b'}}", "a'bq\"ra\\b"),
        ("{{default x 1.5}}{{default x -2}}{{default x -0.5}}", "1.5-2-0.5"),
        (
            "{{default x true}}{{default x false}}{{default x null}}{{default x undefined}}",
            "truefalse",
        ),
        ("{{[a\\]b]}}{{[c\\\\d]}}", "12"),
        ("{{trueish}}{{nullable}}{{1st}}", "345"),
        ("{{else_}}{{äöü}}{{a-b}}{{日本}}", "6789"),
    ],
)
def test_literals_and_keys(template: str, expected: str | None) -> None:
    scope = {
        "a]b": 1, "c\\d": 2, "trueish": 3, "nullable": 4, "1st": 5, "else_": 6, "äöü": 7,
        "a-b": 8, "日本": 9,
    }  # fmt: skip
    if expected is None:
        with pytest.raises(FlowSyntaxError):
            compile_template(template)
    else:
        assert compile_template(template).render(scope) == expected
