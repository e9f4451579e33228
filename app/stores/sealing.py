"""Sealing: a secret encrypted for exactly one place, in an envelope with a data key of its own.

In: the keys of an env, a place (env, tenant, name), bytes. Out: an envelope that opens only with
its key and at that place. Refuses (SealError) envelopes of keys that are not here, changed ones,
and ones that were moved under another name, tenant or env; no text repeats the content or a key.

Version 2, written today (docs/adr/0016): a version byte, the id of the key that wraps (8 bytes), a
nonce (12) and the wrapped data key (32 + tag 16), a nonce (12) and the content (+ tag 16). Both
AES-256-GCM layers authenticate the version, the place and what the layer is; the wrapping one the
key's id too. A data key seals one content and is thrown away; a wrapping key, derived from the
operator's, may wrap 2**32 of them before a repeated nonce becomes likely (NIST SP 800-38D, 8.3).

Version 1, still opened: a version byte, the key's id, a nonce, the content under the key itself.
"""

import hashlib
import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from app.errors import SealError
from app.settings.sealing_key import KEY_BYTES, KEYS_MAX, parse_key, parse_keys

FIRST_VERSION: Final = 1
VERSION: Final = 2
KEY_ID_BYTES: Final = 8
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
WRAPPED_BYTES: Final = NONCE_BYTES + KEY_BYTES + TAG_BYTES
SEAL_BYTES: Final = 1 + KEY_ID_BYTES + WRAPPED_BYTES + NONCE_BYTES + TAG_BYTES
"""How much longer an envelope is than its content."""

_HEAD_BYTES: Final = 1 + KEY_ID_BYTES
_KEY_ID_DOMAIN: Final = b"greentic sealing key id v1\0"
_PLACE_DOMAIN: Final = b"greentic sealed value v1\0"
_WRAPPING: Final = b"greentic key wrapping v2\0"
_CONTENT: Final = b"greentic content v2\0"


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


@dataclass(frozen=True)
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

    @cached_property
    def key_id(self) -> bytes:
        """Tell keys apart without giving anything away: a hash of 256 random bits."""
        return hashlib.sha256(_KEY_ID_DOMAIN + self.raw).digest()[:KEY_ID_BYTES]

    @cached_property
    def wrapping(self) -> AESGCM:
        """Give the cipher of the outer layer, under a key that version 1 never used."""
        return AESGCM(HKDFExpand(SHA256(), KEY_BYTES, _WRAPPING).derive(self.raw))


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of an env: the first is the current one and seals, all of them open."""

    keys: tuple[SealingKey, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.keys) <= KEYS_MAX:
            raise SealError(f"a keyring holds 1 to {KEYS_MAX} keys")

    @classmethod
    def parse(cls, text: str) -> "Keyring":
        """Read the text form (`app.settings.sealing_key`); ValueError."""
        return cls(tuple(SealingKey(raw) for raw in parse_keys(text)))

    @property
    def current(self) -> SealingKey:
        """The key that seals."""
        return self.keys[0]

    def seal(self, place: Place, content: bytes) -> bytes:
        """Encrypt with a fresh data key; the same content gives another envelope each time."""
        head = bytes([VERSION]) + self.current.key_id
        data_key = os.urandom(KEY_BYTES)
        wrapped = _encrypt(self.current.wrapping, data_key, _WRAPPING + head + place.as_bytes())
        return head + wrapped + _encrypt(AESGCM(data_key), content, _content_bound_to(place))

    def open(self, place: Place, envelope: bytes) -> bytes:
        """Decrypt, or SealError with the reason as far as it can be known."""
        label = EnvelopeLabel.read(envelope)
        if label is None:
            raise SealError(f"{place.name!r} is not sealed in a form this version knows")
        key = next((key for key in self.keys if key.key_id == label.key_id), None)
        if key is None:
            raise SealError(
                f"{place.name!r} was sealed with key {label.key_id.hex()},"
                f" and here {_keys_are(self.keys)}"
            )
        try:
            if label.version == FIRST_VERSION:
                return _open_first(key, place, envelope)
            return _open_second(key, place, envelope)
        except InvalidTag:
            raise SealError(
                f"{place.name!r} was changed, or belongs to another name, tenant or env"
            ) from None

    def is_current(self, envelope: bytes) -> bool:
        """Tell whether an envelope says that it is of today's form and sealed with today's key."""
        return EnvelopeLabel.read(envelope) == EnvelopeLabel(VERSION, self.current.key_id)


@dataclass(frozen=True, slots=True)
class EnvelopeLabel:
    """What an envelope says of itself to anybody. It is believed once the envelope opens."""

    version: int
    key_id: bytes

    @classmethod
    def read(cls, envelope: bytes) -> "EnvelopeLabel | None":
        """Give the label; None for what is too short or of no known version."""
        shortest = {FIRST_VERSION: _HEAD_BYTES + NONCE_BYTES + TAG_BYTES, VERSION: SEAL_BYTES}
        version = envelope[0] if envelope else 0
        if len(envelope) < shortest.get(version, len(envelope) + 1):
            return None
        return cls(version, envelope[1:_HEAD_BYTES])


def _open_first(key: SealingKey, place: Place, envelope: bytes) -> bytes:
    head, rest = envelope[:_HEAD_BYTES], envelope[_HEAD_BYTES:]
    return _decrypt(AESGCM(key.raw), rest, head + place.as_bytes())


def _open_second(key: SealingKey, place: Place, envelope: bytes) -> bytes:
    head, rest = envelope[:_HEAD_BYTES], envelope[_HEAD_BYTES:]
    wrapped, sealed = rest[:WRAPPED_BYTES], rest[WRAPPED_BYTES:]
    data_key = _decrypt(key.wrapping, wrapped, _WRAPPING + head + place.as_bytes())
    return _decrypt(AESGCM(data_key), sealed, _content_bound_to(place))


def _content_bound_to(place: Place) -> bytes:
    return _CONTENT + bytes([VERSION]) + place.as_bytes()


def _encrypt(cipher: AESGCM, content: bytes, bound_to: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, content, bound_to)


def _decrypt(cipher: AESGCM, sealed: bytes, bound_to: bytes) -> bytes:
    return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)


def _keys_are(keys: tuple[SealingKey, ...]) -> str:
    ids = ", ".join(key.key_id.hex() for key in keys)
    return f"the key is {ids}" if len(keys) == 1 else f"the keys are {ids}"
