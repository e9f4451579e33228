"""Bodies of answers, read whole within bounds.

In: the parts of a body as they come, the answer's headers. Out: the body without its coding.
Refuses more than the limit, counted both as it comes and unpacked, so that neither a small answer
that unpacks to a huge one nor a huge one that unpacks to nothing costs more than the limit.
Refuses codings that were not asked for.
"""

import zlib
from collections.abc import AsyncIterable, Mapping
from typing import Final

from actors.errors import PermanentError, TransientError

ACCEPTED_CODING: Final = "gzip"
CODING_BYTES_MAX: Final = 64 * 1024
"""What a coding may add to a body that it should make smaller."""

_GZIP_NAMES: Final = frozenset({"gzip", "x-gzip"})
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


async def read_body(
    parts: AsyncIterable[bytes], headers: Mapping[str, str], bytes_max: int
) -> bytes:
    """Read all of it; PermanentError (`too_large`, `http.coding`), TransientError if it breaks."""
    unpack = _Unpacker(headers.get("content-encoding", ""))
    whole = bytearray()
    came_bytes = 0
    async for part in parts:
        came_bytes += len(part)
        whole += unpack(part, bytes_max - len(whole))
        if len(whole) > bytes_max or came_bytes > bytes_max + CODING_BYTES_MAX:
            raise PermanentError(f"the answer is larger than {bytes_max} bytes", reason="too_large")
    unpack.check_end()
    return bytes(whole)


class _Unpacker:
    """Undoes one gzip coding, never giving much more than is wanted."""

    def __init__(self, coding: str) -> None:
        name = coding.strip().lower()
        if name not in ("", "identity") and name not in _GZIP_NAMES:
            raise PermanentError(
                "the answer has a coding that was not asked for", reason="http.coding"
            )
        self._member = zlib.decompressobj(_GZIP_WINDOW) if name in _GZIP_NAMES else None
        self._has_begun = False

    def __call__(self, part: bytes, wanted: int) -> bytes:
        if self._member is None:
            return part
        unpacked = bytearray()
        while part and len(unpacked) <= wanted:
            if self._member.eof:
                # A stream may have several members (RFC 1952, 2.2), and padding at its end.
                part = part.lstrip(b"\0")
                if not part:
                    break
                self._member = zlib.decompressobj(_GZIP_WINDOW)
            self._has_begun = True
            # One byte more than fits is enough to know that it does not.
            unpacked += self._unpack(self._member, part, wanted - len(unpacked) + 1)
            part = self._member.unused_data
        return bytes(unpacked)

    def _unpack(self, member: "zlib._Decompress", part: bytes, wanted: int) -> bytes:
        try:
            return member.decompress(part, wanted)
        except zlib.error as error:
            raise TransientError("the answer cannot be unpacked", reason="http.broken") from error

    def check_end(self) -> None:
        """Refuse an answer that broke off in the middle."""
        if self._member is not None and self._has_begun and not self._member.eof:
            raise TransientError("the answer broke off", reason="http.broken")
