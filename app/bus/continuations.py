"""Continuations onto the bus: the adapter behind `Continuations`.

In: a run that starts or goes on later. Out: nothing, once WORK has it: on the subject its tenant's
workers consume, or on a schedule's subject with the time at which the server moves it there
(DESIGN 3, Schedules). Refuses a continuation that is larger than `CONTINUATION_BYTES_MAX`, the
events of a batch among it.

A run has one subject for schedules, so it waits for one time only: a later schedule takes the place
of the one before it, on whatever lane that was.
"""

import re
from datetime import UTC, datetime
from typing import Final

from actors.errors import InvalidSubjectError
from actors.ports import Clock, Continuation
from actors.subjects import (
    work_lane_subject,
    work_run_subject,
    work_schedule_subject,
)
from app.bus.acked_publisher import AckedPublisher
from app.bus.continuation_document import (
    check_run_id,
    decode_continuation,
    encode_continuation,
)
from app.bus.headers import JSON_CONTENT, MESSAGE_ID, TTL
from app.bus.storing import wait_all
from app.bus.wire import build_headers

__all__ = [
    "JetStreamContinuations",
    "decode_continuation",
    "encode_continuation",
    "format_due",
    "message_id",
]

SCHEDULE: Final = "Nats-Schedule"
SCHEDULE_TARGET: Final = "Nats-Schedule-Target"
DUE_MS_MAX: Final = 253_402_300_799_000
"""The last second of the year 9999: RFC 3339 goes no further."""

_LANE = re.compile(r"~|[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_LANE_CHARS_MAX: Final = 512


class JetStreamContinuations:
    """Schedules the continuations of one env, of any tenant."""

    def __init__(self, publisher: AckedPublisher, *, env: str, clock: Clock) -> None:
        self._publisher = publisher
        self._env = env
        self._clock = clock

    async def schedule(
        self, tenant: str, continuation: Continuation, *, lane: str | None = None
    ) -> None:
        """Store it; the same run id, attempt, round and leg again is one continuation.

        With ``lane`` it comes due on that private lane. InvalidEventError: it cannot be written.
        """
        run_id = check_run_id(continuation.run_id, "run_id")
        target = self._target(tenant, run_id, lane)
        pairs = [JSON_CONTENT]
        if continuation.due_ms > self._clock.now_ms():
            # No message id: one that was replaced since would be known, and the run be lost.
            subject = work_schedule_subject(self._env, tenant, run_id)
            pairs.append((SCHEDULE, f"@at {format_due(continuation.due_ms)}"))
            pairs.append((SCHEDULE_TARGET, target))
            pairs.append((TTL, "never"))
        else:
            subject = target
            pairs.append((MESSAGE_ID, message_id(tenant, continuation, lane)))
        future = await self._publisher.publish_when_room(
            subject, encode_continuation(continuation), build_headers(pairs)
        )
        await wait_all([future])

    def _target(self, tenant: str, run_id: str, lane: str | None) -> str:
        if lane is None:
            return work_run_subject(self._env, tenant, run_id)
        if len(lane) > _LANE_CHARS_MAX or not _LANE.fullmatch(lane):
            raise InvalidSubjectError(f"{lane!r} cannot name a lane")
        return work_lane_subject(self._env, tenant, lane)


def message_id(tenant: str, continuation: Continuation, lane: str | None = None) -> str:
    """Name what is due at once: what has this name already is stored no second time.

    On a lane it has another name: it may have come to its flow by another way before.
    """
    place = f"{continuation.attempt}.{continuation.round}.{continuation.leg}"
    where = "" if lane is None else f"@{lane}"
    return f"{tenant}:{continuation.run_id}:{place}{where}"


def format_due(due_ms: int) -> str:
    """Write a time (ms since the epoch) as the server reads schedules: RFC 3339, UTC."""
    seconds, milliseconds = divmod(min(due_ms, DUE_MS_MAX), 1000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"
