"""Sealing: a secret encrypted for exactly one place, with AES-256-GCM.

In: a key, a place (env, tenant, name), bytes. Out: an envelope that opens only with that key and at
that place. Refuses (SealError) another key's envelopes, changed ones, and ones that were moved
under another name; no text repeats the content.

The envelope: a version byte, the key's id (8 bytes), a random nonce (12), the ciphertext with its
tag (16). All that stands before the ciphertext is authenticated together with the place. Nonces are
random: one key may seal 2**32 values before a repeated nonce becomes likely (NIST SP 800-38D,
8.3), which is far beyond what an operator stores.
"""

import hashlib
import os
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.errors import SealError
from app.settings.sealing_key import KEY_BYTES, parse_key

VERSION: Final = 1
KEY_ID_BYTES: Final = 8
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
SEAL_BYTES: Final = 1 + KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES
"""How much longer an envelope is than its content."""

_KEY_ID_DOMAIN: Final = b"greentic sealing key id v1\0"
_PLACE_DOMAIN: Final = b"greentic sealed value v1\0"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value belongs; it opens nowhere else."""

    env: str
    tenant: str
    name: str

    def as_bytes(self) -> bytes:
        """Join the parts so that no two places give the same bytes."""
        parts = (part.encode() for part in (self.env, self.tenant, self.name))
        return _PLACE_DOMAIN + b"".join(len(part).to_bytes(4, "big") + part for part in parts)


@dataclass(frozen=True, slots=True)
class SealingKey:
    """32 secret bytes, never shown."""

    raw: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.raw) != KEY_BYTES:
            raise SealError(f"a sealing key has {KEY_BYTES} bytes")

    @classmethod
    def parse(cls, text: str) -> "SealingKey":
        """Read the text form (`app.settings.sealing_key`); ValueError."""
        return cls(parse_key(text))

    @property
    def key_id(self) -> bytes:
        """Tell keys apart without giving anything away: a hash of 256 random bits."""
        return hashlib.sha256(_KEY_ID_DOMAIN + self.raw).digest()[:KEY_ID_BYTES]

    def seal(self, place: Place, content: bytes) -> bytes:
        """Encrypt; the same content gives another envelope each time."""
        head = bytes([VERSION]) + self.key_id
        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(self.raw).encrypt(nonce, content, head + place.as_bytes())
        return head + nonce + sealed

    def open(self, place: Place, envelope: bytes) -> bytes:
        """Decrypt, or SealError with the reason as far as it can be known."""
        if len(envelope) < SEAL_BYTES or envelope[0] != VERSION:
            raise SealError(f"{place.name!r} is not sealed in a form this version knows")
        head, rest = envelope[: 1 + KEY_ID_BYTES], envelope[1 + KEY_ID_BYTES :]
        if head[1:] != self.key_id:
            raise SealError(
                f"{place.name!r} was sealed with key {head[1:].hex()},"
                f" and the key here is {self.key_id.hex()}"
            )
        nonce, sealed = rest[:NONCE_BYTES], rest[NONCE_BYTES:]
        try:
            return AESGCM(self.raw).decrypt(nonce, sealed, head + place.as_bytes())
        except InvalidTag:
            raise SealError(
                f"{place.name!r} was changed, or belongs to another name, tenant or env"
            ) from None
