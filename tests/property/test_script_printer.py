"""Formatting changes layout only: the tree, the comments and the second printing stay the same."""

# ruff: noqa: SIM905 - a list of words would be unreadable
from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grammar import FlowSyntaxError
from grammar.dialect import Dialect
from grammar.parser.script import parse_script
from grammar.printer import format_script
from grammar.span import SourceText, Span

WORDS = st.sampled_from(
    "let x = a b 1 -2 2.5 + - * ** ! && || | .. ..= ( ) [ ] { } #{ k: , ; . ?. ?? == in contains "
    "if else while for fn f |a| => switch 'c' 'cd' \"s\" `t${1+2}` return throw try catch this // /* */"
    .split()
)  # fmt: skip
GAPS = st.sampled_from([" ", "  ", "\n", "\n\n\n", "\t", " // note\n", " /* a /* b */ */ "])


def shape(node: Any) -> Any:
    """The tree without places."""
    if isinstance(node, Span):
        return None
    if isinstance(node, tuple):
        return tuple(map(shape, node))
    if dataclasses.is_dataclass(node):
        fields = dataclasses.fields(node)
        return (type(node).__name__, *(shape(getattr(node, item.name)) for item in fields))
    return (type(node).__name__, repr(node))


def tree(text: str) -> Any:
    return shape(parse_script(SourceText("t", text), Dialect.SCRIPT))


def parses(text: str) -> bool:
    try:
        tree(text)
    except FlowSyntaxError:
        return False
    return True


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(WORDS, GAPS), max_size=12))
def test_printing_and_parsing_is_the_identity(parts: list[tuple[str, str]]) -> None:
    text = "".join(word + gap for word, gap in parts)
    if not parses(text):
        return
    printed = format_script(text)
    assert tree(printed) == tree(text)
    assert format_script(printed) == printed


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("let  x=1+2 ;x", "let x = 1 + 2; x\n"),
        ("if x{\ny\n}else{z}", "if x {\n    y\n} else { z }\n"),
        ("f( 1 ,2 ).g [ 0 ]", "f(1, 2).g[0]\n"),
        ("#{ a : 1,b:[ 2 ] }", "#{a: 1, b: [2]}\n"),
        ("a.map( | x , i | x*i )", "a.map(|x, i| x * i)\n"),
        ("- x; - 5; !y; 5 - - 5", "-x; - 5; !y; 5 - - 5\n"),
        ("for i in 0 .. 5 {} // done", "for i in 0..5 {} // done\n"),
        ("// top\n\n\n\nx", "// top\n\nx\n"),
        ("`a  ${ x }\n  b`+1", "`a  ${ x }\n  b` + 1\n"),
        ("fn f( a ){ return a ; }\n\n", "fn f(a) { return a; }\n"),
        ("m?.a?[ 1 ]??2", "m?.a?[1] ?? 2\n"),
        ('x contains"k"', 'x contains "k"\n'),
        ("", "\n"),
    ],
)
def test_layout(text: str, printed: str) -> None:
    assert format_script(text) == printed


def test_what_does_not_parse_is_refused() -> None:
    with pytest.raises(FlowSyntaxError):
        format_script("let x = ;")
