"""The text form of the keys that seal secrets: 32 bytes in base64, by commas or lines.

In: what `GREENTIC_SECRET_KEY` or a key file says. Out: the bytes, the current key first. Refuses
everything that is not exactly 32 of them, more than 8 keys, and the same key twice, with advice and
without repeating the text.
"""

import base64
import binascii
import re
from typing import Final

KEY_BYTES: Final = 32
KEY_TEXT_CHARS_MAX: Final = 64
"""Base64 of 32 bytes is 44 characters; the rest is room for blanks around it."""
KEYS_MAX: Final = 8
"""The current key and those of the past that records may still be sealed with."""
KEYS_TEXT_CHARS_MAX: Final = KEYS_MAX * (KEY_TEXT_CHARS_MAX + 2)

ADVICE: Final = "make one with: openssl rand -base64 32"

_URL_ALPHABET: Final = str.maketrans("-_", "+/")
_SEPARATOR: Final = re.compile(r"[,\n]")


def parse_keys(text: str) -> tuple[bytes, ...]:
    """Decode keys, the current one first. ValueError says which of them is wrong, by its place."""
    parts = [part for part in _SEPARATOR.split(text[: KEYS_TEXT_CHARS_MAX + 1]) if part.strip()]
    if len(text) > KEYS_TEXT_CHARS_MAX or len(parts) > KEYS_MAX:
        raise ValueError(f"holds more than {KEYS_MAX} keys, or what is none; {ADVICE}")
    if len(parts) <= 1:
        return (parse_key(text),)
    keys: list[bytes] = []
    for number, part in enumerate(parts, start=1):
        try:
            key = parse_key(part)
        except ValueError as error:
            raise ValueError(f"key {number} of {len(parts)} {error}") from None
        if key in keys:
            raise ValueError(f"key {number} of {len(parts)} is there twice")
        keys.append(key)
    return tuple(keys)


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
