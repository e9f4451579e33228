"""JSON of the bus: exact integers, bounded depth, no NaN, no half characters.

In: bytes off the bus, or values of the core. Out: the other. Refuses with InvalidEventError what is
no JSON, what nests deeper than SPEC 13 allows, and what JSON cannot say (NaN, Infinity, a lone
surrogate, a foreign type). Every refusal of a message ends in the dead letters, never in a crash.
"""

import math
from typing import Any, Final

import msgspec

from actors.errors import InvalidEventError
from actors.events import JSON_DEPTH_MAX, Event, json_depth_exceeds, parse_event

EVENT_BYTES_MAX: Final = 768 * 1024
"""SPEC 13: a stored event. NATS itself takes 1 MiB with the headers."""

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder()


def decode_event(data: bytes) -> Event:
    """Read an event off the bus; `encode_event` is its inverse."""
    return parse_event(decode_json(data, "event"))


def encode_event(event: Event) -> bytes:
    """Write an event for the bus. Refuses one that is larger than a stored event may be."""
    data = encode_json(event.as_mapping(), "payload")
    if len(data) > EVENT_BYTES_MAX:
        raise InvalidEventError("event", f"is larger than {EVENT_BYTES_MAX} bytes")
    return data


def decode_json(data: bytes, field: str) -> Any:
    """Read one JSON document, at most `JSON_DEPTH_MAX` containers deep; ``field`` names it."""
    try:
        value = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidEventError(field, f"is no JSON: {error}") from None
    except RecursionError:
        raise _too_deep(field) from None
    except (ValueError, OverflowError):
        raise InvalidEventError(field, "has a number that is too long") from None
    # As many brackets as levels are needed to nest too deep: most documents have fewer in all.
    if data.count(b"[") + data.count(b"{") > JSON_DEPTH_MAX and json_depth_exceeds(value):
        raise _too_deep(field)
    return value


def encode_json(value: Any, field: str, *, nulls: int = 0) -> bytes:
    """Write one JSON document; ``field`` names it in the refusal.

    ``nulls`` is how many of its values the caller knows to be None: a document with no more nulls
    than that hides no NaN, and is spared the search for one.
    """
    try:
        data = _ENCODER.encode(value)
    except UnicodeEncodeError:
        raise InvalidEventError(field, "has text with half a character in it") from None
    except RecursionError:
        raise _too_deep(field) from None
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidEventError(field, f"is no JSON value: {error}") from None
    if data.count(b"[") + data.count(b"{") > JSON_DEPTH_MAX and json_depth_exceeds(value):
        raise _too_deep(field)
    # The encoder writes NaN and Infinity as null, so only a document with a null can hide one.
    if data.count(b"null") > nulls and _has_unspeakable_float(value):
        raise InvalidEventError(field, "has a NaN or an Infinity, which JSON does not have")
    return data


def _too_deep(field: str) -> InvalidEventError:
    return InvalidEventError(field, f"nests deeper than {JSON_DEPTH_MAX} levels")


def _has_unspeakable_float(value: Any) -> bool:
    """Look through a value already known to be finite: it was just encoded."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, float):
            if not math.isfinite(item):
                return True
        elif isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            waiting.extend(item)
    return False
