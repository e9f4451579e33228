"""Reading an answer's body, bounded in what it takes once it is unpacked.

In: the parts as they come over the wire, and the answer's headers. Out: the bytes. Refuses bodies
over the limit as soon as they pass it, a small one that unpacks to a large one too, and codings
that nobody asked for.
"""

import zlib
from collections.abc import AsyncIterable, Mapping
from typing import Final

from actors.errors import PermanentError, TransientError

ACCEPTED_CODING: Final = "gzip"
_GZIP_NAMES: Final = frozenset({"gzip", "x-gzip"})
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


async def read_body(
    parts: AsyncIterable[bytes], headers: Mapping[str, str], bytes_max: int
) -> bytes:
    """Read all of it; PermanentError (`too_large`, `http.coding`)."""
    unpack = _Unpacker(headers.get("content-encoding", ""), bytes_max)
    whole = bytearray()
    async for part in parts:
        whole += unpack(part, bytes_max - len(whole))
        if len(whole) > bytes_max:
            raise PermanentError(f"the answer is larger than {bytes_max} bytes", reason="too_large")
    unpack.check_end()
    return bytes(whole)


class _Unpacker:
    """Undoes one gzip coding, never giving much more than is wanted."""

    def __init__(self, coding: str, bytes_max: int) -> None:
        name = coding.strip().lower()
        if name not in ("", "identity") and name not in _GZIP_NAMES:
            raise PermanentError(
                "the answer has a coding that was not asked for", reason="http.coding"
            )
        self._bytes_max = bytes_max
        self._object = zlib.decompressobj(_GZIP_WINDOW) if name in _GZIP_NAMES else None
        self._has_begun = False

    def __call__(self, part: bytes, wanted: int) -> bytes:
        if self._object is None:
            return part
        self._has_begun = self._has_begun or bool(part)
        try:
            # One byte more than fits is enough to know that it does not.
            return self._object.decompress(part, max(1, wanted + 1))
        except zlib.error as error:
            raise TransientError("the answer cannot be unpacked", reason="http.broken") from error

    def check_end(self) -> None:
        """Refuse an answer that broke off in the middle."""
        if self._object is not None and self._has_begun and not self._object.eof:
            raise TransientError("the answer broke off", reason="http.broken")
