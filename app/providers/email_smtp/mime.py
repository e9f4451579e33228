"""Parts of a mail in MIME (RFC 2045, 2046, 2387).

In: texts, files, other parts. Out: parts: their own headers and a body, in ASCII with CRLF and in
lines that every server takes (7bit). A boundary is made of what it bounds, so that a mail that is
built again comes out the same.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from app.providers.email.attachment import TYPE_DEFAULT, Attachment
from app.providers.email_smtp.headers import FOLD, parameter, write_header

_LINE_BREAK: Final = re.compile(r"\r\n|\r|\n")
_LINE_CHARS_MAX: Final = 900
_QUOTED_SHARE_MAX: Final = 0.2
"""More characters than this outside ASCII make base64 the shorter form."""
_BASE64_LINE_BYTES: Final = 57
"""76 characters of base64."""
_UNFIT_TYPES: Final = ("message/", "multipart/")
"""They must not be in base64 (RFC 2046 5.2.1); as files they travel without their type."""


@dataclass(frozen=True, slots=True)
class Part:
    """Headers about the content, each line ended, and the content."""

    headers: str
    content: bytes = field(repr=False)

    def as_bytes(self) -> bytes:
        """Give headers, the empty line and the content."""
        return self.headers.encode("ascii") + b"\r\n" + self.content


def text_part(text: str, subtype: str) -> Part:
    """Write a text; every line break in it becomes the mail's."""
    lines = _LINE_BREAK.split(text)
    if text.isascii() and max(map(len, lines)) <= _LINE_CHARS_MAX:
        return _part(f'text/{subtype}; charset="utf-8"', "7bit", "\r\n".join(lines).encode("ascii"))
    encoded = "\r\n".join(lines).encode()
    foreign = sum(char > "\x7f" for char in text)
    if foreign > len(text) * _QUOTED_SHARE_MAX:
        return _part(f'text/{subtype}; charset="utf-8"', "base64", _in_base64(encoded))
    quoted = binascii.b2a_qp("\n".join(lines).encode(), istext=True).replace(b"\n", b"\r\n")
    return _part(f'text/{subtype}; charset="utf-8"', "quoted-printable", quoted)


def file_part(attachment: Attachment) -> Part:
    """Write a file."""
    media_type = attachment.type
    if media_type.startswith(_UNFIT_TYPES):
        media_type = TYPE_DEFAULT
    name = parameter("filename", attachment.filename)
    more = write_header("Content-Disposition", f"{attachment.disposition};{FOLD}{name}")
    if attachment.content_id is not None:
        more += write_header("Content-ID", f"<{attachment.content_id}>")
    return _part(media_type, "base64", _in_base64(attachment.decode()), more)


def multipart(subtype: str, parts: Sequence[Part]) -> Part:
    """Join parts under one type: `mixed`, `alternative`, `related`; a single part stays itself."""
    if len(parts) == 1:
        return parts[0]
    written = [part.as_bytes() for part in parts]
    boundary = _boundary(subtype, written)
    delimiter = b"--" + boundary
    content = b"".join(delimiter + b"\r\n" + part + b"\r\n" for part in written)
    text = boundary.decode("ascii")
    headers = write_header("Content-Type", f'multipart/{subtype};{FOLD}boundary="{text}"')
    return Part(headers, content + delimiter + b"--\r\n")


def _boundary(subtype: str, parts: Sequence[bytes]) -> bytes:
    digest = hashlib.blake2b(subtype.encode(), digest_size=16)
    for part in parts:
        digest.update(part)
    while True:
        boundary = b"=_" + digest.hexdigest().encode("ascii")
        if not any(boundary in part for part in parts):
            return boundary
        digest.update(b"once more")


def _part(content_type: str, encoding: str, content: bytes, more: str = "") -> Part:
    headers = write_header("Content-Type", content_type)
    return Part(headers + write_header("Content-Transfer-Encoding", encoding) + more, content)


def _in_base64(content: bytes) -> bytes:
    encoded = base64.b64encode(content)
    width = _BASE64_LINE_BYTES * 4 // 3
    return b"\r\n".join(encoded[at : at + width] for at in range(0, len(encoded), width))
