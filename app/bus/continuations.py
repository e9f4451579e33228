"""Continuations onto the bus: the adapter behind `Continuations`, and their document.

In: a run that starts or goes on later. Out: nothing, once WORK has it: on the subject its tenant's
workers consume, or on a schedule's subject with the time at which the server moves it there
(DESIGN 3, Schedules). Refuses a continuation that is larger than an event may be.
"""

import re
from datetime import UTC, datetime
from typing import Any, Final

from actors.errors import InvalidEventError
from actors.events import parse_event
from actors.ports import Clock, Continuation
from actors.subjects import work_run_subject, work_schedule_subject
from app.bus.acked_publisher import AckedPublisher
from app.bus.codec import EVENT_BYTES_MAX, decode_json, encode_json
from app.bus.headers import JSON_CONTENT, MESSAGE_ID, TTL
from app.bus.storing import wait_all
from app.bus.wire import build_headers

SCHEDULE: Final = "Nats-Schedule"
SCHEDULE_TARGET: Final = "Nats-Schedule-Target"
CONTINUATION_BYTES_MAX: Final = EVENT_BYTES_MAX + 16 * 1024

DUE_MS_MAX: Final = 253_402_300_799_000
"""The last second of the year 9999: RFC 3339 goes no further."""

_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_FIELDS: Final = frozenset(
    {"run_id", "flow", "event", "attempt", "due_ms", "parent_run_id", "hops"}
)
_LATER_FIELDS: Final = frozenset({"trigger", "round"})
"""Absent from what an earlier version scheduled."""


class JetStreamContinuations:
    """Schedules the continuations of one env, of any tenant."""

    def __init__(self, publisher: AckedPublisher, *, env: str, clock: Clock) -> None:
        self._publisher = publisher
        self._env = env
        self._clock = clock

    async def schedule(self, tenant: str, continuation: Continuation) -> None:
        """Store it; the same run id, attempt and round again is one continuation."""
        run_id = continuation.run_id
        target = work_run_subject(self._env, tenant, run_id)
        place = f"{continuation.attempt}"
        if continuation.round:
            place += f".{continuation.round}"
        pairs = [(MESSAGE_ID, f"{tenant}:{run_id}:{place}"), JSON_CONTENT]
        subject = target
        if continuation.due_ms > self._clock.now_ms():
            subject = work_schedule_subject(self._env, tenant, run_id)
            pairs.append((SCHEDULE, f"@at {format_due(continuation.due_ms)}"))
            pairs.append((SCHEDULE_TARGET, target))
            pairs.append((TTL, "never"))
        future = await self._publisher.publish_when_room(
            subject, encode_continuation(continuation), build_headers(pairs)
        )
        await wait_all([future])


def format_due(due_ms: int) -> str:
    """Write a time (ms since the epoch) as the server reads schedules: RFC 3339, UTC."""
    seconds, milliseconds = divmod(min(due_ms, DUE_MS_MAX), 1000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"


def encode_continuation(continuation: Continuation) -> bytes:
    """Write a continuation; `decode_continuation` is its inverse."""
    data = encode_json(
        {
            "run_id": continuation.run_id,
            "flow": continuation.flow,
            "event": continuation.event.as_mapping(),
            "attempt": continuation.attempt,
            "due_ms": continuation.due_ms,
            "parent_run_id": continuation.parent_run_id,
            "hops": continuation.hops,
            "trigger": continuation.trigger,
            "round": continuation.round,
        },
        "event",
    )
    if len(data) > CONTINUATION_BYTES_MAX:
        raise InvalidEventError("event", f"is larger than {CONTINUATION_BYTES_MAX} bytes")
    return data


def decode_continuation(data: bytes) -> Continuation:
    """Read a continuation off the bus; InvalidEventError names the field that is wrong."""
    document = decode_json(data, "continuation")
    if not isinstance(document, dict) or document.keys() - _LATER_FIELDS != _FIELDS:
        raise InvalidEventError("continuation", "must have exactly the fields of a continuation")
    parent, trigger = document["parent_run_id"], document.get("trigger")
    return Continuation(
        run_id=_run_id(document["run_id"], "run_id"),
        flow=_name(document["flow"]),
        event=parse_event(document["event"]),
        attempt=_count(document["attempt"], "attempt", 1),
        due_ms=_count(document["due_ms"], "due_ms", 0),
        parent_run_id=None if parent is None else _run_id(parent, "parent_run_id"),
        hops=_count(document["hops"], "hops", 0),
        trigger=None if trigger is None else _count(trigger, "trigger", 1),
        round=_count(document.get("round", 0), "round", 0),
    )


def _run_id(value: Any, field: str) -> str:
    if not isinstance(value, str) or not _RUN_ID.fullmatch(value):
        raise InvalidEventError(field, "must be a run id")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidEventError("flow", "must be a flow's name")
    return value


def _count(value: Any, field: str, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidEventError(field, f"must be a whole number from {least}")
    return value
