"""How the parts of a flow file are read: strict pydantic models, and their errors as findings.

In: a model and an untrusted document. Out: the validated model, or a finding for every problem.
Refuses unknown keys (with "did you mean") and values that only look like the right type.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from actors.diagnostics import Diagnostic, DocumentPath, did_you_mean

STRICT: Final = ConfigDict(extra="forbid", frozen=True, strict=True)
"""For every model of a flow file: no unknown keys, no coercion of text to numbers."""

RETRIES_MAX: Final = 20
RETRY_DELAY_MS_MIN: Final = 1_000
RETRY_DELAY_MS_MAX: Final = 86_400_000
NODE_TIMEOUT_MS_MAX: Final = 30_000
DOCUMENT_DEPTH_MAX: Final = 32
"""SPEC 13: how deep a YAML document may nest."""

Model = TypeVar("Model", bound=BaseModel)

TimeoutMs = Annotated[int, Field(ge=1, le=NODE_TIMEOUT_MS_MAX)]
"""A node's timeout in milliseconds (SPEC 12.2)."""


class RetryPolicy(BaseModel):
    """How often and how patiently to try again (SPEC 4)."""

    model_config = STRICT

    max_retries: int = Field(default=0, ge=0, le=RETRIES_MAX)
    """How often after the first time."""
    backoff: Literal["fixed", "linear", "exponential"] = "exponential"
    """How the pause grows from one time to the next. `exponential` is spread by up to a half, so
    that what failed together does not come back together."""
    initial_ms: int = Field(default=RETRY_DELAY_MS_MIN, ge=RETRY_DELAY_MS_MIN)
    """The first pause."""
    max_ms: int = Field(default=RETRY_DELAY_MS_MAX, ge=RETRY_DELAY_MS_MIN, le=RETRY_DELAY_MS_MAX)
    """The longest pause."""


def read_model(
    model: type[Model], document: object, path: DocumentPath
) -> tuple[Model | None, list[Diagnostic]]:
    """Validate ``document``, found at ``path``; the model is None if there is any finding."""
    try:
        return model.model_validate(document), []
    except ValidationError as error:
        details = error.errors(include_url=False)
        return None, _one_per_place([_finding(model, document, item, path) for item in details])


def plain_json_problem(value: object, path: DocumentPath) -> Diagnostic | None:
    """Find the first part of a document that JSON cannot say: dates, non-text keys, NaN, depth."""
    pending: list[tuple[object, DocumentPath]] = [(value, ())]
    while pending:
        item, place = pending.pop()
        problem = _json_problem(item, len(place))
        if problem is not None:
            return Diagnostic("error", "flow.not_json", path + place, problem)
        if isinstance(item, dict):
            pending += [(child, (*place, key)) for key, child in item.items()]
        elif isinstance(item, list):
            pending += [(child, (*place, index)) for index, child in enumerate(item)]
    return None


def _json_problem(item: object, depth: int) -> str | None:
    if depth > DOCUMENT_DEPTH_MAX:
        return f"nests deeper than {DOCUMENT_DEPTH_MAX} levels"
    if isinstance(item, dict):
        odd = next((key for key in item if not isinstance(key, str)), None)
        return None if odd is None else f"the key {odd!r} is not text; put it in quotes"
    if isinstance(item, float) and (item != item or item in (float("inf"), float("-inf"))):  # noqa: PLR0124 - NaN is unequal to itself
        return "is not a number that JSON knows"
    if item is None or isinstance(item, (str, int, float, list)):
        return None
    return f"is a {type(item).__name__}, which JSON does not know; put it in quotes"


def _finding(
    model: type[BaseModel], document: object, item: ErrorDetails, path: DocumentPath
) -> Diagnostic:
    location = _place_in(document, item["loc"])
    where = path + location
    name = str(location[-1]) if location else ""
    if item["type"] == "missing":
        return Diagnostic("error", "flow.missing_key", where, f"{name!r} is required")
    if item["type"] == "extra_forbidden":
        hint = did_you_mean(name, _keys_at(model, location[:-1]))
        return Diagnostic("error", "flow.unknown_key", where, f"{name!r} is no key here", hint)
    return Diagnostic("error", "flow.bad_value", where, _wording(item), _quoting_hint(item))


def _one_per_place(findings: list[Diagnostic]) -> list[Diagnostic]:
    """Join what the members of a union say about one place: ``a valid integer or string``."""
    joined: dict[tuple[DocumentPath, str], Diagnostic] = {}
    for item in findings:
        earlier = joined.get((item.path, item.code))
        message = item.message if earlier is None else f"{earlier.message}, or {item.message}"
        joined[item.path, item.code] = replace(item, message=message)
    return list(joined.values())


def _wording(item: ErrorDetails) -> str:
    message = item["msg"].removeprefix("Value error, ")
    return message.replace("Input should be", "should be", 1)


def _quoting_hint(item: ErrorDetails) -> str | None:
    wants_text = item["type"] == "string_type"
    is_scalar = isinstance(item["input"], (int, float, bool))
    return f'put it in quotes: "{item["input"]}"' if wants_text and is_scalar else None


def _place_in(document: object, location: tuple[str | int, ...]) -> DocumentPath:
    """Leave out what pydantic adds to a place: the names of the union members it tried."""
    place: list[str | int] = []
    current: Any = document
    for number, part in enumerate(location, 1):
        child = _child(current, part)
        if child is not None:
            current = child[0]
        elif number < len(location) or not isinstance(current, dict):
            continue
        place.append(part)
    return tuple(place)


def _child(value: Any, part: str | int) -> tuple[Any] | None:
    """Give the part of a container, wrapped since it may be null, or None where there is none."""
    is_key = isinstance(value, dict) and part in value
    is_index = isinstance(value, list) and isinstance(part, int) and part < len(value)
    return (value[part],) if is_key or is_index else None


def _keys_at(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """List the keys that the model (or the nested one at ``location``) knows."""
    current: type[BaseModel] = model
    for part in location:
        field = _field_called(current, part)
        nested = None if field is None else _nested_model(field.annotation)
        current = current if nested is None else nested
    return [field.alias or name for name, field in current.model_fields.items()]


def _field_called(model: type[BaseModel], key: str | int) -> Any:
    fields: Mapping[str, Any] = model.model_fields
    return next((f for name, f in fields.items() if key in (name, f.alias)), None)


def _nested_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _nested_model(part))), None)
