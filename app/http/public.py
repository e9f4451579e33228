"""The public application: events on the hot path, ``/health`` and ``/ready``, nothing else.

In: every request of the public address. Out: an answer or a problem, and one count of it. Refuses
more requests at once than it may hold. This is the request edge: the one place that catches all.
"""

from typing import Final

import structlog

from app.errors import OverloadedError
from app.http.asgi import AsgiApp, ClientGoneError, Receive, Scope, Send, send_problem
from app.http.body import BodyReader
from app.http.ingress import EventIngress
from app.http.problems import Problem, problem_of
from app.http.request import collect_headers
from app.http.routes import EVENTS_PREFIX, RouteMatch
from app.observability.requests import RequestMeter

REQUESTS_MAX: Final = 2000
"""Requests held at once; each may hold a body of SPEC 13's size."""

CLIENT_GONE: Final = 499
"""Counted, never sent: the client closed the connection first."""

INTERNAL_ERROR: Final = 500
ROUTE_UNKNOWN: Final = "unknown"
"""Counted for paths below /events/ that are no route."""
_EVENTS_PREFIX: Final = EVENTS_PREFIX.encode()
_OVERLOADED: Final = OverloadedError("too many requests at once", retry_after_seconds=1)

_log = structlog.get_logger("app.http")


class PublicApp:
    """The ASGI application of the public address."""

    __slots__ = ("_in_flight", "_ingress", "_meter", "_pages", "_requests_max")

    def __init__(
        self,
        ingress: EventIngress,
        pages: AsgiApp,
        meter: RequestMeter,
        *,
        requests_max: int = REQUESTS_MAX,
    ) -> None:
        self._ingress = ingress
        self._pages = pages
        self._meter = meter
        self._requests_max = requests_max
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        """How many requests are being answered."""
        return self._in_flight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["raw_path"].startswith(_EVENTS_PREFIX):
            await self._pages(scope, receive, send)
            return
        self._in_flight += 1
        try:
            match = self._ingress.find_route(scope)
            status = await self._answer(match, scope, receive, send)
        finally:
            self._in_flight -= 1
        self._meter.count(ROUTE_UNKNOWN if match is None else match.route.path, status)

    async def _answer(
        self, match: RouteMatch | None, scope: Scope, receive: Receive, send: Send
    ) -> int:
        body = BodyReader(receive, collect_headers(scope["headers"]))
        try:
            if self._in_flight > self._requests_max:
                return await self._refuse(body, send, problem_of(_OVERLOADED))
            return await self._ingress.handle(match, scope, body, receive, send)
        except ClientGoneError:
            return CLIENT_GONE
        except Exception as error:  # noqa: BLE001 - the request edge (STYLE 5)
            problem = problem_of(error)
            if problem.status == INTERNAL_ERROR:
                _log.error("request.failed", error_code=problem.code, exc_info=error)
            return await self._refuse(body, send, problem)

    async def _refuse(self, body: BodyReader, send: Send, problem: Problem) -> int:
        try:
            is_read = await body.discard()
        except ClientGoneError:
            return CLIENT_GONE
        await send_problem(send, problem, closes=not is_read)
        return problem.status
