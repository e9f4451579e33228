"""The webhook door: verify a request's signature, then make an event of its JSON body.

In: raw requests. Out: normalized events with source ``webhook``. Refuses wrong signatures, event
types that belong to another provider, and bodies that are no JSON.
"""

from collections.abc import Mapping
from typing import Any, Final

from actors.errors import InvalidEventError
from actors.events import check_event_type, is_reserved
from actors.ports import InboundRequest, NormalizedEvent
from app.errors import SignatureError
from app.providers.credentials import is_credential_field, is_credential_header
from app.providers.json_body import decode_json_body
from app.providers.provider import RawRequest
from app.providers.webhook.options import WebhookOptions
from app.providers.webhook.signature import signature_matches

PROVIDER_NAME: Final = "events-webhook"
SOURCE: Final = "webhook"
SIGNATURE_NAME: Final = "secret_header"
"""What ``metadata.signature`` says when the global secret matched."""

PROD_ENV: Final = "prod"

DELIVERY_ID_HEADERS: Final = (
    "x-github-delivery",  # GitHub: the same on a manual redelivery
    "webhook-id",  # Standard Webhooks: unchanged across retries
    "svix-id",  # Standard Webhooks under its older name
    "x-shopify-webhook-id",
    "x-shopify-event-id",
    "x-gitlab-event-uuid",
    "idempotency-key",
)
"""Headers whose value names a delivery, in the order looked at: the first present one counts."""

DELIVERY_ID_CHARS_MAX: Final = 256

TRACEPARENT_CHARS_MAX: Final = 128

_TAKES_ALL: Final = "webhooks have no secret: anybody who reaches the port can post events"
_REFUSES_ALL: Final = (
    "webhooks have no secret: in env prod every one is refused"
    " (set secret_header and secret_key, or allow_unsigned)"
)


class WebhookProvider:
    """Takes any JSON document in as an event of the type its URL names."""

    __slots__ = ("_env", "_options", "_secret", "_secret_header")

    def __init__(self, options: WebhookOptions, env: str) -> None:
        self._options = options
        self._env = env
        self._secret_header = options.secret_header
        key = options.secret_key
        self._secret = None if key is None else key.get_secret_value().encode()

    @property
    def name(self) -> str:
        """Give the provider's name in a bundle."""
        return PROVIDER_NAME

    @property
    def options(self) -> WebhookOptions:
        """Give the checked options."""
        return self._options

    @property
    def body_bytes_max(self) -> int:
        """Give the largest body taken."""
        return self._options.max_body_bytes

    @property
    def sync_timeout_seconds(self) -> float:
        """Give how long a request may wait for a flow's answer."""
        return self._options.sync_timeout_ms / 1000

    @property
    def warnings(self) -> tuple[str, ...]:
        """Say what is unsafe: unsigned webhooks, to be heard once at start."""
        if self._secret is not None or self._options.allow_unsigned:
            return ()
        if self._env == PROD_ENV:
            return (_REFUSES_ALL,)
        return (_TAKES_ALL,)

    def verify(self, request: RawRequest) -> str | None:
        """Check the signature (SPEC 12.1); give its name, None where none is asked for."""
        if self._secret is None:
            if self._env == PROD_ENV and not self._options.allow_unsigned:
                raise SignatureError("no secret is configured, and env prod takes signed events")
            return None
        value = request.headers.get(self._secret_header or "")
        if not signature_matches(value, request.body, self._secret):
            raise SignatureError(f"the header {self._secret_header} does not sign this body")
        return SIGNATURE_NAME

    def normalize(self, request: InboundRequest) -> NormalizedEvent:
        """Make the event of SPEC 1; `source` is ``webhook``, the type is the URL's."""
        event_type = request.event_type
        check_event_type(event_type)
        if is_reserved(event_type):
            raise InvalidEventError(
                "event_type", f"{event_type!r} may come from its own provider only"
            )
        payload = decode_json_body(request.body)
        delivery_id = find_delivery_id(request.headers)
        return NormalizedEvent(
            event_type=event_type,
            source=SOURCE,
            payload=payload,
            metadata=self._metadata(request, delivery_id),
            delivery_id=delivery_id,
        )

    def _metadata(self, request: InboundRequest, delivery_id: str | None) -> dict[str, Any]:
        secret_header = self._secret_header
        headers = request.headers
        metadata: dict[str, Any] = {
            "headers": {
                name: value
                for name, value in headers.items()
                if name != secret_header and not is_credential_header(name)
            },
            "query": {
                name: value
                for name, value in request.query.items()
                if not is_credential_field(name)
            },
            "provider": PROVIDER_NAME,
        }
        traceparent = headers.get("traceparent")
        if traceparent and _is_short_ascii(traceparent, TRACEPARENT_CHARS_MAX):
            metadata["traceparent"] = traceparent
        if delivery_id is not None:
            metadata["delivery_id"] = delivery_id
        if request.signature is not None:
            metadata["signature"] = request.signature
        return metadata


def find_delivery_id(headers: Mapping[str, str]) -> str | None:
    """Give the sender's own id of this delivery, if a known header carries a usable one."""
    for name in DELIVERY_ID_HEADERS:
        value = headers.get(name)
        if value and _is_short_ascii(value, DELIVERY_ID_CHARS_MAX):
            return value
    return None


def _is_short_ascii(value: str, chars_max: int) -> bool:
    return len(value) <= chars_max and value.isascii() and value.isprintable()
