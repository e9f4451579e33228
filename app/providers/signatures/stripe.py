"""Stripe: ``Stripe-Signature: t=<seconds>,v1=<hex>[,v1=<hex>]…`` over ``t.body``.

In: that header, the body's bytes, the secrets used whole, ``whsec_`` included. Out: a verdict.
Items other than ``t`` and ``v1`` are passed over; there are several ``v1`` while a secret changes.
Refuses a header with no timestamp or two of them, and with no ``v1``.

Source: docs.stripe.com "Verify webhook signatures manually".
"""

import hmac
from dataclasses import dataclass, field
from typing import ClassVar, Final

from app.providers.provider import InboundRequest
from app.providers.signatures.body_hmac import match_hmac
from app.providers.signatures.reading import (
    HEX,
    check_age,
    decode_digest,
    read_each,
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

HEADER: Final = "stripe-signature"
_HASH: Final = "sha256"


@dataclass(frozen=True, slots=True)
class StripeScheme:
    """A list of items in one header, the timestamp signed with the body."""

    name: ClassVar[str] = "stripe"
    headers: ClassVar[frozenset[str]] = frozenset({HEADER})

    keys: tuple[bytes, ...] = field(repr=False)
    tolerance_seconds: int = TOLERANCE_SECONDS

    def judge(self, request: InboundRequest, *, now_seconds: float) -> Verdict:
        """Compare each ``v1`` with what each secret comes to."""
        try:
            timestamp, candidates = _parse(read_header(request.headers, HEADER))
            check_age(
                read_timestamp(timestamp, HEADER),
                now_seconds,
                self.tolerance_seconds,
                self.tolerance_seconds,
            )
        except RefusalError as refusal:
            return refusal.verdict
        message = _message(timestamp, request.body)
        return verdict_of(match_hmac(self.keys, message, _HASH, candidates))

    def sign(self, request: InboundRequest, *, now_seconds: float) -> dict[str, str]:
        """Give the header."""
        timestamp = str(int(now_seconds))
        digest = hmac.digest(self.keys[0], _message(timestamp, request.body), _HASH)
        return {HEADER: f"t={timestamp},v1={digest.hex()}"}


def _message(timestamp: str, body: bytes) -> bytes:
    # The timestamp as it was written: a rewritten one may be another text.
    return timestamp.encode() + b"." + body


def _parse(value: str) -> tuple[str, list[bytes]]:
    items = [item.partition("=")[::2] for item in value.split(",")]
    timestamps = [text for name, text in items if name == "t"]
    signatures = [text for name, text in items if name == "v1"]
    if len(timestamps) != 1:
        raise RefusalError(MALFORMED, f"{HEADER} has {len(timestamps)} items t=, not one")
    if not signatures:
        raise RefusalError(MALFORMED, f"{HEADER} has no item v1=")
    return timestamps[0], read_each(signatures, lambda text: decode_digest(text, _HASH, (HEX,)))
