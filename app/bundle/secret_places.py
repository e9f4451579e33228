"""Where the secrets of a provider's options stand: the fields that its model declares `SecretStr`.

In: a model and options as they are written, checked or not. Out: places and what stands there.
Refuses nothing; a union's field counts as secret if one of its forms says so.
"""

import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr

from app.bundle.document import Path

_UNIONS: Final = (Union, types.UnionType)


def places_in_written(model: type[BaseModel], options: Any, path: Path = ()) -> Iterator[Path]:
    """Name the places of options that their model takes for secrets, however deep."""
    if not isinstance(options, Mapping):
        return
    for name, info in model.model_fields.items():
        for key in dict.fromkeys((name, info.alias, info.validation_alias)):
            if isinstance(key, str) and key in options:
                yield from _places(info.annotation, options[key], (*path, key))


def secrets_in_checked(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Give every secret of checked options with its place, however deep."""
    if isinstance(value, SecretStr):
        yield path, value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_in_checked(getattr(value, name), (*path, name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from secrets_in_checked(item, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from secrets_in_checked(item, (*path, index))


def _places(annotation: Any, value: Any, path: Path) -> Iterator[Path]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    kind = annotation if origin is None and isinstance(annotation, type) else object
    if issubclass(kind, SecretStr | SecretBytes):
        yield path
    elif issubclass(kind, BaseModel):
        yield from places_in_written(kind, value, path)
    elif origin is Annotated:
        yield from _places(arguments[0], value, path)
    elif origin in _UNIONS:
        for form in arguments:
            yield from _places(form, value, path)
    elif arguments:
        yield from _places_inside(arguments, value, path)


def _places_inside(arguments: tuple[Any, ...], value: Any, path: Path) -> Iterator[Path]:
    """Look into the values of a map or the items of a list; a single text may stand for a list."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _places(arguments[-1], item, (*path, str(key)))
        return
    forms = [form for form in arguments if form is not Ellipsis]
    items = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
    for index, item in items:
        for form in forms:
            yield from _places(form, item, path if index is None else (*path, index))
