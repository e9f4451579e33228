"""One operation of the API: who may, what comes in, what goes out.

In: a path, a handler as FastAPI takes it, and an `Operation`. Out: a route that judges the caller
first, then the query, then reads the body, and only then asks FastAPI to call the handler. Refuses
whoever lacks the scope (401, 403), unknown or repeated parameters (400), bodies that are too large
(413), of another media type (415) or no JSON (400), and large ones while many are read (503).

FastAPI by itself reads and parses a body before any dependency has judged the caller. Here nothing
is read for a stranger: that is why the scope belongs to the route and is no dependency.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import Depends
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from actors.errors import ActorsError
from app.errors import AppError, BadRequestError, MediaTypeError
from app.http.api_access import ApiAccess
from app.http.api_places import BodyPlaces
from app.http.api_problems import NO_STORE, PROBLEM_MEDIA, problem_of_request, respond_problem
from app.http.asgi import ClientGoneError
from app.http.body import BodyReader
from app.identity.principal import Principal

ANY_KEY: Final = "any"
"""Stands for a scope where every key in force will do."""
BODY_BYTES_MAX: Final = 64 * 1024

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
"""What ``curl -d`` says unless told otherwise; taken for JSON."""
_CLIENT_GONE: Final = 499
_INTERNAL: Final = 500
_REFUSED_MIN: Final = 400
"""Below it are answers without a body: 304."""
_NOT_MODIFIED: Final = 304
_CALLER: Final = "greentic.caller"
_BODY: Final = "greentic.body"
_ALWAYS: Final = (400, 401, 403, 422, 429, 503)
_OF_BODIES: Final = frozenset({413, 415})
_TENANT: Final = {
    "name": "tenant",
    "in": "path",
    "required": True,
    "description": "The tenant's id.",
    "schema": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,62}$"},
}

Handler = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """What is said of an operation beside its path and its handler's signature."""

    scope: str
    """Of app.identity.scopes, or `ANY_KEY`. With ``{tenant}`` in the path it is asked for in that
    tenant, otherwise above all of them, where only platform keys reach."""
    status: int = 200
    """Of an answer that is no refusal."""
    refuses: Sequence[int] = ()
    """Further statuses: 304, 409, 412 and such. Paths with parameters have 404 anyway."""
    body_bytes_max: int = BODY_BYTES_MAX
    body_media: str = _JSON
    """Another one: the handler takes `RawBody`."""
    is_body_optional: bool = False
    answer_media: str | None = None
    """Of a handler that gives a whole `Response`, a streaming one say."""


def caller_of(request: Request) -> Principal:
    """Give who was let in."""
    caller: Principal = request.scope[_CALLER]
    return caller


def tenant_of(request: Request) -> str:
    """Give the tenant of the path, in which the caller may do this."""
    tenant: str = request.path_params["tenant"]
    return tenant


def maybe_tenant_of(request: Request) -> str | None:
    """Give the tenant of the path, or None where the path is the platform's."""
    tenant: str | None = request.path_params.get("tenant")
    return tenant


def body_of(request: Request) -> bytes:
    """Give the body as it came."""
    body: bytes = request.scope[_BODY]
    return body


Caller = Annotated[Principal, Depends(caller_of)]
Tenant = Annotated[str, Depends(tenant_of)]
MaybeTenant = Annotated[str | None, Depends(maybe_tenant_of)]
RawBody = Annotated[bytes, Depends(body_of)]


class UnfitAnswerError(Exception):
    """A handler's answer is not what its model says: a mistake of ours, told without the values."""


class _ReadRequest(Request):
    """A request whose body has been read."""

    def __init__(self, request: Request, body: bytes, content: Any) -> None:
        headers = [pair for pair in request.scope["headers"] if pair[0] != b"content-type"]
        headers.append((b"content-type", _JSON.encode()))
        super().__init__({**request.scope, "headers": headers, _BODY: body}, request.receive)
        self._read = body
        self._content = content

    async def body(self) -> bytes:
        """Give the bytes; some, so that FastAPI asks for the JSON."""
        return self._read or b"{}"

    async def json(self) -> Any:
        """Give what they mean."""
        return self._content


class ApiRoute(APIRoute):
    """The route of an operation."""

    def __init__(
        self,
        place: tuple[Method, str],
        handler: Handler,
        operation: Operation,
        access: ApiAccess,
        names: tuple[str, str],
    ) -> None:
        self._access = access
        self.operation = operation
        self._has_tenant = "{tenant}" in place[1]
        self._makes = _makes(*place)
        self._places = BodyPlaces(operation.body_bytes_max)
        method, path = place
        tag, operation_id = names
        super().__init__(
            path,
            handler,
            methods=[method],
            tags=[tag],
            status_code=operation.status,
            operation_id=operation_id,
            responses=_responses_of(operation, method, path),
            openapi_extra=_extra_of(operation, is_platform=not self._has_tenant),
            description=_description_of(handler, operation),
        )
        self._query_names = frozenset(_query_names(self.dependant))
        if not self._takes_body:
            for status in _OF_BODIES:
                self.responses.pop(status, None)
        if operation.is_body_optional:
            self.openapi_extra = {**(self.openapi_extra or {}), "requestBody": {"required": False}}

    def get_route_handler(self) -> Callable[[Request], Any]:
        """Put the caller's judgement and the bounded reading before FastAPI's handler."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            reader = BodyReader(request.receive, request.headers)
            try:
                request.scope[_CALLER] = self._judge(request)
                self._check_query(request)
                if self._makes:
                    await self._access.check_tenant(request.path_params["tenant"])
                with self._places.take(request.path_params.get("tenant")):
                    response: Response = await inner(await self._read(request, reader))
            except ClientGoneError:
                return Response(status_code=_CLIENT_GONE)
            except ResponseValidationError as error:
                raise _unfit(self.unique_id, error) from None
            except (AppError, ActorsError, RequestValidationError) as error:
                response = await _refuse(error, reader)
            response.headers.setdefault("cache-control", NO_STORE["cache-control"])
            return response

        return handle

    async def _read(self, request: Request, reader: BodyReader) -> Request:
        if not self._takes_body:
            return request
        is_json = self.operation.body_media == _JSON
        _check_media(request, self.operation.body_media)
        body = await reader.read(self.operation.body_bytes_max)
        return _ReadRequest(request, body, _decode(body) if is_json else None)

    @property
    def _takes_body(self) -> bool:
        return self.body_field is not None or self.operation.body_media != _JSON

    def _judge(self, request: Request) -> Principal:
        scope = self.operation.scope
        if scope == ANY_KEY:
            return self._access.principal(request)
        tenant = request.path_params["tenant"] if self._has_tenant else None
        return self._access.allowed(request, scope, tenant)

    def _check_query(self, request: Request) -> None:
        names = [name for name, _ in request.query_params.multi_items()]
        if len(set(names)) != len(names):
            raise BadRequestError("a parameter is given twice")
        if unknown := set(names) - self._query_names:
            raise BadRequestError(f"there is no parameter {min(unknown)[:40]!a}")


class Resource:
    """The operations of one kind of thing; `routes` is what `app.http.api.build_api` takes."""

    def __init__(self, tag: str, access: ApiAccess) -> None:
        self._tag = tag
        self._access = access
        self.routes: list[ApiRoute] = []

    def add(
        self,
        method: Method,
        path: str,
        handler: Handler,
        operation: Operation,
        *,
        operation_id: str | None = None,
    ) -> None:
        """Add an operation; its id is the tag and the handler's name unless it is given one.

        The path begins below ``/api/v1``. The handler's docstring is what the document says of it.
        """
        name = operation_id or f"{self._tag.replace('-', '_')}_{handler.__name__}"
        route = ApiRoute((method, path), handler, operation, self._access, (self._tag, name))
        self.routes.append(route)


async def _refuse(error: Exception, reader: BodyReader) -> Response:
    problem = problem_of_request(error)
    if problem.status == _INTERNAL:
        raise error
    try:
        is_read = await reader.discard()
    except ClientGoneError:
        return Response(status_code=_CLIENT_GONE)
    response = respond_problem(problem)
    if not is_read:
        response.headers["connection"] = "close"
    return response


def _unfit(operation_id: str, error: ResponseValidationError) -> UnfitAnswerError:
    found = [f"{'.'.join(map(str, each['loc']))} {each['type']}" for each in error.errors()]
    return UnfitAnswerError(f"{operation_id}: {'; '.join(found)}")


def _check_media(request: Request, wanted: str) -> None:
    given = request.headers.get("content-type", wanted).partition(";")[0].strip().lower()
    if given == wanted or (wanted == _JSON and (given in ("", _FORM) or given.endswith("+json"))):
        return
    raise MediaTypeError(f"the body must be {wanted}")


def _decode(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequestError("the body is no JSON") from None


def _query_names(dependant: Dependant) -> list[str]:
    names: list[str] = []
    for field in dependant.query_params:
        kind = field.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names += [each.alias or name for name, each in kind.model_fields.items()]
        else:
            names.append(field.alias)
    for each in dependant.dependencies:
        names += _query_names(each)
    return names


def _makes(method: Method, path: str) -> bool:
    """Tell whether it may make something for a tenant, which there must be then.

    Removing makes nothing, and the tenant itself is its own resource's business.
    """
    return path.startswith("/tenants/{tenant}/") and method in ("POST", "PUT", "PATCH")


def _responses_of(operation: Operation, method: Method, path: str) -> dict[int | str, Any]:
    statuses = {*_ALWAYS, *operation.refuses}
    if "{" in path:
        statuses.add(404)
    if method in ("POST", "PUT", "PATCH"):
        statuses |= _OF_BODIES
    if _makes(method, path):
        statuses.add(409)
    schema = {"schema": {"$ref": "#/components/schemas/ProblemView"}}
    refusals: dict[int | str, Any] = {
        status: {"content": {PROBLEM_MEDIA: schema}} if status >= _REFUSED_MIN else {}
        for status in sorted(statuses)
    }
    if _NOT_MODIFIED in refusals:
        refusals[_NOT_MODIFIED] = {"description": "It is as the client knows it: no body."}
    if operation.answer_media is not None:
        refusals[operation.status] = {"content": {operation.answer_media: {"schema": {}}}}
    return refusals


def _extra_of(operation: Operation, *, is_platform: bool) -> dict[str, Any]:
    extra: dict[str, Any] = {"x-scope": operation.scope, "security": [{"Bearer": []}]}
    if not is_platform:
        extra["parameters"] = [_TENANT]
    if operation.body_media != _JSON:
        media = {"schema": {"type": "string", "format": "binary"}}
        extra["requestBody"] = {"required": True, "content": {operation.body_media: media}}
    return extra


def _description_of(handler: Handler, operation: Operation) -> str:
    said = " ".join((handler.__doc__ or "").replace("``", "`").split())
    needs = "any key" if operation.scope == ANY_KEY else f"the scope `{operation.scope}`"
    return f"{said}\n\nNeeds {needs}."
