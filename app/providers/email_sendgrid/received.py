"""A received mail as an event's payload, with what is too large for it aside.

In: the parts of a mail, however it was posted. Out: a payload that fits an event, and the blobs it
names. A blob is named by the hash of its bytes, so the same file is stored once; ``object`` is its
name in the bucket, where it stands below its tenant's.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from app.providers.email_sendgrid.mime import MimePart
from app.providers.email_sendgrid.shortening import (
    BODY_BYTES_MAX,
    HEADERS_BYTES_MAX,
    LINE_BYTES_MAX,
    WORD_BYTES_MAX,
    json_bytes,
    shorten,
)
from app.providers.provider import Blob

TYPE_DEFAULT: Final = "application/octet-stream"
CONTENT_ID_CHARS_MAX: Final = 128

_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}")
_LINES: Final = ("from", "to", "cc", "subject", "spam_report")
_WORDS: Final = ("dkim", "SPF", "sender_ip")


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """A mail as it was posted: texts by SendGrid's names of the fields, the rest apart."""

    texts: Mapping[str, str]
    headers: Sequence[tuple[str, str]]
    envelope: Mapping[str, Any] | None
    attachments: Sequence[MimePart]
    problems: Sequence[str] = ()
    """What could not be read as it was written, a sentence each."""
    raw: bytes | None = field(default=None, repr=False)
    """The whole mail, in raw mode."""

    def header(self, name: str) -> str | None:
        """Give the first header of that lower-case name."""
        return next((value for key, value in self.headers if key == name), None)


@dataclass(slots=True)
class _Shelf:
    """Collects blobs, each once."""

    tenant: str
    blobs: dict[str, Blob] = field(default_factory=dict)

    def put(self, content: bytes, media_type: str) -> dict[str, Any]:
        """Take bytes in; give what a payload says of them."""
        digest = hashlib.sha256(content).hexdigest()
        self.blobs.setdefault(digest, Blob(digest, content, media_type))
        return {
            "type": media_type,
            "size": len(content),
            "sha256": digest,
            "object": f"{self.tenant}/{digest}",
        }


def build_payload(mail: ReceivedMail, tenant: str) -> tuple[dict[str, Any], tuple[Blob, ...]]:
    """Give the payload of ``email.received`` and the blobs it names."""
    shelf = _Shelf(tenant)
    truncated: dict[str, Any] = {}
    payload: dict[str, Any] = {
        **_short(mail.texts, _LINES, LINE_BYTES_MAX, truncated),
        **_short(mail.texts, _WORDS, WORD_BYTES_MAX, truncated),
        **_bodies(mail.texts, shelf, truncated),
        "message_id": _optional(mail.header("message-id"), WORD_BYTES_MAX),
        "headers": _headers(mail.headers, truncated),
        "envelope": mail.envelope,
        "spam_score": _number(mail.texts.get("spam_score")),
        "attachments": [_attachment(part, shelf) for part in mail.attachments],
    }
    if mail.raw is not None:
        payload["raw"] = shelf.put(mail.raw, "message/rfc822")
    if truncated:
        payload["truncated"] = truncated
    if mail.problems:
        payload["problems"] = list(mail.problems)
    return payload, tuple(shelf.blobs.values())


def _short(
    texts: Mapping[str, str], names: Iterable[str], bytes_max: int, truncated: dict[str, Any]
) -> dict[str, str | None]:
    """Take texts of a line or a word; one that does not fit is cut, and marked."""
    found = {name: _optional(texts.get(name), bytes_max) for name in names}
    truncated.update({name: True for name in names if found[name] != texts.get(name)})
    return found


def _bodies(
    texts: Mapping[str, str], shelf: _Shelf, truncated: dict[str, Any]
) -> dict[str, str | None]:
    """Take text and HTML; one that does not fit is cut, and stored as a whole beside."""
    found: dict[str, str | None] = {}
    for name, media_type in (("text", "text/plain"), ("html", "text/html")):
        whole = texts.get(name)
        found[name] = _optional(whole, BODY_BYTES_MAX)
        if whole is not None and found[name] != whole:
            truncated[name] = shelf.put(whole.encode("utf-8", "replace"), media_type)
    return found


def _optional(text: str | None, bytes_max: int) -> str | None:
    return None if text is None else shorten(text, bytes_max)


def _headers(headers: Sequence[tuple[str, str]], truncated: dict[str, Any]) -> dict[str, Any]:
    """Give headers by name; one that came several times is a list of its values."""
    found: dict[str, Any] = {}
    room = HEADERS_BYTES_MAX
    for name, value in headers:
        room -= json_bytes(name) + json_bytes(value) + len("[],:")
        if room < 0:
            truncated["headers"] = True
            break
        earlier = found.get(name)
        if earlier is None:
            found[name] = value
        else:
            found[name] = [*earlier, value] if isinstance(earlier, list) else [earlier, value]
    return found


def _attachment(part: MimePart, shelf: _Shelf) -> dict[str, Any]:
    media_type = part.media_type.lower()
    if not _TYPE.fullmatch(media_type):
        media_type = TYPE_DEFAULT
    content_id = part.content_id
    return {
        "filename": part.filename or None,
        "content_id": content_id[:CONTENT_ID_CHARS_MAX] if content_id else None,
        **shelf.put(part.content, media_type),
    }


def _number(text: str | None) -> float | None:
    """Read SendGrid's spam score; None for what is no plain number."""
    if text is None or not re.fullmatch(r"[+-]?[0-9]{1,9}(?:\.[0-9]{1,9})?", text.strip()):
        return None
    return float(text)
