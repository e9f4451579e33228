"""The metadata that events from SendGrid carry (SPEC 1).

In: a request. Out: a mapping without anything that proves who the sender is.
"""

from typing import Any, Final

from app.providers.credentials import is_credential_field, is_credential_header
from app.providers.provider import InboundRequest

PROVIDER_NAME: Final = "events-email-sendgrid"
SOURCE: Final = "email"
DELIVERY_ID_CHARS_MAX: Final = 256
TRACEPARENT_CHARS_MAX: Final = 128


def build_metadata(
    request: InboundRequest, secret_headers: frozenset[str], signature: str | None
) -> dict[str, Any]:
    """Collect what is alike for every event of a request."""
    metadata: dict[str, Any] = {
        "headers": {
            name: value
            for name, value in request.headers.items()
            if name not in secret_headers and not is_credential_header(name)
        },
        "query": {
            name: value for name, value in request.query.items() if not is_credential_field(name)
        },
        "provider": PROVIDER_NAME,
    }
    traceparent = request.headers.get("traceparent", "")
    if is_short_ascii(traceparent, TRACEPARENT_CHARS_MAX):
        metadata["traceparent"] = traceparent
    if signature is not None:
        metadata["signature"] = signature
    return metadata


def is_short_ascii(value: str, chars_max: int) -> bool:
    """Tell whether a text can be an id: some printable ASCII, not too much of it."""
    return 0 < len(value) <= chars_max and value.isascii() and value.isprintable()
