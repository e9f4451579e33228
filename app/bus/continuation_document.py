"""A continuation's document on the bus: everything a run remembers while it waits.

In: a continuation. Out: JSON, and the continuation again. Refuses, naming the field, what breaks a
limit; anybody may publish on the bus, so reading refuses as much as writing. What an earlier
version wrote is still read: the fields it did not know say nothing when they are absent.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from actors.errors import InvalidEventError
from actors.events import Event, parse_event
from actors.ports import Continuation
from actors.subjects import is_reply_subject
from app.bus.codec import EVENT_BYTES_MAX, decode_json, encode_json

CONTINUATION_BYTES_MAX: Final = EVENT_BYTES_MAX + 64 * 1024
"""The largest event, and what a run remembers beside it; NATS takes 1 MiB."""
RETRIED_STEPS_MAX: Final = 64
STEP_CHARS_MAX: Final = 1024
BATCH_EVENTS_MAX: Final = 10_000
VERSION_CHARS_MAX: Final = 256
COUNT_MAX: Final = 2**53

_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_FIELDS: Final = frozenset(
    {"run_id", "flow", "event", "attempt", "due_ms", "parent_run_id", "hops"}
)
_LATER_FIELDS: Final = frozenset(
    {
        *("trigger", "round", "leg", "retries", "spent_ms", "version", "reply_to"),
        "events",
    }
)
"""Absent from what an earlier version scheduled, and where they say nothing."""


def encode_continuation(continuation: Continuation) -> bytes:
    """Write a continuation; `decode_continuation` is its inverse."""
    if continuation.events and continuation.events[0] != continuation.event:
        raise InvalidEventError("events", "must begin with the continuation's event")
    document = {
        "run_id": continuation.run_id,
        "flow": continuation.flow,
        "event": continuation.event.as_mapping(),
        "attempt": continuation.attempt,
        "due_ms": continuation.due_ms,
        "parent_run_id": continuation.parent_run_id,
        "hops": continuation.hops,
    }
    later = {
        "trigger": continuation.trigger,
        "round": continuation.round,
        "leg": continuation.leg,
        "retries": dict(_retries(continuation.retries)),
        "spent_ms": continuation.spent_ms,
        "version": continuation.version,
        "reply_to": continuation.reply_to,
    }
    document |= {name: value for name, value in later.items() if value}
    if continuation.events:
        _check_batch(len(continuation.events))
        document["events"] = [event.as_mapping() for event in continuation.events[1:]]
    data = encode_json(document, "event")
    if len(data) > CONTINUATION_BYTES_MAX:
        raise InvalidEventError("event", f"is larger than {CONTINUATION_BYTES_MAX} bytes")
    return data


def decode_continuation(data: bytes) -> Continuation:
    """Read a continuation off the bus; InvalidEventError names the field that is wrong."""
    document = decode_json(data, "continuation")
    if not isinstance(document, dict) or document.keys() - _LATER_FIELDS != _FIELDS:
        raise InvalidEventError("continuation", "must have exactly the fields of a continuation")
    parent, trigger = document["parent_run_id"], document.get("trigger")
    event = parse_event(document["event"])
    return Continuation(
        run_id=check_run_id(document["run_id"], "run_id"),
        flow=_text(document["flow"], "flow"),
        event=event,
        attempt=_count(document["attempt"], "attempt", 1),
        due_ms=_count(document["due_ms"], "due_ms", 0),
        parent_run_id=None if parent is None else check_run_id(parent, "parent_run_id"),
        hops=_count(document["hops"], "hops", 0),
        trigger=None if trigger is None else _count(trigger, "trigger", 1),
        round=_count(document.get("round", 0), "round", 0),
        leg=_count(document.get("leg", 0), "leg", 0),
        retries=_retries(document.get("retries", {})),
        spent_ms=_count(document.get("spent_ms", 0), "spent_ms", 0),
        version=_version(document.get("version")),
        reply_to=_reply_to(document.get("reply_to")),
        events=_batch(event, document.get("events")),
    )


def check_run_id(value: Any, field: str) -> str:
    """Give a run id back if it is one token of a subject."""
    if not isinstance(value, str) or not _RUN_ID.fullmatch(value):
        raise InvalidEventError(field, "must be a run id")
    return value


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidEventError(field, "must be a name")
    return value


def _count(value: Any, field: str, least: int) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool)
    if not is_count or not least <= value <= COUNT_MAX:
        raise InvalidEventError(field, f"must be a whole number from {least} to {COUNT_MAX}")
    return int(value)


def _retries(value: Any) -> Mapping[str, int]:
    """Check how often each step was retried; the flow's own retries stand under no name."""
    if not isinstance(value, Mapping) or len(value) > RETRIED_STEPS_MAX:
        limit = f"must be an object of at most {RETRIED_STEPS_MAX} steps"
        raise InvalidEventError("retries", limit)
    for step, count in value.items():
        if not isinstance(step, str) or len(step) > STEP_CHARS_MAX:
            raise InvalidEventError("retries", "must be counted by step")
        _count(count, "retries", 0)
    return value


def _version(value: Any) -> str | None:
    if value is None:
        return None
    if len(_text(value, "version")) > VERSION_CHARS_MAX:
        raise InvalidEventError("version", f"must not exceed {VERSION_CHARS_MAX} characters")
    return str(value)


def _reply_to(value: Any) -> str | None:
    """Give where an answer may go; anybody may publish here, so anything else is dropped."""
    return value if isinstance(value, str) and is_reply_subject(value) else None


def _batch(first: Event, others: Any) -> tuple[Event, ...]:
    if others is None:
        return ()
    if not isinstance(others, list):
        raise InvalidEventError("events", "must be the other events of a batch")
    _check_batch(1 + len(others))
    return (first, *map(parse_event, others))


def _check_batch(count: int) -> None:
    if count > BATCH_EVENTS_MAX:
        raise InvalidEventError("events", f"must be at most {BATCH_EVENTS_MAX} in a batch")
