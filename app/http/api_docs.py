"""What the OpenAPI document says of fields and parameters: the texts below them in the source.

In: the document and the routes it is of. Out: the same document with descriptions. Refuses nothing.

pydantic does that too (``use_attribute_docstrings``), while each class is made: a third of a second
at every start, for a document that few processes are ever asked for.
"""

import ast
import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, Final

from fastapi.routing import APIRoute
from pydantic import BaseModel

_OURS: Final = "app."


def describe_fields(document: dict[str, Any], routes: Sequence[APIRoute]) -> None:
    """Add descriptions to the document's schemas and to the parameters of its operations."""
    schemas = document["components"]["schemas"]
    for model in _models(BaseModel):
        schema = schemas.get(model.__name__, {})
        _describe(schema.get("properties", {}), _texts(model))
    for route in routes:
        texts = _query_texts(route)
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            named = {each["name"]: each for each in operation.get("parameters", ())}
            _describe(named, texts)


def _describe(named: Mapping[str, dict[str, Any]], texts: Mapping[str, str]) -> None:
    for name in named.keys() & texts.keys():
        named[name].setdefault("description", texts[name])


def _models(root: type[BaseModel]) -> Iterable[type[BaseModel]]:
    for model in root.__subclasses__():
        if model.__module__.startswith(_OURS):
            yield model
        yield from _models(model)


def _query_texts(route: APIRoute) -> dict[str, str]:
    kinds = [field.field_info.annotation for field in route.dependant.query_params]
    texts: dict[str, str] = {}
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            texts |= _texts(kind)
    return texts


def _texts(model: type[BaseModel]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        if kind.__module__.startswith(_OURS):
            texts |= _texts_of_module(kind.__module__).get(kind.__name__, {})
    return texts


@cache
def _texts_of_module(name: str) -> dict[str, dict[str, str]]:
    tree = ast.parse(inspect.getsource(sys.modules[name]))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return {node.name: dict(_texts_below(node.body)) for node in classes}


def _texts_below(body: Sequence[ast.stmt]) -> Iterable[tuple[str, str]]:
    for field, below in pairwise(body):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str() as text)),
            ):
                yield name, " ".join(text.replace("``", "`").split())
