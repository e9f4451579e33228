"""Envelopes as the first version of the store wrote them, for tests that read old records."""

import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.stores.sealing import Place, SealingKey


def sealed_as_before(key: SealingKey, place: Place, content: bytes) -> bytes:
    """Seal with the key itself: version 1, key id, nonce, content and tag."""
    head = b"\x01" + key.key_id
    nonce = os.urandom(12)
    return head + nonce + AESGCM(key.raw).encrypt(nonce, content, head + place.as_bytes())
