"""Which kind of body a request has, and how forms are read.

In: headers and bytes. Out: the kind, and of a form a JSON value. Refuses, with MediaTypeError,
media types that a route does not take, and with InvalidEventError forms that are no UTF-8, have too
many fields, or hold a ``payload`` that is no JSON.
"""

from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl

from actors.errors import InvalidEventError
from app.errors import MediaTypeError
from app.providers.json_body import decode_json_body
from app.providers.media import FORM, JSON, check_coding, parse_media_type

FORM_FIELDS_MAX: Final = 1000

CLOUDEVENT: Final = "application/cloudevents+json"
_CLOUDEVENTS: Final = "application/cloudevents"
_CLOUDEVENTS_BATCH: Final = frozenset(
    {
        "application/cloudevents-batch+json",  # what the specification registers
        "application/cloudevents+batch+json",  # what is met as well
    }
)
_LINES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
_WRAPPER: Final = "payload"
"""The one field in which GitHub and Slack put a JSON document."""


class BodyKind(Enum):
    """How a body is read."""

    JSON = "JSON"
    FORM = "a form"
    CLOUDEVENT = "a CloudEvent in structured mode"
    CLOUDEVENTS = "a batch of CloudEvents"
    LINES = "JSON lines"
    OTHER = "data of a CloudEvent in binary mode"


def check_headers(headers: Mapping[str, str]) -> BodyKind:
    """Give the kind of a request's body; MediaTypeError for a charset or coding we do not read."""
    kind = _kind_of(headers.get("content-type", ""))
    if "content-encoding" in headers:
        check_coding(headers)
    return kind


@lru_cache(maxsize=256)
def _kind_of(content_type: str) -> BodyKind:
    """Judge one Content-Type, cached: senders repeat theirs."""
    media = parse_media_type(content_type)
    kind = _by_name(media.name, is_json=media.is_json)
    if kind is not BodyKind.OTHER:
        media.check_charset()
    return kind


def _by_name(name: str, *, is_json: bool) -> BodyKind:
    if name in _CLOUDEVENTS_BATCH:
        return BodyKind.CLOUDEVENTS
    if name == CLOUDEVENT:
        return BodyKind.CLOUDEVENT
    if name.startswith(_CLOUDEVENTS):
        raise MediaTypeError(f"of CloudEvents the JSON format is read; send {CLOUDEVENT}")
    if name in _LINES:
        return BodyKind.LINES
    if name == FORM:
        return BodyKind.FORM
    return BodyKind.JSON if is_json else BodyKind.OTHER


def refuse_body(headers: Mapping[str, str], kind: BodyKind, wanted: str) -> MediaTypeError:
    """Say why a route does not take this body, and what it takes."""
    if kind is not BodyKind.OTHER:
        return MediaTypeError(f"this route does not take {kind.value}; send {wanted}")
    if not headers.get("content-type"):
        return MediaTypeError(f"the Content-Type is missing; send {wanted}")
    return MediaTypeError(f"this media type is not supported; send {wanted}")


WANTED: Final = f"{JSON}, {FORM} or a CloudEvent"


def decode_form(body: bytes) -> Any:
    """Read a form: an object of its fields, or the document in its single field ``payload``.

    A field that came more than once is a list; blank ones are kept. A `payload` counts as JSON if
    it begins like an object or array.
    """
    fields = _parse_fields(body)
    if len(fields) == 1 and fields[0][0] == _WRAPPER and fields[0][1].lstrip()[:1] in {"{", "["}:
        return decode_json_body(fields[0][1].encode())
    collected: dict[str, list[str]] = {}
    for name, value in fields:
        collected.setdefault(name, []).append(value)
    return {name: each[0] if len(each) == 1 else each for name, each in collected.items()}


def _parse_fields(body: bytes) -> list[tuple[str, str]]:
    if body.count(b"&") >= FORM_FIELDS_MAX:
        raise InvalidEventError("payload", f"the form has more than {FORM_FIELDS_MAX} fields")
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    except ValueError:
        raise InvalidEventError("payload", "the form is not UTF-8") from None
