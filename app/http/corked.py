"""One write per answer: what is written in one turn of the event loop leaves together.

In: a transport. Out: the same transport, whose writes wait for the end of the turn. uvicorn writes
an answer's head and body apart and uvloop sends each at once: two system calls, two packets and
two wake-ups of the client for every webhook (measured: a sixth of the ingress's time).
"""

import asyncio
from typing import Any

WAITING_BYTES_MAX = 64 * 1024
"""A larger answer is sent at once: joining it would copy more than a system call costs."""


class CorkedTransport:
    """Joins small writes; all else goes straight to the transport."""

    __slots__ = ("_loop", "_transport", "_waiting", "_waiting_bytes")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send at the end of this turn, in the order written."""
        if not data:
            return
        if not self._waiting:
            self._loop.call_soon(self.flush)
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes > WAITING_BYTES_MAX:
            self.flush()

    def flush(self) -> None:
        """Send what waits; nothing, if it was sent already."""
        if not self._waiting:
            return
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        if not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Send what waits, then close."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what waits is not sent."""
        self._waiting.clear()
        self._transport.abort()
