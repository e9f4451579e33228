"""The page of the language tells of everything there is, and the truth about errors."""

import re

import pytest

from app.cli.docs_language import ERROR_KINDS, function_rows, language_page
from grammar import GrammarError, Limits, compile_script
from grammar.dialect import Dialect
from grammar.errors import LIMIT_KINDS, MISMATCH_KINDS
from grammar.library.catalog import library_table
from grammar.parser.tokens import CALLABLES

FAILING = {
    "parse": 'parse_json("{")',
    "format": 'format!("{")',
    "variable_not_found": "nothing",
    "function_not_found": "1 + #{}",
    "type_mismatch": "if 1 { 2 }",
    "dot_expr": "let m = #{}; m.a.b",
    "indexing_type": "1.5[0]",
    "array_bounds": "[1][3]",
    "string_bounds": '"a"[3]',
    "arithmetic": "1 / 0",
    "for_not_iterable": "let m = #{}; for x in m { }",
    "assign_to_constant": "const M = #{}; M.a = 1",
    "mutate_constant": "const A = [1]; A.push(2)",
    "unbound_this": "this.x",
    "thrown": "throw 1",
    "not_serialisable": "|x| x",
    "limit_operations": "loop { }",
    "limit_call_levels": "f(1)",
    "limit_data_size": 'let s = "x"; loop { s += s; }',
    "limit_depth": "let a = []; loop { a = [a]; }",
    "limit_output": 'let s = "x"; s.pad(2000, "x"); loop { print(s); }',
    "limit_time": "loop { }",
    "limit_variables": "let a = 1; let b = 2; let c = 3; let d = 4;",
}


def test_every_function_is_on_the_page_and_says_what_it_means() -> None:
    entries = library_table(Dialect.SCRIPT).entries
    rows = function_rows(entries)
    page = language_page()
    for signature, meaning in rows:
        assert meaning, signature
        assert f"| {signature.replace('|', chr(92) + '|')} | " in page
    named = {re.split(r"\W", row[0].strip("`").removeprefix("state."))[0] for row in rows}
    assert named == {entry.name for entry in entries}


def test_every_word_the_parser_calls_is_on_the_page() -> None:
    absent = {"eval", "is_shared"}  # reserved, and never callable
    page = language_page()
    assert [word for word in sorted(CALLABLES - absent) if f"{word}(" not in page] == []


def test_every_limit_and_kind_is_on_the_page() -> None:
    page = language_page()
    assert "| `operations` | 100,000 | " in page
    assert "| `string_bytes` | 262,144 | " in page
    kinds = [kind for kind, _, _ in ERROR_KINDS]
    assert len(kinds) == len(set(kinds))
    assert set(kinds) >= LIMIT_KINDS | MISMATCH_KINDS
    assert set(kinds) == set(FAILING)


def limits_for(kind: str) -> Limits:
    return Limits(
        wall_ms=0.0 if kind == "limit_time" else None,
        operations=None if kind == "limit_time" else 100_000,
        variables=3 if kind == "limit_variables" else 256,
    )


def ending(source: str, kind: str) -> str:
    try:
        value = compile_script(f"fn f(x) {{ f(x) }}\n{source}", limits=limits_for(kind)).run({})
    except GrammarError as error:
        return error.kind
    return f"the value {value}"


@pytest.mark.parametrize(("kind", "caught", "_meaning"), ERROR_KINDS)
def test_each_kind_is_raised_and_caught_as_the_page_says(
    kind: str, caught: str, _meaning: str
) -> None:
    assert ending(FAILING[kind], kind) == kind
    inside = f'try {{ {FAILING[kind]} }} catch (e) {{ "caught" }}'
    assert (ending(inside, kind) == "the value caught") is (caught == "yes" or kind == "parse")
