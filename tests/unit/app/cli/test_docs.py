"""What the generated reference pages are made of."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, SecretStr

from actors.errors import ActorsError
from app.cli.docs_markdown import attribute_docs, code, page, prose, table
from app.cli.docs_models import model_rows, models_within, type_words
from app.cli.docs_reference import errors_page, metrics_page
from app.cli.main import run


class Inner(BaseModel):
    """Inside."""

    size: int = Field(default=1, ge=1)
    """How big."""


class Outer(BaseModel):
    """Outside."""

    name: str
    """Its ``name``
    (SPEC 4)."""
    kind: Literal["a", "b"] | None = None
    inner: Inner = Inner()
    inners: list[Inner] = Field(default_factory=list)
    share: Annotated[float, Field(strict=True)] = Field(default=0.5, ge=0, le=1)
    """Between nothing and all."""
    at_most: int = Field(default=3, le=9_000)
    secret: SecretStr | None = None
    is_on: bool = True
    names: tuple[str, ...] = ("x", "y")
    other: dict[str, Any] = Field(default_factory=dict, alias="else")


def rows() -> dict[str, tuple[str, str, str]]:
    return {key: (kind, default, text) for key, kind, default, text in model_rows(Outer)}


def test_a_row_says_type_bounds_default_and_meaning() -> None:
    found = rows()
    assert found["`name`"] == ("text", "required", "Its `name`.")
    assert found["`share`"] == ("number, 0 to 1", "`0.5`", "Between nothing and all.")
    assert found["`at_most`"] == ("whole number, at most 9,000", "`3`", "")
    assert found["`secret`"] == ("text, secret", "", "")
    assert found["`is_on`"] == ("true or false", "`true`", "")
    assert found["`names`"] == ("list of text", "`x, y`", "")
    assert found["`else`"] == ("map", "", "")
    assert found["`inner`"] == ("Inner", "", "")
    assert [row[1] for row in model_rows(Inner)] == ["whole number, at least 1"]


def test_models_within_a_model_are_found_once() -> None:
    assert list(models_within(Outer)) == [Inner]


def test_a_type_that_is_wrapped_is_named_by_what_it_wraps() -> None:
    assert type_words(Annotated[str, "anything"]) == "text"
    assert type_words(Literal["a", 1]) == "`a`, `1`"


def test_only_texts_under_attributes_are_their_docs() -> None:
    assert attribute_docs(Outer) == {"name": "Its `name`.", "share": "Between nothing and all."}


def test_a_cell_cannot_break_its_table() -> None:
    assert table(("a", "b"), [("x|y", "two\nlines")]).splitlines()[-1] == "| x\\|y | two lines |"
    assert table(("a",), []) == ""


def test_texts_lose_sections_that_readers_do_not_have() -> None:
    assert prose("One ``word`` (SPEC 4 and 5) here (DESIGN 3).") == "One `word` here."
    assert prose(None) == ""
    assert code("") == ""


def test_a_page_begins_with_its_title_and_says_that_it_is_made() -> None:
    assert page("Title", "text").startswith("# Title\n\n<!-- Made by")


def test_errors_of_others_are_not_on_the_page() -> None:
    class StrangeError(ActorsError):
        code = "actors.strange"

    assert StrangeError.code not in errors_page()


def test_every_metric_of_the_registry_has_its_labels_on_the_page() -> None:
    assert "| `greentic_runs_total` | counter | tenant, flow, outcome |" in metrics_page()


def test_docs_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["docs", "--output", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["written"] == told["pages"] == sorted(path.name for path in tmp_path.iterdir())
