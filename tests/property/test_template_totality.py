"""Any text fails with a named error or renders; any data renders, or fails with a named error."""

import copy
import functools
import json
from collections.abc import Callable
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from grammar import Budget, GrammarError, Limits, Template, compile_template
from grammar.values import Char
from tests.support.scopes import Drawer, nested

LIMITS = Limits(wall_ms=None, operations=20_000, output_bytes=5_000)
NAMES: tuple[str, ...] = (
    "a",
    "b",
    "c",
    "now",
    "x.y",
    "a.b",
    "this",
    ".",
    "../a",
    "../../b",
    "@root",
    "@root.c",
    "@index",
)
NAMES += (
    "@key",
    "@../index",
    "@first",
    "@last",
    "a.[0]",
    "b.length",
    "[a]",
    "item",
    "item.a",
    "eq",
    "json",
)
LITERALS: tuple[str, ...] = (
    "1",
    "-2",
    "0.5",
    "true",
    "false",
    "null",
    "undefined",
    "'t'",
    '"q"',
    "'%j %z %Z'",
    "'Asia/Tokyo'",
)
LITERALS += ("'2026-03-01'", "8", "20", "'EUR'", "'length'", "''")
HELPERS = (
    ("uppercase", 1), ("lowercase", 1), ("capitalize", 1), ("truncate", 2), ("truncate", 3),
    ("formatNumber", 1), ("formatNumber", 2), ("currency", 1), ("currency", 2), ("percent", 2),
    ("formatDate", 1), ("formatDate", 2), ("formatDate", 3), ("relativeTime", 1), ("now", 0),
    ("now", 1), ("now", 2), ("json", 1), ("json", 2), ("default", 3), ("lookup", 2), ("log", 2),
    ("eq", 2), ("ne", 2), ("lt", 2), ("lte", 2), ("gt", 2), ("gte", 2), ("and", 2), ("or", 3),
    ("not", 1), ("nope", 1), ("truncate", 1),
)  # fmt: skip
OPTIONS = ("", "", "", " suffix=a", " indent=b", " level=a", " timezone=c", " decimals=1", " x=1")
PARTIALS = {"p": "[{{a}}{{item}}]\n", "q": "{{#each a}}{{> p}}{{@index}}{{/each}}", "r": "{{> r}}"}
SOUP = (
    "{{", "}}", "{{{", "}}}", "{{{{", "{{~", "~}}", "{{#", "{{/", "{{^", "{{^}}", "{{else}}", "{{>",
    "{{!", "{{!--", "--}}", "{{&", "\\", "\\\\", "if", "each", "with", "else", "as |i k|", "|", "(",
    ")", "=", "a", "b", "p", ".", "..", "/", "[", "]", "@", "'", '"', "1", "-", " ", "\n", "\r\n",
    "\t", "this", "{{#if a}}", "{{/if}}", "{{#each a}}", "{{/each}}", "{{> p}}", "{{a}}", "\0",
    "\ud800", "😀", "é", "null", "true", "lookup", "json", "%", "$", ",", "`", "{", "}",
)  # fmt: skip

texts = st.text(st.characters(codec=None, exclude_categories=[]), max_size=12)
NUMBERS = (10**400, -(10**4_290), 2**63, 0, 1_772_362_805, 1_772_362_805_000)
numbers = st.one_of(
    st.integers(),
    st.integers(0, len(NUMBERS) - 1).map(NUMBERS.__getitem__),
    st.floats(),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    texts,
    st.sampled_from(
        ["EUR", "%j", "Europe/Berlin", "9999-12-31T23:59-12:00", "0001-01-01", "<&>", "12.5"]
    ),
    st.builds(Char, st.characters()),
)
keys = st.one_of(st.sampled_from(["a", "b", "c", "x", "y", "length", "0"]), texts)
odd_keys = st.one_of(
    keys, st.integers(), st.none(), st.booleans(), st.floats(), st.tuples(st.integers())
)
# Drawn by number: hypothesis writes out what it samples from, again and again.
LARGE = (nested(64), nested(65), nested(200), nested(5, width=5), "x" * 70_000, "\n" * 3_000)
odd_values = st.one_of(
    st.builds(Drawer),
    st.builds(object),
    st.binary(max_size=3),
    st.integers(0, len(LARGE) - 1).map(LARGE.__getitem__),
)
values = st.recursive(
    st.one_of(scalars, scalars, scalars, odd_values),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(keys, inner, max_size=4),
        st.dictionaries(odd_keys, inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
    ),
    max_leaves=12,
)
scopes = st.fixed_dictionaries(
    {"a": values, "b": values}, optional={"c": values, "now": values, "x": values}
)


def call(name_and_count: tuple[str, int], words: list[str], option: str) -> str:
    name, count = name_and_count
    return " ".join([name, *words[:count]]) + option


expressions = st.recursive(
    st.sampled_from(NAMES + LITERALS),
    lambda inner: st.builds(
        lambda head, words, option: f"({call(head, words, option)})",
        st.sampled_from(HELPERS),
        st.lists(inner, min_size=3, max_size=3),
        st.sampled_from(OPTIONS),
    ),
    max_leaves=6,
)
tags = st.one_of(
    st.sampled_from(NAMES + LITERALS).map("{{%s}}".__mod__),
    st.sampled_from(NAMES).map("{{~{%s}~}}".__mod__),
    st.builds(
        lambda head, words, option: f"{{{{{call(head, words, option)}}}}}",
        st.sampled_from(HELPERS),
        st.lists(expressions, min_size=3, max_size=3),
        st.sampled_from(OPTIONS),
    ),
    expressions.map("{{> p %s}}".__mod__),
    expressions.map("\n  {{> q %s a=b}}\n".__mod__),
    st.sampled_from(
        ["{{> (lookup . 'c')}}", "{{> r}}", "{{! c }}", "\n {{!-- d --}} \n", "{{{json .}}}"]
    ),
    st.sampled_from([" ", "\n", "text", "\\{{a}}", "\\\\{{a}}", "<b>"]),
)
BLOCKS = (
    "{{#if $}}%{{/if}}", "{{#if $}}%{{else}}%{{/if}}", "{{#if $ includeZero=true}}%{{else if $}}%{{/if}}",
    "{{#unless $}}%{{/unless}}", "{{#each $}}%{{else}}%{{/each}}", "{{#each $ as |item key|}}%{{/each}}",
    "\n{{#each $}}\n%\n{{/each}}\n", "{{#with $}}%{{else}}%{{/with}}", "{{#with $ as |item|}}%{{/with}}",
    "{{#a}}%{{/a}}", "{{#$}}%{{/$}}", "{{^$}}%{{/$}}", "{{^b}}%{{/b}}", "{{#eq a $}}%{{/eq}}", "{{~#if $~}}%{{~else~}}%{{~/if~}}",
)  # fmt: skip


def block(form: str, expression: str, bodies: list[str]) -> str:
    first, second = bodies
    return form.replace("$", expression).replace("%", first, 1).replace("%", second, 1)


templates = st.recursive(
    tags,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map("".join),
        st.builds(
            block, st.sampled_from(BLOCKS), expressions, st.lists(inner, min_size=2, max_size=2)
        ),
    ),
    max_leaves=10,
)
soups = st.one_of(
    texts, st.lists(st.one_of(st.sampled_from(SOUP), texts), max_size=24).map("".join)
)
escapes = st.sampled_from(["none", "html"])


def attempt(run: Callable[[], Any]) -> tuple[Any, GrammarError | None]:
    """Give the result, or the named error; any other exception fails the test."""
    try:
        return run(), None
    except GrammarError as error:
        return None, error


def compiled(text: str, escape: Any = "none") -> Template | None:
    template, error = attempt(
        lambda: compile_template(text, partials=PARTIALS, escape=escape, limits=LIMITS)
    )
    if error is not None:
        assert error.span is not None
        assert error.message in error.render()
        return None
    assert type(template) is Template
    return template


def check(template: Template, scope: dict[str, Any]) -> None:
    before = repr(scope)
    text, error = attempt(lambda: template.render(scope, Budget(LIMITS)))
    if error is None:
        assert type(text) is str
        assert len(text.encode("utf-8", "surrogatepass")) <= 5_000
    else:
        assert error.message in error.render()
    _, error = attempt(lambda: template.evaluate(scope, Budget(LIMITS)))
    assert error is None or error.message in error.render()
    assert repr(scope) == before


SCOPE: dict[str, Any] = {"a": [1, "x"], "b": {"length": 2}, "now": 5, "c": "p"}


@settings(max_examples=300, deadline=None)
@given(soups, escapes)
@example("{{not " + "9" * 5_000 + "}}", "none")
@example("{{" + ".".join("a" * 9_000) + "}}", "none")
@example("\\" * 30_000 + "{{a}}", "none")
def test_any_text_fails_with_a_named_error_or_renders(text: str, escape: str) -> None:
    template = compiled(text, escape)
    if template is not None:
        check(template, SCOPE)


@settings(max_examples=300, deadline=None)
@given(templates, scopes, escapes)
def test_any_data_renders_or_fails_with_a_named_error(
    text: str, scope: dict[str, Any], escape: str
) -> None:
    template = compiled(text, escape)
    if template is not None:
        check(template, scope)


@settings(max_examples=300, deadline=None)
@given(texts)
def test_text_without_tags_stays_as_it_is(text: str) -> None:
    if "{{" not in text:
        assert compile_template(text).render({}) == text


ENTITIES = (
    ("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#x27;", "'"), ("&#x60;", "`"),
    ("&#x3D;", "="), ("&amp;", "&"),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.one_of(texts, st.text("<>&;\"'`=#x3Dlta", max_size=30)))
def test_escaped_text_reads_back_and_has_no_mark_up(text: str) -> None:
    shown = compile_template("{{v}}", escape="html").render({"v": text})
    assert not set(shown) & set("<>\"'`=")
    shown = functools.reduce(lambda kept, pair: kept.replace(*pair), ENTITIES, shown)
    assert shown == text


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        texts,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(json_values)
def test_a_single_tag_gives_an_equal_value_that_shares_nothing(value: Any) -> None:
    scope = {"v": value}
    kept = copy.deepcopy(value)
    given_value = compile_template("{{v}}", limits=LIMITS).evaluate(scope)
    assert given_value == kept
    assert type(given_value) is type(kept)
    spoil(given_value)
    assert scope == {"v": kept}


def spoil(value: Any) -> None:
    """Change every array and map of a value."""
    if isinstance(value, list):
        for item in value:
            spoil(item)
        value.append("spoilt")
    elif isinstance(value, dict):
        for item in value.values():
            spoil(item)
        value["spoilt"] = True


@settings(max_examples=100, deadline=None)
@given(json_values)
def test_json_text_reads_back(value: Any) -> None:
    template = compile_template("{{json v}}", limits=LIMITS)
    text, error = attempt(lambda: template.render({"v": value}))
    if error is None:
        assert json.loads(text) == value
    else:
        assert error.kind == "limit_output"
