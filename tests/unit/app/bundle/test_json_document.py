"""JSON with positions, as strict as JSON."""

import pytest

from app.bundle.json_document import read_json


def test_values_have_places() -> None:
    document = read_json('{\n\t"a": {"b": 1.50, "c": "\\ud83d\\ude00"}\n}', "answers.json")
    assert document.problems == ()
    assert document.data == {"a": {"b": 1.5, "c": "😀"}}
    assert document.position_of(("a", "b")) == (2, 13)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", (1, 1)),
        ("{", (1, 2)),
        ('{"a": 1,}', (1, 9)),
        ('{\n  "a": x\n}', (2, 8)),
        ("{'a': 1}", (1, 2)),
        ('{"é": x}', (1, 7)),
        ("[1] [2]", (1, 6)),
    ],
)
def test_what_json_refuses_is_refused_with_its_place(text: str, place: tuple[int, int]) -> None:
    (problem,) = read_json(text, "answers.json").problems
    assert problem.code == "json.syntax"
    assert (problem.line, problem.column) == place


def test_duplicate_keys_are_refused() -> None:
    (problem,) = read_json('{"a": 1,\n "a": 2}', "answers.json").problems
    assert (problem.code, problem.line, problem.column) == ("yaml.duplicate_key", 2, 2)


def test_deep_nesting_is_a_problem_and_no_crash() -> None:
    for depth in (100, 100_000):
        problems = read_json("[" * depth + "]" * depth, "answers.json").problems
        assert len(problems) == 1
