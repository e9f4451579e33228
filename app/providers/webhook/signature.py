"""HMAC-SHA256 over the raw body, as ``secret_header`` and ``secret_key`` ask for it (SPEC 12.1).

In: the header's value, the body's bytes, the secret. Out: yes or no. Total: a missing, malformed,
non-ASCII, odd-length or huge value is a no, never an error (PROTOCOLS, Signatures).
"""

import base64
import binascii
import hmac
from typing import Final

_PREFIX: Final = "sha256="
_DIGEST_BYTES: Final = 32
_HEX_CHARS: Final = 2 * _DIGEST_BYTES
_BASE64_CHARS: Final = (43, 44)
"""32 bytes in base64: 43 characters and one ``=`` that some senders leave out."""


def signature_matches(value: str | None, body: bytes, secret: bytes) -> bool:
    """Tell whether ``value`` is the signature of exactly these bytes, in constant time."""
    if value is None:
        return False
    given = _decode(value.removeprefix(_PREFIX))
    if given is None:
        return False
    return hmac.compare_digest(given, hmac.digest(secret, body, "sha256"))


def _decode(text: str) -> bytes | None:
    """Read a digest of 32 bytes from hex or base64; None for anything else."""
    if not text.isascii():
        return None
    try:
        if len(text) == _HEX_CHARS:
            return binascii.unhexlify(text)
        if len(text) in _BASE64_CHARS:
            padded = text if text.endswith("=") else text + "="
            return base64.b64decode(padded, validate=True)
    except (ValueError, binascii.Error):
        return None
    return None
