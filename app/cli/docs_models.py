"""Pydantic models as tables of their keys: what may be written, what it is by default, and why.

In: a model whose fields have docstrings below them. Out: rows of key, type, default and text.
"""

import types
from collections.abc import Iterator
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from app.cli.docs_markdown import attribute_docs, code

HEAD: Final = ("key", "type", "default", "meaning")

_WORDS: Final[dict[Any, str]] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    dict: "map",
    list: "list",
    tuple: "list",
    Any: "any value",
    SecretStr: "text, secret",
}


def model_rows(model: type[BaseModel]) -> Iterator[tuple[str, str, str, str]]:
    """Give a row for each key of a model, in the order of the code."""
    docs = attribute_docs(model)
    for name, field in model.model_fields.items():
        key = code(field.alias or name)
        yield (
            key,
            type_words(field.annotation) + _bounds(field),
            _default(field),
            docs.get(name, ""),
        )


def models_within(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Give the models that a model's fields are made of, each once, outermost first."""
    seen: dict[type[BaseModel], None] = {}
    pending = [field.annotation for field in model.model_fields.values()]
    while pending:
        annotation = pending.pop(0)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            if annotation not in seen:
                seen[annotation] = None
                pending += [field.annotation for field in annotation.model_fields.values()]
        else:
            pending += get_args(annotation)
    yield from seen


def type_words(annotation: Any) -> str:
    """Say in plain words what a type takes."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(code(str(value)) for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(type_words(item) for item in arguments if item is not types.NoneType)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.__name__
    if origin in (list, tuple):
        return f"list of {type_words(arguments[0])}"
    if hasattr(annotation, "__metadata__"):
        return type_words(arguments[0])
    return _WORDS.get(origin or annotation, str(annotation))


def _bounds(field: FieldInfo) -> str:
    lowest, highest = _limit(field, "ge"), _limit(field, "le")
    if lowest and highest:
        return f", {lowest} to {highest}"
    if highest:
        return f", at most {highest}"
    return f", at least {lowest}" if lowest else ""


def _limit(field: FieldInfo, name: str) -> str:
    values = (getattr(item, name, None) for item in field.metadata)
    return next((f"{value:,}" for value in values if value is not None), "")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None:
        return ""
    if isinstance(value, bool):
        return code(str(value).lower())
    if isinstance(value, tuple | list):
        return code(", ".join(map(str, value)))
    if isinstance(value, BaseModel):
        return ""
    return code(str(value)) if value != {} else ""
