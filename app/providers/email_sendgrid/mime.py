"""A mail in MIME, as Inbound Parse posts it in raw mode.

In: the bytes of a mail. Out: its headers, text, HTML and attachments. Refuses nothing: a mail is
what strangers write, and whatever cannot be read stays as it came. The body is split here, by the
boundaries alone; the standard library's parser takes it line by line, and a mail of 30 MB would
hold the event loop for seconds. Heads, a few KiB each, are the library's.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.parser import HeaderParser
from email.policy import compat32
from typing import Final

from app.providers.email_sendgrid.charset import decode_text
from app.providers.email_sendgrid.form import clean_filename

HEAD_BYTES_MAX: Final = 128 * 1024
"""The library reads a head at a few MB a second; the rest of a longer one is body."""
PART_HEAD_BYTES_MAX: Final = 8 * 1024
HEADER_CHARS_MAX: Final = 16 * 1024
PARAMETERS_CHARS_MAX: Final = 2 * 1024
"""Of a Content-Type or Content-Disposition: the library's time is quadratic in them."""
HEADERS_MAX: Final = 200
PARTS_MAX: Final = 200
"""Of a mail, multiparts among them."""
DELIMITERS_MAX: Final = 10_000
"""Places in a multipart that look like its boundary."""
DEPTH_MAX: Final = 10
"""Multiparts within multiparts; deeper ones stay one part."""

_EMPTY_LINE: Final = re.compile(rb"\r?\n\r?\n")
_EMPTY_FIRST_LINE: Final = re.compile(rb"\r?\n")
_AFTER_DELIMITER: Final = re.compile(rb"(--)?[ \t]*(?:\r?\n|\Z)")
_LINE_FEED: Final = 0x0A
_FOLD: Final = re.compile(r"\r?\n(?=[ \t])")
_PARSER: Final = HeaderParser(policy=compat32)


@dataclass(frozen=True, slots=True)
class MimePart:
    """A leaf of a mail: its media type, what it is called, and its bytes, decoded."""

    media_type: str
    content: bytes = field(repr=False)
    charset: str = ""
    filename: str | None = None
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class ParsedMail:
    """A mail taken apart. ``text`` and ``html`` are the first parts of their type."""

    headers: tuple[tuple[str, str], ...]
    text: str | None
    html: str | None
    attachments: tuple[MimePart, ...]
    is_exact: bool
    """False where a charset was unknown or wrong, or there was more than the limits let through."""


def parse_mail(content: bytes) -> ParsedMail:
    """Take a mail apart. Linear in its bytes for each level of multiparts."""
    whole = _Section(content, 0, len(content))
    walk = _Walk()
    texts: dict[str, str] = {}
    attachments: list[MimePart] = []
    is_exact = True
    for part in walk.leaves(whole, DEPTH_MAX):
        if part.filename is None and part.media_type in _BODIES and part.media_type not in texts:
            text, fits = decode_text(part.content, part.charset)
            texts[part.media_type] = text
            is_exact &= fits
        else:
            attachments.append(part)
    head, _ = whole.split_head(HEAD_BYTES_MAX)
    return ParsedMail(
        parse_headers(head),
        texts.get("text/plain"),
        texts.get("text/html"),
        tuple(attachments),
        is_exact and walk.room >= 0,
    )


_BODIES: Final = ("text/plain", "text/html")


def parse_headers(block: str) -> tuple[tuple[str, str], ...]:
    """Read a block of headers: lower-case names, values unfolded and their words decoded."""
    found: list[tuple[str, str]] = []
    for name, value in _message(block).items():
        if len(found) >= HEADERS_MAX:
            break
        found.append((name.lower(), _decode_words(_FOLD.sub("", str(value)))))
    return tuple(found)


def _message(block: str) -> Message:
    message = _PARSER.parsestr(block[:HEAD_BYTES_MAX] + "\n\n", headersonly=True)
    for name in ("content-type", "content-disposition"):
        value = message.get(name)
        if value is not None and len(str(value)) > PARAMETERS_CHARS_MAX:
            message.replace_header(name, str(value)[:PARAMETERS_CHARS_MAX])
    return message


class _Walk:
    """Goes through a mail's parts, as many as there may be."""

    def __init__(self) -> None:
        self.room = PARTS_MAX
        """How many more parts are looked at; negative once some were left out."""

    def leaves(self, section: "_Section", depth: int) -> Iterator[MimePart]:
        self.room -= 1
        if self.room < 0:
            return
        is_whole = depth == DEPTH_MAX
        head, body = section.split_head(HEAD_BYTES_MAX if is_whole else PART_HEAD_BYTES_MAX)
        message = _message(head)
        media_type = message.get_content_type()
        boundary = _parameter(message, "boundary") if media_type.startswith("multipart/") else None
        parts = body.split(boundary) if boundary and depth else []
        if not parts:
            yield _leaf(message, media_type, body.content[body.start : body.end])
        for part in parts:
            yield from self.leaves(part, depth - 1)


@dataclass(frozen=True, slots=True)
class _Section:
    """A stretch of a mail; it is copied only once it is known to be a leaf."""

    content: bytes = field(repr=False)
    start: int
    end: int

    def split_head(self, bytes_max: int) -> tuple[str, "_Section"]:
        """Part the head from the body at the first empty line."""
        head_end = min(self.end, self.start + bytes_max)
        found = _EMPTY_FIRST_LINE.match(self.content, self.start, head_end)
        if found is None:
            found = _EMPTY_LINE.search(self.content, self.start, head_end)
        if found is not None:
            head_end, body_start = found.span()
        else:
            body_start = head_end
        head = self.content[self.start : head_end].decode("utf-8", "replace")
        return head, _Section(self.content, body_start, self.end)

    def split(self, boundary: str) -> list["_Section"]:
        """Give what stands between the delimiters, without the break before each (RFC 2046 5.1)."""
        delimiter = b"--" + boundary.encode("utf-8", "replace")
        found: list[_Section] = []
        part_start = None
        at = self.start
        for _ in range(DELIMITERS_MAX):
            at = self.content.find(delimiter, at, self.end)
            if at < 0:
                break
            rest = _AFTER_DELIMITER.match(self.content, at + len(delimiter), self.end)
            if rest is not None and (at == self.start or self.content[at - 1] == _LINE_FEED):
                if part_start is not None:
                    found.append(self._between(part_start, at))
                if rest.group(1):
                    return found
                part_start = rest.end()
            at += len(delimiter)
        if part_start is not None:
            found.append(_Section(self.content, part_start, self.end))
        return found

    def _between(self, start: int, delimiter: int) -> "_Section":
        end = delimiter - 1
        if self.content[end - 1 : end] == b"\r":
            end -= 1
        return _Section(self.content, start, max(start, end))


def _leaf(message: Message, media_type: str, body: bytes) -> MimePart:
    filename = _parameter(message, "filename", "content-disposition") or _parameter(message, "name")
    content_id = message.get("content-id")
    return MimePart(
        media_type=media_type,
        content=_decode_body(str(message.get("content-transfer-encoding", "")), body),
        charset=_parameter(message, "charset") or "",
        filename=_filename(message, filename),
        content_id=None if content_id is None else str(content_id).strip().strip("<>")[:256],
    )


def _filename(message: Message, filename: str | None) -> str | None:
    """Give the name of a file; a part to be saved without one is a file with an empty name."""
    if filename is not None:
        return clean_filename(_decode_words(filename))
    disposition = str(message.get("content-disposition", "")).strip().lower()
    return "" if disposition.startswith("attachment") else None


def _parameter(message: Message, name: str, header: str = "content-type") -> str | None:
    """Give a parameter of a header, RFC 2231 forms too; None where there is none to be read."""
    try:
        value = message.get_param(name, header=header)
    except (ValueError, LookupError, TypeError):  # continuations that do not fit together
        return None
    if isinstance(value, tuple):
        charset, _, text = value
        return decode_text(text.encode("latin-1", "replace"), charset or "")[0]
    return value if isinstance(value, str) else None


def _decode_body(encoding: str, body: bytes) -> bytes:
    """Undo the transfer encoding; a body that has none of it stays as it is."""
    match encoding.strip().lower():
        case "base64":
            try:
                return binascii.a2b_base64(body)
            except binascii.Error:
                return body
        case "quoted-printable":
            return binascii.a2b_qp(body)
        case _:
            return body


def _decode_words(value: str) -> str:
    """Decode the encoded words of RFC 2047; a value too long for that stays as it is, cut."""
    value = value[:HEADER_CHARS_MAX].strip()
    if "=?" not in value:
        return value
    try:
        words = decode_header(value)
    except (HeaderParseError, ValueError):
        return value
    return "".join(
        word if isinstance(word, str) else decode_text(word, charset or "latin-1")[0]
        for word, charset in words
    )
