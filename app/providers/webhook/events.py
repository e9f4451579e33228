"""Events of what was read: the metadata of a request, and of one item in it.

In: a verified request, a JSON value, a CloudEvent, a line. Out: normalized events (SPEC 1). Refuses
types that belong to another provider, in env ``prod`` a CloudEvent of another type than the URL's,
and elsewhere one that another signature guards.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from actors.errors import InvalidEventError
from actors.events import (
    CORRELATION_ID,
    SOURCE_CHARS_MAX,
    check_event_type,
    is_correlation_id,
    is_reserved,
)
from actors.ports import NormalizedEvent
from app.providers.credentials import is_credential_field, is_credential_header
from app.providers.provider import InboundRequest
from app.providers.webhook.cloudevents import CloudEvent
from app.providers.webhook.delivery import is_short_ascii

PROVIDER_NAME: Final = "events-webhook"
SOURCE: Final = "webhook"
TRACEPARENT_CHARS_MAX: Final = 128
CORRELATION_HEADER: Final = "x-correlation-id"
CORRELATION_ATTRIBUTE: Final = "correlationid"
"""The CloudEvents extension (extensions/correlation.md)."""

_encode = msgspec.json.encode


def check_own_type(event_type: str) -> None:
    """Refuse what is no event type, and what only another provider may publish."""
    check_event_type(event_type)
    if is_reserved(event_type):
        raise InvalidEventError("event_type", f"{event_type!r} may come from its own provider only")


def metadata_of(
    request: InboundRequest, signature: str | None, stripped: frozenset[str]
) -> dict[str, Any]:
    """Give what all events of a request have in common; ``stripped`` headers are left out."""
    headers = request.headers
    metadata: dict[str, Any] = {
        "headers": {
            name: value
            for name, value in headers.items()
            if name not in stripped and not is_credential_header(name)
        },
        "query": {
            name: value for name, value in request.query.items() if not is_credential_field(name)
        },
        "provider": PROVIDER_NAME,
    }
    traceparent = headers.get("traceparent")
    if traceparent and is_short_ascii(traceparent, TRACEPARENT_CHARS_MAX):
        metadata["traceparent"] = traceparent
    correlation_id = headers.get(CORRELATION_HEADER)
    if correlation_id and correlation_id.isascii() and is_correlation_id(correlation_id):
        metadata[CORRELATION_ID] = correlation_id
    if signature is not None:
        metadata["signature"] = signature
    return metadata


def event_of_cloudevent(
    cloudevent: CloudEvent,
    event_type: str,
    metadata: Mapping[str, Any],
    delivery_id: str | None = None,
) -> NormalizedEvent:
    """Make the event of a CloudEvent; its delivery id is source and id, if none is given.

    Its own ``time`` stays among the attributes: an event's timestamp is when we accepted it.
    Extensions named like credentials are left out, as such headers are.
    """
    source = cloudevent.text("source")
    if len(source) > SOURCE_CHARS_MAX:
        raise InvalidEventError("source", f"is longer than {SOURCE_CHARS_MAX} characters")
    if delivery_id is None:
        delivery_id = cloudevent_delivery_id(source, cloudevent.text("id"))
    more: dict[str, Any] = {
        "cloudevent": {
            name: value
            for name, value in cloudevent.attributes.items()
            if not is_credential_header(name)
        },
        "delivery_id": delivery_id,
    }
    traceparent = cloudevent.text("traceparent")
    if traceparent and is_short_ascii(traceparent, TRACEPARENT_CHARS_MAX):
        more["traceparent"] = traceparent
    correlation_id = cloudevent.text(CORRELATION_ATTRIBUTE)
    if is_correlation_id(correlation_id):
        more[CORRELATION_ID] = correlation_id
    return NormalizedEvent(
        event_type=event_type,
        source=source,
        payload=cloudevent.payload,
        metadata={**metadata, **more},
        delivery_id=delivery_id,
    )


def cloudevent_delivery_id(source: str, event_id: str) -> str:
    """Join source and id, which together are unique (spec.md, id): a JSON array of the two.

    No two pairs come to the same text, whatever characters they have.
    """
    return _encode([source, event_id]).decode()
