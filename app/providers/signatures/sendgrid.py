"""SendGrid's Event Webhook: an ECDSA signature over ``timestamp`` and body, one behind the other.

In: two headers, the body's bytes with the line end they have, and public keys: base64 of DER as
SendGrid shows them, or PEM. A private key in PEM does too, and signs: for tests and emulators. Out:
a verdict. Refuses keys other than P-256.

SendGrid documents no tolerance. It tries a delivery again for up to three days, and does not say
whether a repeat is signed anew; so a timestamp may be three days old, unless asked otherwise, and
300 s in the future. Against replay within that time stands the deduplication on ``sg_event_id``.

Source: twilio.com/docs/sendgrid "Event Webhook security features".
"""

import base64
import binascii
from dataclasses import dataclass, field
from typing import ClassVar, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from app.providers.provider import InboundRequest
from app.providers.signatures.reading import (
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
from app.providers.signatures.secrets_given import encode_secret

HEADER: Final = "x-twilio-email-event-webhook-signature"
TIMESTAMP_HEADER: Final = "x-twilio-email-event-webhook-timestamp"
PAST_SECONDS: Final = 3 * 24 * 3600

_SIGNATURE_BYTES_MAX: Final = 72
"""Two numbers of 33 bytes at most, in DER."""
_PEM: Final = "-----BEGIN "
_PRIVATE: Final = "PRIVATE KEY-----"


@dataclass(frozen=True, slots=True)
class EcdsaKey:
    """A P-256 key, the private half maybe missing."""

    public: ec.EllipticCurvePublicKey = field(repr=False)
    private: ec.EllipticCurvePrivateKey | None = field(default=None, repr=False)

    def matches(self, message: bytes, signature: bytes) -> bool:
        """Verify with the public key."""
        try:
            self.public.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SendgridScheme:
    """A signature in one header, its timestamp in another."""

    name: ClassVar[str] = "sendgrid"
    headers: ClassVar[frozenset[str]] = frozenset({HEADER, TIMESTAMP_HEADER})

    keys: tuple[EcdsaKey, ...] = field(repr=False)
    past_seconds: int = PAST_SECONDS
    future_seconds: int = TOLERANCE_SECONDS

    def judge(self, request: InboundRequest, *, now_seconds: float) -> Verdict:
        """Verify the signature with each key."""
        try:
            signature = _read_signature(read_header(request.headers, HEADER))
            timestamp = read_header(request.headers, TIMESTAMP_HEADER)
            check_age(
                read_timestamp(timestamp, TIMESTAMP_HEADER),
                now_seconds,
                self.past_seconds,
                self.future_seconds,
            )
        except RefusalError as refusal:
            return refusal.verdict
        message = timestamp.encode() + request.body
        return verdict_of([key.matches(message, signature) for key in self.keys])

    def sign(self, request: InboundRequest, *, now_seconds: float) -> dict[str, str]:
        """Give both headers; ValueError if the first key is a public one."""
        private = self.keys[0].private
        if private is None:
            raise ValueError("a public key only checks; signing takes a private key in PEM")
        timestamp = str(int(now_seconds))
        message = timestamp.encode() + request.body
        signature = private.sign(message, ec.ECDSA(hashes.SHA256()))
        return {HEADER: base64.b64encode(signature).decode(), TIMESTAMP_HEADER: timestamp}


def parse_key(secret: str) -> EcdsaKey:
    """Read a key by what it looks like; ValueError, with nothing of the key in it."""
    encode_secret(secret)
    text = secret.strip()
    private = None
    try:
        if _PEM not in text:
            public = load_der_public_key(base64.b64decode("".join(text.split()), validate=True))
        elif _PRIVATE in text:
            loaded = load_pem_private_key(text.encode(), password=None)
            private = loaded if isinstance(loaded, ec.EllipticCurvePrivateKey) else None
            public = loaded.public_key()
        else:
            public = load_pem_public_key(text.encode())
    except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm):
        raise ValueError(
            "the secret is no public key in base64 (DER), nor a key in PEM without a password"
        ) from None
    if isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1):
        return EcdsaKey(public, private)
    raise ValueError("the key is no ECDSA key on the curve P-256")


def _read_signature(text: str) -> bytes:
    decoded = decode_base64(text)
    if decoded is None or not 0 < len(decoded) <= _SIGNATURE_BYTES_MAX:
        raise RefusalError(MALFORMED, "the signature is no ECDSA signature (DER) in base64")
    return decoded
