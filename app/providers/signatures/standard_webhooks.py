"""Standard Webhooks, and Svix before it: ``v1,<base64>`` over ``id.timestamp.body``.

In: the headers ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``, or the same with
``svix-``; the body's bytes; secrets in base64, padded or not, after ``whsec_`` or bare (HMAC,
``v1``), ``whpk_`` (an Ed25519 public key, ``v1a``, checks only) or ``whsk_`` (a private one). Out:
a verdict with the id, which the signature covers. Refuses an id with a full stop in it: the signed
text would have a second reading, with another id and another body.

Source: the specification of standard-webhooks, sections "Signature scheme" and "Secret encoding".
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from app.providers.provider import InboundRequest
from app.providers.signatures.reading import (
    CANDIDATES_MAX,
    check_age,
    decode_base64,
    read_header,
    read_timestamp,
)
from app.providers.signatures.scheme import (
    MALFORMED,
    TOLERANCE_SECONDS,
    RefusalError,
    Verdict,
    verdict_of,
)
from app.providers.signatures.secrets_given import decode_base64_key, encode_secret

HMAC_SECRET: Final = "whsec_"  # noqa: S105 - how secrets of this kind begin
PUBLIC_KEY: Final = "whpk_"
PRIVATE_KEY: Final = "whsk_"
FAMILIES: Final = ("webhook", "svix")
SIGNATURE_HEADERS: Final = tuple(f"{family}-signature" for family in FAMILIES)

_V1: Final = "v1"
_V1A: Final = "v1a"
_HASH: Final = "sha256"
_PUBLIC_KEY_BYTES: Final = 32
_PRIVATE_KEY_BYTES: Final = (32, 64)
"""The seed, or the seed with the public key behind it."""
_ID_CHARS_MAX: Final = 256
_DIGEST_BYTES: Final = {_V1: 32, _V1A: 64}


@dataclass(frozen=True, slots=True)
class SharedKey:
    """A secret that both sides have."""

    version: ClassVar[str] = _V1
    key: bytes = field(repr=False)

    def matches(self, message: bytes, signature: bytes) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.sign(message), signature)

    def sign(self, message: bytes) -> bytes:
        """Give the HMAC."""
        return hmac.digest(self.key, message, _HASH)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An Ed25519 key, the private half maybe missing."""

    version: ClassVar[str] = _V1A
    public: Ed25519PublicKey = field(repr=False)
    private: Ed25519PrivateKey | None = field(default=None, repr=False)

    def matches(self, message: bytes, signature: bytes) -> bool:
        """Verify with the public key."""
        try:
            self.public.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def sign(self, message: bytes) -> bytes:
        """Sign with the private key; ValueError without one."""
        if self.private is None:
            raise ValueError(
                f"a public key ({PUBLIC_KEY}) only checks; signing takes {PRIVATE_KEY}"
            )
        return self.private.sign(message)


WebhookKey = SharedKey | KeyPair


@dataclass(frozen=True, slots=True)
class StandardWebhooksScheme:
    """Three headers of one family, several signatures in one of them."""

    name: ClassVar[str] = "standard-webhooks"
    headers: ClassVar[frozenset[str]] = frozenset(
        f"{family}-{part}" for family in FAMILIES for part in ("id", "timestamp", "signature")
    )

    keys: tuple[WebhookKey, ...] = field(repr=False)
    tolerance_seconds: int = TOLERANCE_SECONDS

    def judge(self, request: InboundRequest, *, now_seconds: float) -> Verdict:
        """Compare each signature with each secret of its version."""
        family = _family(request)
        try:
            value = read_header(request.headers, f"{family}-signature")
            webhook_id = _read_id(request, family)
            timestamp = read_header(request.headers, f"{family}-timestamp")
            check_age(
                read_timestamp(timestamp, f"{family}-timestamp"),
                now_seconds,
                self.tolerance_seconds,
                self.tolerance_seconds,
            )
            candidates = _parse(value, {key.version for key in self.keys})
        except RefusalError as refusal:
            return refusal.verdict
        message = _message(webhook_id, timestamp, request.body)
        matches = [_matches(key, message, candidates) for key in self.keys]
        return verdict_of(matches, signed_id=webhook_id)

    def sign(self, request: InboundRequest, *, now_seconds: float) -> dict[str, str]:
        """Give the three headers of the family whose id the request has, else ``webhook-``.

        Without an id one is made of the time and the body, the same for the same.
        """
        family = "svix" if "svix-id" in request.headers else "webhook"
        timestamp = str(int(now_seconds))
        try:
            webhook_id = (
                _read_id(request, family)
                if f"{family}-id" in request.headers
                else _made_id(timestamp, request.body)
            )
        except RefusalError as refusal:
            raise ValueError(refusal.verdict.detail) from None
        key = self.keys[0]
        signature = key.sign(_message(webhook_id, timestamp, request.body))
        return {
            f"{family}-id": webhook_id,
            f"{family}-timestamp": timestamp,
            f"{family}-signature": f"{key.version},{base64.b64encode(signature).decode()}",
        }


def parse_key(secret: str) -> WebhookKey:
    """Read a secret by what it begins with; ValueError."""
    encode_secret(secret)
    bare = secret.strip()
    if bare.startswith(PUBLIC_KEY):
        return KeyPair(_public_key(decode_base64_key(bare.removeprefix(PUBLIC_KEY))))
    if bare.startswith(PRIVATE_KEY):
        data = decode_base64_key(bare.removeprefix(PRIVATE_KEY))
        return _key_pair(data)
    return SharedKey(decode_base64_key(bare.removeprefix(HMAC_SECRET)))


def _public_key(data: bytes) -> Ed25519PublicKey:
    if len(data) != _PUBLIC_KEY_BYTES:
        raise ValueError(f"a {PUBLIC_KEY} key has {_PUBLIC_KEY_BYTES} bytes, not {len(data)}")
    return Ed25519PublicKey.from_public_bytes(data)


def _key_pair(data: bytes) -> KeyPair:
    if len(data) not in _PRIVATE_KEY_BYTES:
        raise ValueError(f"a {PRIVATE_KEY} key has 32 or 64 bytes, not {len(data)}")
    private = Ed25519PrivateKey.from_private_bytes(data[:32])
    public = private.public_key()
    if data[32:] and data[32:] != public.public_bytes_raw():
        raise ValueError(f"the two halves of the {PRIVATE_KEY} key do not belong together")
    return KeyPair(public, private)


def _family(request: InboundRequest) -> str:
    for family in FAMILIES:
        if f"{family}-signature" in request.headers:
            return family
    return FAMILIES[0]


def _read_id(request: InboundRequest, family: str) -> str:
    webhook_id = read_header(request.headers, f"{family}-id")
    if "." in webhook_id:
        raise RefusalError(MALFORMED, f"the header {family}-id has a full stop in it")
    if len(webhook_id) > _ID_CHARS_MAX:
        raise RefusalError(MALFORMED, f"the header {family}-id is longer than {_ID_CHARS_MAX}")
    return webhook_id


def _parse(value: str, versions: set[str]) -> list[tuple[str, bytes]]:
    """Give the signatures of the versions that there are secrets for; others are passed over."""
    items = value.split(" ")
    if len(items) > CANDIDATES_MAX:
        raise RefusalError(MALFORMED, f"there are {len(items)} signatures")
    parts = [item.partition(",")[::2] for item in items]
    found = [
        (version, digest)
        for version, text in parts
        if version in versions
        and (digest := decode_base64(text)) is not None
        and len(digest) == _DIGEST_BYTES[version]
    ]
    if found:
        return found
    wanted = " or ".join(sorted(versions))
    if any(version in versions for version, _ in parts):
        raise RefusalError(MALFORMED, f"the {wanted} signature is no whole digest in base64")
    others = {_V1, _V1A} & {version for version, _ in parts}
    if others:
        raise RefusalError(
            MALFORMED,
            f"there are {' and '.join(sorted(others))} signatures, the secret is {wanted}",
        )
    raise RefusalError(MALFORMED, f"no signature begins with {wanted} and a comma")


def _matches(key: WebhookKey, message: bytes, candidates: Sequence[tuple[str, bytes]]) -> bool:
    found = [
        key.matches(message, digest) for version, digest in candidates if version == key.version
    ]
    return True in found


def _message(webhook_id: str, timestamp: str, body: bytes) -> bytes:
    return f"{webhook_id}.{timestamp}.".encode() + body


def _made_id(timestamp: str, body: bytes) -> str:
    return f"msg_{hashlib.sha256(timestamp.encode() + b'.' + body).hexdigest()[:27]}"
