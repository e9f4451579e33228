"""Reading a request's body, bounded.

In: the ASGI ``receive`` and a limit. Out: the bytes. Refuses a body over the limit, by its
Content-Length before a byte is read and by counting after that. How long a client may take is the
server's business (`app.http.protocol`): it closes the connection, which arrives here as gone.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from app.errors import BadRequestError, BodyTooLargeError
from app.http.asgi import ClientGoneError, Receive

DISCARD_BYTES_MAX: Final = 1024 * 1024
"""What is read of a refused body so that the client can hear why; a longer one is cut off."""

DISCARD_SECONDS_MAX: Final = 1.0
"""And for how long: a client that pauses to hear the answer is told it."""

_LENGTH_CHARS_MAX: Final = 18


class BodyReader:
    """The body of one request. It is either read, or discarded, or the connection is closed."""

    __slots__ = ("_receive", "headers", "is_complete")

    def __init__(self, receive: Receive, headers: Mapping[str, str]) -> None:
        self._receive = receive
        self.headers = headers
        self.is_complete = False
        """Whether the last byte has arrived, read or not."""

    async def read(self, bytes_max: int) -> bytes:
        """Read all of it; BodyTooLargeError as soon as it cannot fit, ClientGoneError if cut."""
        length = self.headers.get("content-length")
        if length is not None and _parse_length(length) > bytes_max:
            raise _too_large(bytes_max)
        part = await self._next()
        if self.is_complete and len(part) <= bytes_max:
            return part
        whole = bytearray(part)
        while len(whole) <= bytes_max:
            if self.is_complete:
                return bytes(whole)
            whole += await self._next()
        raise _too_large(bytes_max)

    async def discard(self) -> bool:
        """Read the rest away so that a refusal is heard; False: close the connection instead.

        A client that asked whether to send (Expect) and one that announces too much are not read.
        """
        length = self.headers.get("content-length", "0")
        if not self.is_complete and ("expect" in self.headers or _is_too_long(length)):
            return False
        budget = DISCARD_BYTES_MAX
        try:
            async with asyncio.timeout(DISCARD_SECONDS_MAX):
                while not self.is_complete and budget > 0:
                    budget -= max(1, len(await self._next()))
        except TimeoutError:
            return False
        return self.is_complete

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] != "http.request":
            raise ClientGoneError
        self.is_complete = not message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part


def _parse_length(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > _LENGTH_CHARS_MAX:
        raise BadRequestError("the Content-Length is not a number")
    return int(text)


def _is_too_long(length: str) -> bool:
    try:
        return _parse_length(length) > DISCARD_BYTES_MAX
    except BadRequestError:
        return True


def _too_large(bytes_max: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"the body may have at most {bytes_max} bytes")
