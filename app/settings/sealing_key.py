"""The text form of the key that seals secrets: 32 bytes in base64.

In: what `GREENTIC_SECRET_KEY` says. Out: the bytes. Refuses everything that is not exactly 32 of
them, with advice and without repeating the text.
"""

import base64
import binascii
from typing import Final

KEY_BYTES: Final = 32
KEY_TEXT_CHARS_MAX: Final = 64
"""Base64 of 32 bytes is 44 characters; the rest is room for blanks around it."""

ADVICE: Final = "make one with: openssl rand -base64 32"

_URL_ALPHABET: Final = str.maketrans("-_", "+/")


def parse_key(text: str) -> bytes:
    """Decode a key: base64 of either alphabet, padding optional. ValueError says how to make one.

    A key of zeros, or of any one byte, is refused too: it is an example, not a secret.
    """
    stripped = text[:KEY_TEXT_CHARS_MAX].strip().rstrip("=").translate(_URL_ALPHABET)
    try:
        raw = base64.b64decode(stripped + "=" * (-len(stripped) % 4), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != KEY_BYTES:
        raise ValueError(f"must be {KEY_BYTES} bytes in base64; {ADVICE}")
    if len(set(raw)) == 1:
        raise ValueError(f"is one byte repeated, which anybody can guess; {ADVICE}")
    return raw


def format_key(key: bytes) -> str:
    """Encode a key as `parse_key` reads it."""
    return base64.b64encode(key).decode()
