"""The few ASGI shapes the hot path needs, and how a whole answer is sent.

In: status, headers and bytes. Out: the two messages of an ASGI answer. Starlette is left out here
on purpose: its request and response objects cost more than everything else a webhook needs.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from app.http.problems import Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON: Final = (b"content-type", b"application/json")
PROBLEM_JSON: Final = (b"content-type", b"application/problem+json")
CLOSE: Final = (b"connection", b"close")
NO_STORE: Final = (b"cache-control", b"no-store")

RawHeaders = list[tuple[bytes, bytes]]


class ClientGoneError(Exception):
    """The client closed the connection: there is nobody to answer. Stays inside this package."""


async def send_bytes(send: Send, status: int, headers: RawHeaders, body: bytes) -> None:
    """Send a whole answer; the length is added here."""
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_problem(send: Send, problem: Problem, *, closes: bool = False) -> None:
    """Send a problem; ``closes`` ends the connection, for a body that was not read."""
    headers: RawHeaders = [PROBLEM_JSON, NO_STORE]
    headers += [(name.encode(), value.encode()) for name, value in problem.headers.items()]
    if closes:
        headers.append(CLOSE)
    await send_bytes(send, problem.status, headers, problem.body())
