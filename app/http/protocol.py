"""The HTTP/1.1 connection, with the limits uvicorn's own lacks.

In: bytes of a client. Out: ASGI requests. Refuses a request head that is too large (431), a client
that takes too long to send a request (408), and more connections than the process may hold (503).

uvicorn chooses its connection class by type, so this is a subclass: the one seam it offers.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.http.corked import CorkedTransport
from app.http.problems import Problem

_TOO_LARGE = Problem(431, "http.head_too_large", "The headers are too large", "Send fewer headers.")
_TOO_SLOW = Problem(408, "http.request_timeout", "Too slow", "The request took too long to arrive.")
_TOO_MANY = Problem(503, "http.overloaded", "Busy", "Too many connections.", {"retry-after": "1"})
_MALFORMED = Problem(400, "http.bad_request", "Malformed", "This is not an HTTP/1.1 request.")


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one client, and all together, may cost."""

    head_bytes_max: int = 32 * 1024
    """Request line and headers. With a body of SPEC 13 they must fit a message of 1 MiB."""
    headers_max: int = 100
    request_seconds_max: float = 30.0
    """From a request's first byte, or the connection's start, to its last byte."""
    connections_max: int = 4096


class _HeadTooLargeError(Exception):
    """Breaks the parser off; becomes a 431 below."""


class LimitedHttpProtocol(HttpToolsProtocol):
    """One connection. Whole requests in one read, the common case, cost no timer."""

    def __init__(self, *, limits: ConnectionLimits, **options: Any) -> None:
        super().__init__(**options)
        self._limits = limits
        self._slow_timer: asyncio.TimerHandle | None = None
        self._is_receiving = True
        self._has_head = False
        self._head_bytes = 0
        self._may_be_large = False
        self._refusal = _MALFORMED

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a client in, or turn it away."""
        corked = CorkedTransport(cast("asyncio.Transport", transport), self.loop)
        super().connection_made(cast("asyncio.Transport", corked))
        if len(self.connections) > self._limits.connections_max:
            self._refuse(_TOO_MANY)
        else:
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse; then see to it that what is still missing comes in time."""
        self._is_receiving = True
        self._may_be_large = self._head_bytes + len(data) > self._limits.head_bytes_max
        super().data_received(data)
        if not self._is_receiving or self.transport.is_closing():
            return
        if not self._has_head:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.head_bytes_max:
                self._refuse(_TOO_LARGE)
                return
        self._start_timer()

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._is_receiving = True
        self._has_head = False
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Judge the head before anything is done with it."""
        limits = self._limits
        if len(self.headers) > limits.headers_max or (
            self._may_be_large and _head_bytes(self.url, self.headers) > limits.head_bytes_max
        ):
            self._refusal = _TOO_LARGE
            raise _HeadTooLargeError
        self._has_head = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request: all of it is here."""
        self._is_receiving = False
        self._has_head = False
        self._head_bytes = 0
        self._stop_timer()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text names nothing
        """Answer what the parser could not take."""
        self._refuse(self._refusal)

    def _refuse(self, problem: Problem) -> None:
        if not self._is_answering():
            self.transport.write(render_raw(problem))
        self.transport.close()

    def _is_answering(self) -> bool:
        """Tell whether bytes of another answer are due on this connection."""
        cycle: RequestResponseCycle | None = self.cycle  # uvicorn's type leaves the None out
        if cycle is None or cycle.response_complete:
            return False
        return not self._has_head or cycle.response_started or bool(self.pipeline)

    def _start_timer(self) -> None:
        if self._slow_timer is None:
            seconds = self._limits.request_seconds_max
            self._slow_timer = self.loop.call_later(seconds, self._on_slow)

    def _stop_timer(self) -> None:
        if self._slow_timer is not None:
            self._slow_timer.cancel()
            self._slow_timer = None

    def _on_slow(self) -> None:
        """Give up on the request that is arriving; one before it is answered first."""
        self._slow_timer = None
        if self.transport.is_closing():
            return
        if self._is_answering() and not self.cycle.response_started:
            self._start_timer()
        else:
            self._refuse(_TOO_SLOW)


def _head_bytes(url: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    return len(url) + sum(len(name) + len(value) for name, value in headers)


def render_raw(problem: Problem) -> bytes:
    """Give a problem as a whole HTTP/1.1 response that ends the connection."""
    body = problem.body()
    lines = [
        f"HTTP/1.1 {problem.status} {problem.title}",
        "content-type: application/problem+json",
        f"content-length: {len(body)}",
        "connection: close",
        *(f"{name}: {value}" for name, value in problem.headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
