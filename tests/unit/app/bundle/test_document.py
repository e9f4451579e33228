"""Positions: for keys and values, for what is missing, for lines inside a text."""

import pytest

from app.bundle.document import Document, excerpt_of
from app.bundle.yaml import read_yaml

TEXT = """\
name: x
nodes:
  - id: one
    config:
      script: |
        let x = 1;

        boom(
  - {id: two, text: 'abc'}
  - more: >
      folded
      text
version: 1.10
"""


@pytest.fixture
def document() -> Document:
    return read_yaml(TEXT, "flow.ygtc")


@pytest.mark.parametrize(
    ("path", "auto", "key", "value"),
    [
        (("name",), (1, 7), (1, 1), (1, 7)),
        (("nodes",), (2, 1), (2, 1), (3, 3)),
        (("nodes", 0), (3, 5), (3, 5), (3, 5)),
        (("nodes", 0, "config"), (4, 5), (4, 5), (5, 7)),
        (("nodes", 0, "config", "script"), (5, 15), (5, 7), (5, 15)),
        (("nodes", 1, "id"), (9, 10), (9, 6), (9, 10)),
        ((), (1, 1), (1, 1), (1, 1)),
    ],
)
def test_keys_and_values_have_places(
    document: Document,
    path: tuple[str | int, ...],
    auto: tuple[int, int],
    key: tuple[int, int],
    value: tuple[int, int],
) -> None:
    assert document.position_of(path) == auto
    assert document.position_of(path, of="key") == key
    assert document.position_of(path, of="value") == value


def test_what_is_missing_is_where_it_should_be(document: Document) -> None:
    assert document.position_of(("nodes", 0, "config", "timeout", 3)) == (4, 5)
    assert document.position_of(("nodes", 7)) == (2, 1)
    assert document.position_of(("nothing",)) == (1, 1)
    assert Document("f", "").position_of(("a",)) == (1, 1)


def test_a_place_inside_a_block_is_a_place_in_the_file(document: Document) -> None:
    path = ("nodes", 0, "config", "script")
    assert document.position_within(path, 1, 5) == (6, 13)
    assert document.position_within(path, 3, 1) == (8, 9)


def test_a_place_inside_a_one_line_text_counts_its_quote(document: Document) -> None:
    assert document.position_within(("nodes", 1, "text"), 1, 2) == (9, 23)
    assert document.position_within(("name",), 1, 1) == (1, 7)


def test_a_folded_text_points_at_its_start(document: Document) -> None:
    assert document.position_within(("nodes", 2, "more"), 1, 4) == (10, 11)
    assert document.position_within(("absent",), 2, 2) == (1, 1)


def test_an_empty_block_has_no_indent() -> None:
    document = read_yaml("a: |\n", "f")
    assert document.position_within(("a",), 1, 1) == (2, 1)


def test_the_text_of_a_number_is_kept(document: Document) -> None:
    assert document.data["version"] == 1.1
    assert document.raw_of(("version",)) == "1.10"
    assert document.raw_of(("nodes",)) is None
    assert document.raw_of(("absent",)) is None


def test_a_problem_of_a_path_knows_its_place(document: Document) -> None:
    problem = document.problem(("version",), "x.y", "no", hint="do", severity="warning", of="key")
    assert (problem.place, problem.severity, problem.hint) == ("flow.ygtc:13:1", "warning", "do")
    assert problem.excerpt == "version: 1.10\n^"
    assert problem.path == ("version",)


def test_excerpts_of_long_lines_are_cut_around_the_caret() -> None:
    excerpt = excerpt_of("x" * 1000, 1, 500)
    assert excerpt is not None
    line, caret = excerpt.split("\n")
    assert len(line) == 160
    assert caret == " " * 80 + "^"


def test_excerpts_keep_tabs_and_skip_what_is_not_there() -> None:
    assert excerpt_of("\ta", 1, 2) == "\ta\n\t^"
    assert excerpt_of("a", 2, 1) is None
    assert excerpt_of("  \n", 1, 1) is None
