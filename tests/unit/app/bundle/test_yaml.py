"""YAML without its traps: every refusal has a place, and nothing in a file can recurse."""

from typing import Any

import pytest

from app.bundle.yaml import DEPTH_MAX, FILE_BYTES_MAX, PROBLEMS_MAX, VALUES_MAX, read_yaml


def data_of(text: str) -> Any:
    document = read_yaml(text, "flow.ygtc")
    assert document.problems == ()
    return document.data


def only_problem(text: str) -> Any:
    problems = read_yaml(text, "flow.ygtc").problems
    assert len(problems) == 1, problems
    return problems[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("NO", "NO"),
        ("yes", "yes"),
        ("12:30:45", "12:30:45"),
        ("2026-01-31", "2026-01-31"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("+5", 5),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("9007199254740993", 9007199254740993),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("null", None),
        ("-", None),
        ("=", "="),
        ("'7'", "7"),
        ('"true"', "true"),
    ],
)
def test_plain_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    found = data_of(f"a: {text}\n") if text != "-" else data_of("a:\n")
    assert found == {"a": value}
    assert type(found["a"]) is type(value)


def test_keys_are_text_as_written() -> None:
    assert data_of("on: 1\n1: 2\nnull: 3\n1.10: 4\n") == {"on": 1, "1": 2, "null": 3, "1.10": 4}


def test_a_version_directive_changes_nothing() -> None:
    assert data_of("%YAML 1.1\n---\na: on\n") == {"a": "on"}


def test_an_empty_file_is_null() -> None:
    assert data_of("") is None
    assert data_of("# nothing\n") is None


def test_nested_lists_and_maps_come_out_plain() -> None:
    assert data_of("a:\n  - {b: [1, 2]}\n  - c: |\n      x\n      y\n") == {
        "a": [{"b": [1, 2]}, {"c": "x\ny\n"}]
    }


@pytest.mark.parametrize(
    ("text", "place", "code", "hint"),
    [
        ("a: * * * * *", (1, 4), "yaml.syntax", 'quote it: "* * * * *"'),
        ("cron: * * * * * # daily", (1, 7), "yaml.syntax", 'quote it: "* * * * *"'),
        ("a: */5 * * * *", (1, 4), "yaml.alias", '"*/5 * * * *"'),
        ("a: 1\nb: *x", (2, 4), "yaml.alias", "write the value out"),
        ("a: &x 1", (1, 4), "yaml.anchor", None),
        ("a: !py 1", (1, 4), "yaml.tag", "quote the value"),
        ("a: !!str 1", (1, 4), "yaml.tag", "quote the value"),
        ("<<: {a: 1}", (1, 1), "yaml.merge", None),
        ("a: 1\nb: 2\na: 3", (3, 1), "yaml.duplicate_key", "remove one"),
        ("x: {a: 1, a: 2}", (1, 11), "yaml.duplicate_key", "remove one"),
        ("--- 1\n--- 2", (2, 1), "yaml.documents", None),
        ("a: {{payload.x}}", (1, 5), "yaml.key", "quote a template"),
        ("{{a}}: 1", (1, 1), "yaml.key", "quote a template"),
        ("? [a]\n: 1", (1, 3), "yaml.key", None),
        ("a: {{x}} and more: 1", (1, 5), "yaml.key", "quote a template"),
        ("a: .inf", (1, 4), "yaml.number", "quote it"),
        ("a: .NaN", (1, 4), "yaml.number", "quote it"),
        ("a: 9223372036854775808", (1, 4), "yaml.number", "quote it"),
        ("a: 1e999", (1, 4), "yaml.number", "quote it"),
        ("a:\n\t- 1", (2, 1), "yaml.syntax", "indent with spaces"),
        ("a: @x", (1, 4), "yaml.syntax", 'quote it: "@x"'),
        ("a: `x`", (1, 4), "yaml.syntax", 'quote it: "`x`"'),
        ("a: %x", (1, 4), "yaml.syntax", 'quote it: "%x"'),
        ("a: b: c", (1, 5), "yaml.syntax", "quote the value"),
        ("a: 'x", (1, 4), "yaml.syntax", None),
        ("a: [1,\n", (2, 1), "yaml.syntax", None),
        ("a: 1\nb", (2, 2), "yaml.syntax", None),
        ("- a\nb: 1", (2, 1), "yaml.syntax", "same column"),
        ("a: x\nb: \x01", (2, 4), "yaml.syntax", None),
    ],
)
def test_a_refusal_has_a_place_and_a_way_out(
    text: str, place: tuple[int, int], code: str, hint: str | None
) -> None:
    problem = only_problem(text)
    assert ((problem.line, problem.column), problem.code) == (place, code)
    assert problem.severity == "error"
    if hint is None:
        assert problem.hint is None
    else:
        assert hint in problem.hint


def test_all_problems_are_reported_at_once() -> None:
    problems = read_yaml("a: &x 1\nb: *x\nb: !t 2\nc: .nan\n", "f").problems
    assert [problem.code for problem in problems] == [
        "yaml.anchor",
        "yaml.alias",
        "yaml.duplicate_key",
        "yaml.tag",
        "yaml.number",
    ]


def test_a_problem_shows_its_line_with_a_caret() -> None:
    problem = only_problem("name: x\ncron: * * * * *\n")
    assert problem.excerpt == "cron: * * * * *\n      ^"
    assert problem.place == "flow.ygtc:2:7"


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_depth_is_refused_where_it_begins(opening: str) -> None:
    problem = only_problem(opening * 20_000)
    assert problem.code == "yaml.depth"
    assert problem.column == DEPTH_MAX * len(opening) + 1


def test_the_deepest_allowed_nesting_is_read() -> None:
    value = data_of("[" * DEPTH_MAX + "]" * DEPTH_MAX)
    for _ in range(DEPTH_MAX - 1):
        (value,) = value
    assert value == []


def test_large_files_are_refused_unparsed() -> None:
    assert only_problem("# " + "x" * FILE_BYTES_MAX).code == "yaml.too_large"
    assert only_problem("# " + "é" * (FILE_BYTES_MAX // 2)).code == "yaml.too_large"


def test_too_many_values_are_refused() -> None:
    assert only_problem("[" + "1," * VALUES_MAX + "1]").code == "yaml.too_large"


def test_problems_are_bounded() -> None:
    problems = read_yaml("a: &x 1\n" + "b: 1\n" * 1000, "f").problems
    assert len(problems) == PROBLEMS_MAX


def test_problems_up_to_the_bound_survive_a_syntax_error_after_them() -> None:
    text = "b: 1\n" * PROBLEMS_MAX + "c: 'x"
    codes = [problem.code for problem in read_yaml(text, "f").problems]
    assert codes == ["yaml.duplicate_key"] * (PROBLEMS_MAX - 1) + ["yaml.syntax"]


def test_one_mistake_is_one_problem() -> None:
    """An alias that also breaks the structure behind it is told once."""
    assert only_problem("a: *b c\n").code == "yaml.alias"
