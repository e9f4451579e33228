"""Messages in NATS's own writing: the bytes of one publish command, and of a header block.

In: subject, data, reply subject, headers. Out: bytes to write to the socket. Refuses any text that
could end a line, so that no header value or subject can smuggle in a second command.

The client library can write these too; doing it here, once per message and in a synchronous call,
halves the price of a publish (DESIGN 3, speed limits of the parts).
"""

from collections.abc import Iterable
from typing import Final, Protocol

HEADER_VALUE_CHARS_MAX: Final = 1024

_VERSION: Final = "NATS/1.0\r\n"
_SUBJECT_CHARS_MAX: Final = 1024


class Received(Protocol):
    """A message as subscriptions hand it over; headers are None where it carried none."""

    subject: str
    reply: str
    data: bytes
    headers: dict[str, str] | None


def build_headers(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Write a header block. Names are ours; a value that is no printable ASCII is a ValueError."""
    lines = [_VERSION]
    for name, value in pairs:
        lines.append(f"{name}: {check_header_value(value)}\r\n")
    lines.append("\r\n")
    return "".join(lines).encode()


def check_header_value(value: str) -> str:
    """Give the value back if one header line can carry it unchanged, else ValueError."""
    if not (value.isascii() and value.isprintable()) or value != value.strip():
        raise ValueError("a header value must be printable ASCII without blanks at its ends")
    if not 0 < len(value) <= HEADER_VALUE_CHARS_MAX:
        raise ValueError(f"a header value must have 1 to {HEADER_VALUE_CHARS_MAX} characters")
    return value


def build_frame(subject: str, data: bytes, *, reply: str = "", headers: bytes = b"") -> bytes:
    """Write one publish command; a subject that cannot stand on its line is a ValueError."""
    _check_subject(subject)
    if reply:
        _check_subject(reply)
    if not headers:
        return b"%b%b\r\n" % (f"PUB {subject} {reply} {len(data)}\r\n".encode(), data)
    sizes = f"{len(headers)} {len(headers) + len(data)}"
    return b"%b%b%b\r\n" % (f"HPUB {subject} {reply} {sizes}\r\n".encode(), headers, data)


def _check_subject(subject: str) -> None:
    if not subject.isascii() or not subject.isprintable() or " " in subject:
        raise ValueError(f"{subject!r} cannot be a subject")
    if not 0 < len(subject) <= _SUBJECT_CHARS_MAX:
        raise ValueError(f"a subject must have 1 to {_SUBJECT_CHARS_MAX} characters")
