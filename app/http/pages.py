"""The small pages: ``/health``, ``/ready``, and on the admin address ``/metrics``.

In: readiness, a metrics renderer, the API's routes. Out: two Starlette applications whose errors
are problems too. Refuses unknown paths (404) and methods (405 with Allow).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from actors.errors import ActorsError
from app.errors import AppError, MethodRefusedError, RouteNotFoundError
from app.http.doors import ReadinessCheck
from app.http.problems import Problem, problem_of

_PROBLEM_MEDIA: Final = "application/problem+json"
_METHOD_REFUSED: Final = 405
_NOT_FOUND: Final = 404
_INTERNAL_ERROR: Final = 500
_UNREADY: Final = 503
_NO_STORE: Final = {"cache-control": "no-store"}

MetricsRenderer = Callable[[], tuple[bytes, str]]
"""Gives the metrics page and its media type."""

HealthDetail = Callable[[], Mapping[str, Any]]
"""Gives what a page of health tells of parts that no readiness depends on."""


def build_public_pages(check_ready: ReadinessCheck) -> Starlette:
    """Build what the public address serves beside webhooks."""
    return _build(_health_routes(check_ready))


def build_admin_app(
    check_ready: ReadinessCheck,
    render_metrics: MetricsRenderer,
    api: Sequence[BaseRoute] = (),
    describe: HealthDetail = dict,
) -> Starlette:
    """Build the application of the admin address; ``api`` is what stands below ``/api/``.

    ``describe`` gives what ``/health`` tells there beside that the process lives.
    """

    async def metrics(_: Request) -> Response:
        page, media = render_metrics()
        return Response(page, media_type=media, headers=_NO_STORE)

    pages = [*_health_routes(check_ready, describe), Route("/metrics", metrics, methods=["GET"])]
    return _build([*pages, *api])


def _health_routes(check_ready: ReadinessCheck, describe: HealthDetail = dict) -> list[Route]:
    async def health(_: Request) -> Response:
        return JSONResponse({"status": "alive", **describe()}, headers=_NO_STORE)

    async def ready(_: Request) -> Response:
        reasons = list(check_ready())
        if not reasons:
            return JSONResponse({"status": "ready"}, headers=_NO_STORE)
        title = "The process is not ready"
        return _respond(
            Problem(
                _UNREADY,
                code="http.not_ready",
                title=title,
                detail="; ".join(reasons),
                headers={"retry-after": "1"},
                extra={"reasons": reasons},
            )
        )

    return [
        Route("/health", health, methods=["GET"]),
        Route("/ready", ready, methods=["GET"]),
    ]


def _build(routes: Sequence[BaseRoute]) -> Starlette:
    handlers: dict[Any, Any] = {HTTPException: _on_http_error, Exception: _on_error}
    handlers |= dict.fromkeys((ActorsError, AppError), _on_own_error)
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return app


async def _on_http_error(request: Request, error: HTTPException) -> Response:
    if error.status_code == _NOT_FOUND:
        return _respond(problem_of(RouteNotFoundError("no page has this path")))
    if error.status_code == _METHOD_REFUSED:
        allowed = (error.headers or {}).get("Allow", "GET").split(", ")
        detail = f"the page does not take {request.method}"
        return _respond(problem_of(MethodRefusedError(detail, allowed=allowed)))
    return _respond(Problem(error.status_code, "http.refused", "Refused", str(error.detail)))


async def _on_own_error(_: Request, error: Exception) -> Response:
    """Tell what the table of problems says of it: it was expected, and nobody else is told."""
    return _respond(problem_of(error))


async def _on_error(_: Request, error: Exception) -> Response:
    """Tell little; Starlette raises the error again, and the server's logger records it."""
    return _respond(problem_of(error))


def _respond(problem: Problem) -> Response:
    return Response(
        problem.body(),
        status_code=problem.status,
        headers={**_NO_STORE, **problem.headers},
        media_type=_PROBLEM_MEDIA,
    )
