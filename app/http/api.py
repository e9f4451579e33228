"""The API, ``/api/v1`` on the admin address, and its OpenAPI document.

In: the resources, each from a file of its own. Out: an ASGI application to mount. Every refusal is
a problem; unknown paths are 404, other methods 405 with Allow; HEAD is GET without a body, OPTIONS
says what a path takes. ``/api/v1/openapi.json`` is for whoever has any key. Refuses, when it is
built, two operations with one id.

To add a resource: one file ``app/http/NAME_api.py`` with a class that takes its desk, `ApiAccess`
and whatever else, and gives a `Resource` (app/http/key_api.py is the pattern: models in, models
out, one short handler an operation); one line in the list of ``app/bootstrap/api_side.py``. Scope,
limits, problems, ``Cache-Control`` and the document come from `Operation`; revisions as ETags from
`app.http.api_etags`. The tests over the document (tests/e2e/test_api_schema.py) find the new
operations by themselves.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.errors import MethodRefusedError, RouteNotFoundError
from app.http.api_access import ApiAccess
from app.http.api_docs import describe_fields
from app.http.api_models import problem_schema
from app.http.api_problems import problem_of_request, respond_problem
from app.http.api_route import ANY_KEY, ApiRoute, Operation, Resource
from app.http.asgi import Message, Receive, Scope, Send
from app.http.problems import Problem

ROOT: Final = "/api/v1"
VERSION: Final = "1"
_METHOD_REFUSED: Final = 405
_NOT_FOUND: Final = 404
_NO_CONTENT: Final = 204
_ALLOWED: Final = "greentic.allowed"
_BEARER: Final = {"type": "http", "scheme": "bearer", "description": "An API key, `gte_…`."}


def build_api(resources: Iterable[Resource], access: ApiAccess) -> "Api":
    """Put the API together; mount it at `ROOT`. ValueError: two operations have one id."""
    app = FastAPI(
        title="greentic-events",
        version=VERSION,
        description="What an operator and a tenant may ask of the program.",
        servers=[{"url": ROOT}],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        root_path_in_servers=False,
        exception_handlers={HTTPException: _on_http_error, Exception: _on_error},
    )
    handler = _DocumentHandler()
    document = Resource("document", access)
    document.add("GET", "/openapi.json", handler.openapi, Operation(ANY_KEY))
    routes = [route for resource in (*resources, document) for route in resource.routes]
    _check_ids(routes)
    app.router.routes.extend(routes)
    handler.api = Api(app, routes)
    return handler.api


def api_document(resources: Iterable[Resource], access: ApiAccess) -> dict[str, Any]:
    """Give the OpenAPI document of an API of these resources."""
    return build_api(resources, access).document()


def _check_ids(routes: Sequence[ApiRoute]) -> None:
    ids = [route.unique_id for route in routes]
    if doubled := {each for each in ids if ids.count(each) > 1}:
        raise ValueError(f"two operations of the API are called {min(doubled)}")


class _DocumentHandler:
    """Gives the document of the API that it is part of."""

    api: "Api"

    def __init__(self) -> None:
        self._making = asyncio.Lock()

    async def openapi(self) -> dict[str, Any]:
        """Give this document."""
        async with self._making:
            # The first time it takes half a second, and the event loop has other work.
            return await asyncio.to_thread(self.api.document)


class Api:
    """What stands before FastAPI: HEAD and OPTIONS, for all operations alike."""

    def __init__(self, app: FastAPI, routes: Sequence[ApiRoute]) -> None:
        self.app = app
        self._routes = tuple(routes)
        self._document: dict[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        """Give the OpenAPI document, made once."""
        if self._document is None:
            document = self.app.openapi()
            components = document.setdefault("components", {})
            components.setdefault("schemas", {}).update(problem_schema())
            components["securitySchemes"] = {"Bearer": _BEARER}
            describe_fields(document, self._routes)
            self._document = document
        return self._document

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        method = scope.get("method")
        scope[_ALLOWED] = self._allowed
        if method == "HEAD":
            await self.app({**scope, "method": "GET"}, receive, _without_body(send))
        elif method == "OPTIONS" and (allowed := self._allowed(scope)):
            answer = Response(status_code=_NO_CONTENT, headers={"allow": ", ".join(allowed)})
            await answer(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _allowed(self, scope: Scope) -> list[str]:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        methods = {
            method
            for route in self._routes
            if route.path_regex.match(path)
            for method in route.methods or ()
        }
        if not methods:
            return []
        return sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set()))


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head


async def _on_http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == _METHOD_REFUSED:
        allowed = request.scope[_ALLOWED](request.scope)
        refusal = MethodRefusedError(f"the path does not take {request.method}", allowed=allowed)
        return respond_problem(problem_of_request(refusal))
    if error.status_code == _NOT_FOUND:
        return respond_problem(problem_of_request(RouteNotFoundError("no operation has this path")))
    return respond_problem(Problem(error.status_code, "http.refused", "Refused", "Refused."))


async def _on_error(_: Request, error: Exception) -> Response:
    """Tell little; Starlette raises the error again, and the server's logger records it."""
    return respond_problem(problem_of_request(error))
