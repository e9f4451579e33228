"""What Twilio posts: incoming messages, and what became of those we sent.

In: raw requests. Out: ``twilio.sms.incoming`` and ``twilio.sms.status`` events with source ``sms``;
TwiML. Refuses every request without a right signature, in all envs, and requests of another
account.
"""

from typing import Any, Final

from actors.outcomes import Answer
from actors.ports import Clock, NormalizedEvent
from app.errors import SignatureError, WrongTenantError
from app.providers.credentials import is_credential_field, is_credential_header
from app.providers.provider import HttpAnswer, Inbound, InboundRequest
from app.providers.signatures.catalog import build_scheme
from app.providers.sms_twilio.bodies import decode_fields
from app.providers.sms_twilio.messages import (
    incoming_delivery_id,
    incoming_payload,
    status_delivery_id,
    status_payload,
)
from app.providers.sms_twilio.options import TwilioOptions
from app.providers.sms_twilio.twiml import empty_response, render_reply

PROVIDER_NAME: Final = "events-sms-twilio"
SOURCE: Final = "sms"
INCOMING: Final = "incoming"
STATUS: Final = "status"
INCOMING_TYPE: Final = "twilio.sms.incoming"
STATUS_TYPE: Final = "twilio.sms.status"
SIGNATURE_NAME: Final = "auth_token"
"""What ``metadata.signature`` says."""

ALGORITHM: Final = "twilio"
BODY_BYTES_MAX: Final = 128 * 1024
"""A message is 1600 characters and its ten media are URLs."""
SYNC_TIMEOUT_SECONDS: Final = 10.0
"""Twilio waits 15 s for TwiML (its webhook connection overrides, read timeout)."""
TRACEPARENT_CHARS_MAX: Final = 128


class TwilioInbound:
    """The two routes that Twilio posts to."""

    __slots__ = ("_account", "_clock", "_scheme")

    def __init__(self, options: TwilioOptions, clock: Clock) -> None:
        secret = options.auth_token
        self._account = options.account_sid
        self._clock = clock
        self._scheme = build_scheme(
            ALGORITHM, [] if secret is None else [secret.get_secret_value()]
        )

    def body_bytes_max(self, _route: str) -> int:
        """Give the largest body taken."""
        return BODY_BYTES_MAX

    @property
    def sync_timeout_seconds(self) -> float:
        """Give how long Twilio may wait for a flow's answer."""
        return SYNC_TIMEOUT_SECONDS

    def verify(self, request: InboundRequest) -> str | None:
        """Check the signature over the public URL and the fields; SignatureError."""
        verdict = self._scheme.judge(request, now_seconds=self._clock.now_ms() / 1000)
        if verdict.key is None:
            raise SignatureError(f"the twilio signature is refused: {verdict.reason}")
        return SIGNATURE_NAME

    def receive(self, request: InboundRequest, signature: str | None) -> Inbound:
        """Make the event of the route."""
        fields = decode_fields(request.headers, request.body)
        # The signature says that the account's token was known, this that it is the account meant.
        if fields.get("AccountSid") != self._account:
            raise WrongTenantError("the AccountSid is not that of the account configured here")
        if request.route == STATUS:
            event_type, delivery_id = STATUS_TYPE, status_delivery_id(fields)
            payload = status_payload(fields)
        else:
            event_type, delivery_id = INCOMING_TYPE, incoming_delivery_id(fields)
            payload = incoming_payload(fields)
        return Inbound(
            (
                NormalizedEvent(
                    event_type=event_type,
                    source=SOURCE,
                    payload=payload,
                    metadata=self._metadata(request, delivery_id, signature),
                    delivery_id=delivery_id,
                ),
            )
        )

    def answer(self, route: str, reply: Answer | None) -> HttpAnswer | None:
        """Answer a message in TwiML; a status callback with nothing, whatever a flow says."""
        return render_reply(reply) if route == INCOMING else empty_response()

    def _metadata(
        self, request: InboundRequest, delivery_id: str, signature: str | None
    ) -> dict[str, Any]:
        headers, stripped = request.headers, self._scheme.headers
        metadata: dict[str, Any] = {
            "headers": {
                name: value
                for name, value in headers.items()
                if name not in stripped and not is_credential_header(name)
            },
            "query": {
                name: value
                for name, value in request.query.items()
                if not is_credential_field(name)
            },
            "provider": PROVIDER_NAME,
            "delivery_id": delivery_id,
        }
        traceparent = headers.get("traceparent", "")
        is_short = 0 < len(traceparent) <= TRACEPARENT_CHARS_MAX
        if is_short and traceparent.isascii() and traceparent.isprintable():
            metadata["traceparent"] = traceparent
        if signature is not None:
            metadata["signature"] = signature
        return metadata
