"""The parts of a signature as they stand in headers: texts, digests, timestamps.

In: a request's headers. Out: values of the right form. Refuses, with RefusalError, what is missing,
not ASCII, too long, repeated, or of another form; it says which, and where it can, what it looks
like instead. Never repeats what it was given.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from app.providers.signatures.scheme import MALFORMED, MISSING, TOO_NEW, TOO_OLD, RefusalError

HEADER_CHARS_MAX: Final = 8192
"""No scheme's header comes near it."""

CANDIDATES_MAX: Final = 32
"""Signatures in one header. Senders put a second one there while a secret changes."""

HEX: Final = "hex"
BASE64: Final = "base64"

_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_URL_BASE64 = re.compile(r"[A-Za-z0-9_-]+={0,2}")
_DIGITS = re.compile(r"[0-9]{1,20}")
_FRACTION = re.compile(r"[0-9]{1,20}\.[0-9]+")
_MILLISECONDS_FROM: Final = 100_000_000_000
"""As seconds this is the year 5138; as milliseconds, 1973."""
_HASHES: Final = ("md5", "sha1", "sha256", "sha384", "sha512")


def read_header(headers: Mapping[str, str], name: str) -> str:
    """Give the value of a header that must be there once, as visible ASCII."""
    value = read_text(headers, name)
    if ", " in value:
        # Two headers of a name arrive joined like this; taking either would be a guess.
        raise RefusalError(MALFORMED, f"the header {name} came more than once, or has a list in it")
    return value


def read_text(headers: Mapping[str, str], name: str) -> str:
    """Give the value of a header that must be there, as ASCII of a sensible length."""
    value = headers.get(name)
    if value is None:
        raise RefusalError(MISSING, f"the header {name} is missing")
    if not value.strip():
        raise RefusalError(MISSING, f"the header {name} is empty")
    if len(value) > HEADER_CHARS_MAX:
        raise RefusalError(MALFORMED, f"the header {name} is {len(value)} characters long")
    if not (value.isascii() and value.isprintable()):
        raise RefusalError(
            MALFORMED, f"the header {name} has characters that are no printable ASCII"
        )
    return value


def decode_digest(text: str, hash_name: str, encodings: tuple[str, ...]) -> bytes:
    """Read a digest of this hash from hex of either case, or from base64, padded or not."""
    size = hashlib.new(hash_name).digest_size
    for encoding, decode in ((HEX, decode_hex), (BASE64, decode_base64)):
        decoded = decode(text) if encoding in encodings else None
        if decoded is not None and len(decoded) == size:
            return decoded
    raise RefusalError(MALFORMED, _explain(text, hash_name, encodings))


def read_each(texts: Sequence[str], read: Callable[[str], bytes]) -> list[bytes]:
    """Read several signatures of which one at least must be readable.

    While a secret changes, senders put the old one's and the new one's there. Refuses for the
    reason of the first.
    """
    if len(texts) > CANDIDATES_MAX:
        raise RefusalError(MALFORMED, f"there are {len(texts)} signatures in one header")
    found: list[bytes] = []
    refusals: list[RefusalError] = []
    for text in texts:
        try:
            found.append(read(text))
        except RefusalError as refusal:
            refusals.append(refusal)
    if not found:
        raise refusals[0]
    return found


def decode_hex(text: str) -> bytes | None:
    """Read hex; None for anything else."""
    try:
        return binascii.unhexlify(text) if text.isascii() else None
    except (ValueError, binascii.Error):
        return None


def decode_base64(text: str) -> bytes | None:
    """Read base64 of the standard alphabet, padded or not; None for anything else.

    Only the one spelling that an encoder gives: spare bits in the last character must be zero, so
    that no second text stands for the same signature.
    """
    if not _BASE64.fullmatch(text):
        return None
    bare = text.rstrip("=")
    try:
        decoded = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
    return decoded if base64.b64encode(decoded).decode().rstrip("=") == bare else None


def read_timestamp(text: str, name: str) -> int:
    """Read whole seconds since the epoch, written in digits alone."""
    if _FRACTION.fullmatch(text):
        raise RefusalError(MALFORMED, f"the timestamp in {name} has a fraction")
    if not _DIGITS.fullmatch(text):
        raise RefusalError(MALFORMED, f"the timestamp in {name} is no number of seconds")
    timestamp = int(text)
    if timestamp >= _MILLISECONDS_FROM:
        raise RefusalError(
            MALFORMED, f"the timestamp in {name} is no number of seconds: milliseconds, perhaps"
        )
    return timestamp


def check_age(timestamp: int, now_seconds: float, past_seconds: int, future_seconds: int) -> None:
    """Refuse a timestamp too far from now, either way."""
    age = int(now_seconds) - timestamp
    if age > past_seconds:
        raise RefusalError(
            TOO_OLD, f"the timestamp is {age} s old, and {past_seconds} s are tolerated"
        )
    if -age > future_seconds:
        raise RefusalError(
            TOO_NEW,
            f"the timestamp is {-age} s in the future, and {future_seconds} s are tolerated",
        )


def _explain(text: str, hash_name: str, encodings: tuple[str, ...]) -> str:
    wanted = f"{hash_name} in {' or '.join(encodings)}"
    found = _looks_like(text)
    if found is None:
        return f"the signature is no {wanted}"
    return f"the signature looks like {found}, but this scheme wants {wanted}"


def _looks_like(text: str) -> str | None:
    """Name what a text of this form and length would be; hex first, since it is base64 as well."""
    if (size := _size(decode_hex(text))) is not None:
        return _digest_name(HEX, size)
    if len(text) % 2 and re.fullmatch("[0-9A-Fa-f]{20,}", text):
        return "hex with a character lost or gained"
    if (size := _size(decode_base64(text))) is not None:
        return _digest_name(BASE64, size)
    if _URL_BASE64.fullmatch(text) and ("-" in text or "_" in text):
        return "URL-safe base64"
    return None


def _size(decoded: bytes | None) -> int | None:
    return len(decoded) if decoded else None


def _digest_name(encoding: str, size: int) -> str:
    for name in _HASHES:
        if hashlib.new(name, usedforsecurity=False).digest_size == size:
            return f"{name} in {encoding}"
    return f"{size} bytes in {encoding}"
