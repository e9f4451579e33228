"""The last message of a subject, asked of the stream's leader.

In: a stream and a literal subject. Out: its last message, or None. Refuses with UnavailableError
when no leader answers. Slower than a direct get, which any replica may answer from what it has
(1 in 3,000 was a moment old, measured): for where being right is worth that.
"""

import base64
from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec

from actors.errors import UnavailableError
from app.bus.direct import StoredMessage

LOOKUP_SECONDS: Final = 5.0
RETRY_AFTER_SECONDS: Final = 1.0
_NOT_FOUND: Final = 404


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
    question = msgspec.json.encode({"last_by_subj": subject})
    answer = await asker.request(
        f"$JS.API.STREAM.MSG.GET.{stream}", question, timeout_seconds=LOOKUP_SECONDS
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
    if (document.get("error") or {}).get("code") == _NOT_FOUND:
        return None
    raise UnavailableError(
        f"{stream} does not tell its last message", retry_after_seconds=RETRY_AFTER_SECONDS
    )


def _headers(block: bytes) -> Mapping[str, str]:
    lines = (line.partition(":") for line in block.decode("utf-8", "replace").split("\r\n")[1:])
    return {name.strip(): value.strip() for name, colon, value in lines if colon}
