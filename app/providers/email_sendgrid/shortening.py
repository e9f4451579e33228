"""Parts of a mail cut to what an event has room for.

In: texts, and how many bytes each may have as JSON. Out: texts that fit. A stored event has at most
768 KiB (SPEC 13), and the same text may take one byte a character or six.
"""

from typing import Final

import msgspec

BODY_BYTES_MAX: Final = 80 * 1024
"""Of ``text`` and ``html`` each; a longer one is in the object store as a whole."""
LINE_BYTES_MAX: Final = 16 * 1024
"""Of ``from``, ``to``, ``cc``, ``subject``, ``spam_report`` and the envelope each."""
WORD_BYTES_MAX: Final = 4 * 1024
"""Of ``dkim``, ``SPF`` and ``sender_ip`` each."""
HEADERS_BYTES_MAX: Final = 64 * 1024
"""Of all headers; those after are left out."""

_SHRINK: Final = 0.8
_encode: Final = msgspec.json.Encoder().encode


def json_bytes(value: object) -> int:
    """Count a JSON value's bytes, quotes included."""
    return len(_encode(value))


def shorten(text: str, bytes_max: int) -> str:
    """Give the beginning of a text that fits, or all of it."""
    text = text[:bytes_max]  # a character has a byte at least; do not measure megabytes
    while (size := json_bytes(text)) > bytes_max:
        text = text[: int(len(text) * bytes_max / size * _SHRINK)]
    return text
