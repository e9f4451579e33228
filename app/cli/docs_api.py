"""The page of the API's operations, made of the routes themselves.

In: nothing. Out: the text of ``api-operations.md``. Refuses nothing. What it depends on is the code
alone: the OpenAPI document, which the libraries have a say in, is asked of a running process.
"""

import inspect
from collections.abc import Iterable
from dataclasses import fields
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from app.http.api_route import ApiRoute

_HEAD: Final = """# Operations of the API

Made of the code by `make docs`. All stand below `/api/v1` on the admin address;
[the API](api.md) says how they are asked, and [identity](identity.md#scopes) what the scopes are.
"""


class _Nothing:
    """Stands for every desk: what operations ask is not needed to name them."""

    def __getattr__(self, name: str) -> "_Nothing":
        return self


def operations_page() -> str:
    """Write the page."""
    parts = [_HEAD]
    for tag, routes in groupby(_routes(), key=lambda route: str(route.tags[0])):
        parts += [f"## {tag.replace('-', ' ').capitalize()}\n", _table(routes)]
    return "\n".join(parts)


def _routes() -> "list[ApiRoute]":
    from app.bootstrap.api_side import ApiParts, api_resources  # noqa: PLC0415 - see there

    parts: dict[str, Any] = {field.name: _Nothing() for field in fields(ApiParts)}
    resources = api_resources(ApiParts(**parts))
    return [route for resource in resources for route in resource.routes]


def _table(routes: "Iterable[ApiRoute]") -> str:
    lines = ["| operation | scope | |", "|---|---|---|"]
    for route in routes:
        method = min(route.methods or {"GET"})
        paragraph = (inspect.getdoc(route.endpoint) or "").partition("\n\n")[0]
        said = " ".join(paragraph.split()).replace("``", "`").replace("|", "\\|")
        lines.append(f"| `{method} {route.path_format}` | `{route.operation.scope}` | {said} |")
    return "\n".join(lines) + "\n"
