"""Secrets as they are configured, to keys as bytes.

In: texts. Out: bytes. Refuses, with ValueError and without repeating any of it, a secret that is
empty, since anybody could compute its signatures, and one that is no text of Unicode.
"""

import base64
import binascii
from collections.abc import Sequence


def encode_secrets(secrets: Sequence[str]) -> tuple[bytes, ...]:
    """Give each secret's UTF-8 bytes."""
    return tuple(encode_secret(secret) for secret in secrets)


def encode_secret(secret: str) -> bytes:
    """Give a secret's UTF-8 bytes, surrounding blanks included."""
    if not secret.strip():
        raise ValueError("the secret is empty: anybody could compute the signature")
    try:
        return secret.encode()
    except UnicodeEncodeError:
        # The error itself would carry the secret along.
        raise ValueError("the secret is no text of Unicode") from None


def decode_base64_key(text: str) -> bytes:
    """Read a key from base64, padded or not; it must not come to nothing."""
    bare = text.strip().rstrip("=")
    if not bare:
        raise ValueError("the secret is empty: anybody could compute the signature")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise ValueError("the secret is no base64") from None
