"""Slack: ``X-Slack-Signature: v0=<hex>`` over ``v0:timestamp:body``.

In: that header and ``X-Slack-Request-Timestamp``, the body's bytes, the signing secrets. Out: a
verdict. Refuses another version than ``v0``.

Source: docs.slack.dev "Verifying requests from Slack".
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

HEADER: Final = "x-slack-signature"
TIMESTAMP_HEADER: Final = "x-slack-request-timestamp"
_VERSION: Final = "v0="
_HASH: Final = "sha256"


@dataclass(frozen=True, slots=True)
class SlackScheme:
    """A digest in one header, its timestamp in another."""

    name: ClassVar[str] = "slack"
    headers: ClassVar[frozenset[str]] = frozenset({HEADER, TIMESTAMP_HEADER})

    keys: tuple[bytes, ...] = field(repr=False)
    tolerance_seconds: int = TOLERANCE_SECONDS

    def judge(self, request: InboundRequest, *, now_seconds: float) -> Verdict:
        """Compare the header with what each secret comes to."""
        try:
            value = read_header(request.headers, HEADER)
            timestamp = read_header(request.headers, TIMESTAMP_HEADER)
            check_age(
                read_timestamp(timestamp, TIMESTAMP_HEADER),
                now_seconds,
                self.tolerance_seconds,
                self.tolerance_seconds,
            )
            given = _parse(value)
        except RefusalError as refusal:
            return refusal.verdict
        message = _message(timestamp, request.body)
        return verdict_of(match_hmac(self.keys, message, _HASH, [given]))

    def sign(self, request: InboundRequest, *, now_seconds: float) -> dict[str, str]:
        """Give both headers."""
        timestamp = str(int(now_seconds))
        digest = hmac.digest(self.keys[0], _message(timestamp, request.body), _HASH)
        return {HEADER: f"{_VERSION}{digest.hex()}", TIMESTAMP_HEADER: timestamp}


def _parse(value: str) -> bytes:
    if not value.startswith(_VERSION):
        raise RefusalError(MALFORMED, f"the signature must begin with {_VERSION}")
    return decode_digest(value.removeprefix(_VERSION), _HASH, (HEX,))


def _message(timestamp: str, body: bytes) -> bytes:
    return b"v0:" + timestamp.encode() + b":" + body
