"""Which id a delivery has: what makes a repeat the same event within the window (DESIGN 3).

In: a verified request and what its body says. Out: an id, or None: then every request is an event
of its own. An id that the signature covers goes before one that anybody can put in a header, since
a recorded request could be sent again under another: so for ``standard-webhooks``, ``stripe`` and
``slack``. The other senders sign no id (docs/webhooks.md).
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from app.providers.provider import InboundRequest
from app.providers.signatures.slack import TIMESTAMP_HEADER as SLACK_TIMESTAMP
from app.providers.signatures.standard_webhooks import FAMILIES
from app.providers.signatures.stripe import HEADER as STRIPE_HEADER

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

_SHOPIFY_HEADERS: Final = ("x-shopify-webhook-id", "x-shopify-event-id")
_STRIPE_PREFIX: Final = "evt_"
_STRIPE_TIMESTAMP = re.compile(r"(?:^|,)t=([^,]*)")
"""The one item that the signature covers, found as the scheme finds it."""


def find_delivery_id(
    headers: Mapping[str, str], names: tuple[str, ...] = DELIVERY_ID_HEADERS
) -> str | None:
    """Give the sender's own id of this delivery, if a known header carries a usable one."""
    for name in names:
        value = headers.get(name)
        if value and is_short_ascii(value, DELIVERY_ID_CHARS_MAX):
            return value
    return None


def signed_delivery_id(algorithm: str, request: InboundRequest, payload: Any) -> str | None:
    """Give the id that a scheme's signature covers; for schemes without one, a header's."""
    finder = _FINDERS.get(algorithm)
    return find_delivery_id(request.headers) if finder is None else finder(request, payload)


def is_short_ascii(value: str, chars_max: int) -> bool:
    """Tell whether a text is printable ASCII of at most this length."""
    return len(value) <= chars_max and value.isascii() and value.isprintable()


def _standard(request: InboundRequest, _payload: Any) -> str | None:
    """Give the id that is signed with the body: of the family that the scheme looked at."""
    for family in FAMILIES:
        if f"{family}-signature" in request.headers:
            return find_delivery_id(request.headers, (f"{family}-id",))
    return None


def _stripe(request: InboundRequest, payload: Any) -> str | None:
    """Read the event's id; other documents signed in this way are told apart by time and bytes."""
    value = payload.get("id") if isinstance(payload, dict) else None
    if isinstance(value, str) and value.startswith(_STRIPE_PREFIX):
        return _text_id(value)
    stamp = _STRIPE_TIMESTAMP.search(request.headers.get(STRIPE_HEADER, ""))
    return _digest("stripe", stamp[1] if stamp else "", request.body)


def _slack(request: InboundRequest, payload: Any) -> str | None:
    """Read the event's id; commands and interactions have none, and are not repeated by Slack."""
    value = payload.get("event_id") if isinstance(payload, dict) else None
    if isinstance(value, str) and value:
        return _text_id(value)
    return _digest("slack", request.headers.get(SLACK_TIMESTAMP, ""), request.body)


def _shopify(request: InboundRequest, _payload: Any) -> str | None:
    return find_delivery_id(request.headers, _SHOPIFY_HEADERS) or find_delivery_id(request.headers)


_FINDERS: Final[Mapping[str, Callable[[InboundRequest, Any], str | None]]] = {
    "standard-webhooks": _standard,
    "stripe": _stripe,
    "slack": _slack,
    "shopify": _shopify,
}


def _text_id(value: str) -> str:
    """Keep an id as it is, or by its digest where it is long or odd."""
    if is_short_ascii(value, DELIVERY_ID_CHARS_MAX):
        return value
    return _digest("id", "", value.encode(errors="surrogatepass"))


def _digest(kind: str, stamp: str, body: bytes) -> str:
    """Name a signed time and body.

    Not the signature's own text: that can be written in several ways which all verify, and each
    would pass for a new delivery.
    """
    stamped = hashlib.sha256(f"{kind}:{stamp}:".encode())
    stamped.update(body)
    return f"sha256:{stamped.hexdigest()}"
