"""Messages asked of a stream's leader.

In: a stream and a subject, which may have wildcards, or a sequence. Out: its last message, or the
one there; None where there is none. Refuses with UnavailableError when no leader answers. Slower
than a direct get (0.4 ms), which any replica may answer from what it has (up to one in four was a
moment old, read right after the write): for where being right is worth that.
"""

import base64
from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec

from actors.errors import UnavailableError
from app.bus.direct import StoredMessage

LOOKUP_SECONDS: Final = 5.0
RETRY_AFTER_SECONDS: Final = 1.0
_NO_MESSAGE: Final = 10037


class Answer(Protocol):
    """An answer off the bus."""

    @property
    def data(self) -> bytes:
        """Its payload."""
        ...


class Asker(Protocol):
    """What a lookup needs of the bus: a question and its answer."""

    async def request(self, subject: str, data: bytes, *, timeout_seconds: float) -> Answer:
        """Ask and wait for one answer; UnavailableError when none comes."""
        ...


async def read_last(asker: Asker, stream: str, subject: str) -> StoredMessage | None:
    """Give the last message stored under a subject, as the leader has it."""
    return await _read(asker, stream, {"last_by_subj": subject})


async def read_at(asker: Asker, stream: str, sequence: int) -> StoredMessage | None:
    """Give the message with this sequence, as the leader has it."""
    return await _read(asker, stream, {"seq": sequence})


async def read_next(asker: Asker, stream: str, pattern: str, sequence: int) -> StoredMessage | None:
    """Give the first message from this sequence on that matches, as the leader has it."""
    return await _read(asker, stream, {"next_by_subj": pattern, "seq": sequence})


async def _read(asker: Asker, stream: str, wanted: Mapping[str, Any]) -> StoredMessage | None:
    answer = await asker.request(
        f"$JS.API.STREAM.MSG.GET.{stream}",
        msgspec.json.encode(wanted),
        timeout_seconds=LOOKUP_SECONDS,
    )
    document: dict[str, Any] = msgspec.json.decode(answer.data)
    message = document.get("message")
    if message is not None:
        return StoredMessage(
            message["subject"],
            message["seq"],
            base64.b64decode(message.get("data") or ""),
            _headers(base64.b64decode(message.get("hdrs") or "")),
        )
    if (document.get("error") or {}).get("err_code") == _NO_MESSAGE:
        return None
    raise UnavailableError(
        f"{stream} does not tell a message", retry_after_seconds=RETRY_AFTER_SECONDS
    )


def _headers(block: bytes) -> Mapping[str, str]:
    lines = (line.partition(":") for line in block.decode("utf-8", "replace").split("\r\n")[1:])
    return {name.strip(): value.strip() for name, colon, value in lines if colon}
