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

EVENT_DEPTH_MAX: Final = JSON_DEPTH_MAX + 1
"""An event around a payload of the depth that SPEC 13 allows."""
DOCUMENT_DEPTH_MAX: Final = JSON_DEPTH_MAX + 4
"""Our own documents wrap a payload or an output in a few levels: a continuation in two."""

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder()


def decode_event(data: bytes) -> Event:
    """Read an event off the bus; `encode_event` is its inverse."""
    return parse_event(decode_json(data, "event", depth_max=EVENT_DEPTH_MAX))


def encode_event(event: Event) -> bytes:
    """Write an event for the bus. Refuses one that is larger than a stored event may be."""
    data = encode_json(event.as_mapping(), "payload", depth_max=EVENT_DEPTH_MAX)
    if len(data) > EVENT_BYTES_MAX:
        raise InvalidEventError("event", f"is larger than {EVENT_BYTES_MAX} bytes")
    return data


def decode_json(data: bytes, field: str, *, depth_max: int = DOCUMENT_DEPTH_MAX) -> Any:
    """Read one JSON document, at most ``depth_max`` containers deep; ``field`` names it."""
    try:
        value = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidEventError(field, f"is no JSON: {error}") from None
    except RecursionError:
        raise _too_deep(field, depth_max) from None
    except (ValueError, OverflowError):
        raise InvalidEventError(field, "has a number that is too long") from None
    _check_depth(value, data, field, depth_max)
    return value


def encode_json(
    value: Any, field: str, *, nulls: int = 0, depth_max: int = DOCUMENT_DEPTH_MAX
) -> bytes:
    """Write one JSON document; ``field`` names it in the refusal.

    ``nulls`` is how many of its values the caller knows to be None: a document with no more nulls
    than that hides no NaN, and is spared the search for one.
    """
    try:
        data = _ENCODER.encode(value)
    except UnicodeEncodeError:
        raise InvalidEventError(field, "has text with half a character in it") from None
    except RecursionError:
        raise _too_deep(field, depth_max) from None
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidEventError(field, f"is no JSON value: {error}") from None
    _check_depth(value, data, field, depth_max)
    # The encoder writes NaN and Infinity as null, so only a document with a null can hide one.
    if data.count(b"null") > nulls and _has_unspeakable_float(value):
        raise InvalidEventError(field, "has a NaN or an Infinity, which JSON does not have")
    return data


def _check_depth(value: Any, data: bytes, field: str, depth_max: int) -> None:
    # As many brackets as levels are needed to nest too deep: most documents have fewer in all.
    if data.count(b"[") + data.count(b"{") > depth_max and json_depth_exceeds(value, depth_max):
        raise _too_deep(field, depth_max)


def _too_deep(field: str, depth_max: int) -> InvalidEventError:
    return InvalidEventError(field, f"nests deeper than {depth_max} levels")


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
