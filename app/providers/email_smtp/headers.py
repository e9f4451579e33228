"""Header lines of a mail (RFC 5322, 2047, 2231).

In: texts without control characters. Out: lines in ASCII, folded, joined by CRLF. The standard
library's folding is not used: in Python 3.11 it loses the recipient behind some names, and takes a
third of a second for a thousand of them.
"""

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote

from app.providers.email.address import Address

LINE_CHARS_WANTED: Final = 76
"""RFC 5322 2.1.1: 78 should not be exceeded, 998 must not."""
FOLD: Final = "\r\n "

_WORD_BYTES_MAX: Final = 45
"""Of text in one encoded word: 60 characters of base64 and 12 around it; 75 are allowed."""
_PIECE_CHARS_MAX: Final = 54
_ATOMS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_TOKEN: Final = re.compile(r" *[^ ]+")
_LOOKS_ENCODED: Final = "=?"


def write_header(name: str, value: str) -> str:
    """Write one line, its value folded already."""
    return f"{name}: {value}\r\n"


def unstructured(text: str, name: str) -> str:
    """Write free text, as of a subject; the header's ``name`` takes room on its first line."""
    if not text.isascii() or _LOOKS_ENCODED in text:
        return _encoded(text)
    lines: list[str] = []
    line = ""
    for token in _TOKEN.findall(text.strip()):
        room = LINE_CHARS_WANTED - (len(name) + 2 if not lines else 0)
        if line and len(line) + len(token) > room:
            lines.append(line)
            line = ""
        line += token
    return "\r\n".join([*lines, line])


def phrase(text: str) -> str:
    """Write a word of a structured header: a display name, a keyword."""
    if not text.isascii() or _LOOKS_ENCODED in text:
        return _encoded(text)
    if _ATOMS.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def address_list(addresses: Iterable[Address]) -> str:
    """Write mailboxes, each on a line of its own."""
    return f",{FOLD}".join(_mailbox(address) for address in addresses)


def phrase_list(texts: Iterable[str]) -> str:
    """Write phrases, each on a line of its own."""
    return f",{FOLD}".join(map(phrase, texts))


def parameter(name: str, text: str) -> str:
    """Write a parameter, as of a file's name; long or not in ASCII in the form of RFC 2231."""
    if text.isascii() and len(text) <= _PIECE_CHARS_MAX:
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'{name}="{quoted}"'
    pieces = list(_pieces(text))
    return f";{FOLD}".join(
        f"{name}*{number}*={charset}{piece}"
        for number, (charset, piece) in enumerate(
            zip(["utf-8''"] + [""] * len(pieces), pieces, strict=False)
        )
    )


def _mailbox(address: Address) -> str:
    return f"{phrase(address.name)} <{address.email}>" if address.name else address.email


def _encoded(text: str) -> str:
    """Write encoded words, none of which ends within a character."""
    words = [base64.b64encode(chunk).decode() for chunk in _chunks(text)]
    return FOLD.join(f"=?utf-8?b?{word}?=" for word in words)


def _chunks(text: str) -> Iterator[bytes]:
    chunk = b""
    for char in text:
        encoded = char.encode()
        if len(chunk) + len(encoded) > _WORD_BYTES_MAX:
            yield chunk
            chunk = b""
        chunk += encoded
    yield chunk


def _pieces(text: str) -> Iterator[str]:
    piece = ""
    for char in text:
        encoded = quote(char, safe="")
        if len(piece) + len(encoded) > _PIECE_CHARS_MAX:
            yield piece
            piece = ""
        piece += encoded
    yield piece
