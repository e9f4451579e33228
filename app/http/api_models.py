"""What every model of the API begins with: strict going in, plain coming out.

In: names and types. Out: pydantic models that FastAPI describes and checks. Refuses unknown fields
and parameters, and in bodies values of another type than the one asked for: ``"5"`` is no number.
"""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1000
TEXT_CHARS_MAX: Final = 256

Text = Annotated[str, Field(min_length=1, max_length=TEXT_CHARS_MAX)]
"""A name, a filter, a time: short, and never empty."""


class QueryModel(BaseModel):
    """Parameters of a query: texts there, so numbers and booleans are read from texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PageQuery(QueryModel):
    """Which page is wanted, where places are texts."""

    after: Annotated[str, Field(max_length=TEXT_CHARS_MAX)] = ""
    """The former page's ``next_after``; empty: the first page."""
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT


class BodyModel(BaseModel):
    """A body, or a part of one."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ViewModel(BaseModel):
    """An answer, or a part of one. What the model does not name is left out of the answer."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class PageView(ViewModel):
    """A page; add a field with what is on it."""

    next_after: str | int | None
    """What to ask for with ``after`` to get the next page; null: this is the last one."""


class PlaceView(ViewModel):
    """What is wrong at one place of a request; never the value that was there."""

    place: str
    """``query.limit``, ``body.filter.flow``."""
    message: str


class ProblemView(BaseModel):
    """A refusal (RFC 9457). Some codes have further members."""

    model_config = ConfigDict(extra="allow")

    type: str
    """``urn:greentic:problem:`` and the code."""
    title: str
    status: int
    detail: str
    code: str
    """Stable: to be told apart by programs. docs/errors.md has all of them."""
    errors: list[PlaceView] | None = None
    """What is wrong with the request, place by place."""


def problem_schema() -> dict[str, Any]:
    """Give the schema of `ProblemView` for a document that keeps schemas below components."""
    template = "#/components/schemas/{model}"
    schema = ProblemView.model_json_schema(mode="serialization", ref_template=template)
    places = schema.pop("$defs")
    return {"ProblemView": schema, **places}
