"""Cancelling runs, wherever they are: in a worker's hand, asleep in WORK, or on their way.

In: a tenant and a run's id. Out: what was found of it. The wish is written to the run's journal
first, so that it holds whoever goes on with the run; then workers are told, and a sleeper is woken.
Refuses ids that cannot be one, and says so where nothing of a run is to be seen.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from actors.errors import ActorsError
from actors.ports import Clock, Journal
from actors.runs.journal import JournalSeat, write_cancel
from actors.subjects import cancel_subject, check_token, work_schedule_subject
from app.bus.acked_publisher import AckedPublisher
from app.bus.codec import decode_json
from app.bus.connection import Bus, Subscription
from app.bus.headers import JSON_CONTENT
from app.bus.leader import read_last
from app.bus.storing import wait_all
from app.bus.wire import Received, build_headers

ANSWER_SECONDS: Final = 1.0
"""How long workers have to say that they have the run in hand."""

SCHEDULER: Final = "Nats-Scheduler"
SCHEDULE_NEXT: Final = "Nats-Schedule-Next"
SCHEDULE_TARGET: Final = "Nats-Schedule-Target"
PURGE: Final = "purge"
REASON_CHARS_MAX: Final = 500

Cancel = Callable[[str, str, str], bool]
"""Ends a run in hand: tenant, run id, reason; False where it is not there."""


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What was found of a run that was to be cancelled."""

    in_hand: int
    """Workers that ended it."""
    was_asleep: bool
    """It waited in WORK, and was woken to end."""


class RunCanceller:
    """Cancels runs of one env. ``stream_of`` names the stream of a tenant's continuations."""

    def __init__(
        self,
        publisher: AckedPublisher,
        journal: Journal,
        clock: Clock,
        *,
        env: str,
        stream_of: Callable[[str], str],
    ) -> None:
        self._publisher = publisher
        self._journal = journal
        self._clock = clock
        self._env = env
        self._stream_of = stream_of

    async def cancel(self, tenant: str, run_id: str, reason: str) -> Cancellation:
        """Cancel a run. UnavailableError; PermanentError for what is no run's id."""
        seat = JournalSeat(self._journal, self._clock, check_token(tenant, "tenant"), run_id)
        await write_cancel(seat, reason[:REASON_CHARS_MAX])
        in_hand = await self._tell_workers(tenant, run_id, reason[:REASON_CHARS_MAX])
        return Cancellation(in_hand, await self._wake(tenant, run_id))

    async def _tell_workers(self, tenant: str, run_id: str, reason: str) -> int:
        bus = self._publisher.bus
        answers: list[Received] = []
        inbox = bus.new_inbox()
        subscription = await bus.subscribe(inbox, answers.append)
        try:
            wish = json.dumps({"run_id": run_id, "reason": reason}).encode()
            bus.send(cancel_subject(self._env, tenant), wish, reply=inbox)
            await asyncio.sleep(ANSWER_SECONDS)
        finally:
            await bus.unsubscribe(subscription)
        return sum(answer.data == b"+" for answer in answers)

    async def _wake(self, tenant: str, run_id: str) -> bool:
        """Let a schedule fire now; the server takes it away as it stores what fires."""
        place = work_schedule_subject(self._env, tenant, run_id)
        asleep = await read_last(self._publisher.bus, self._stream_of(tenant), place)
        target = None if asleep is None else asleep.headers.get(SCHEDULE_TARGET)
        if asleep is None or target is None:
            return False
        headers = build_headers([(SCHEDULER, place), (SCHEDULE_NEXT, PURGE), JSON_CONTENT])
        await wait_all([await self._publisher.publish_when_room(target, asleep.data, headers)])
        return True


async def listen_for_cancels(bus: Bus, env: str, cancel: Cancel) -> Subscription:
    """Hear what is to be cancelled, and say so where a run was here."""

    def hear(message: Received) -> None:
        tenant = message.subject.split(".")[3]
        wish = _read(message.data)
        if wish is not None and cancel(tenant, *wish) and message.reply:
            bus.send(message.reply, b"+")

    return await bus.subscribe(f"greentic.control.{check_token(env, 'env')}.*.cancel", hear)


def _read(data: bytes) -> tuple[str, str] | None:
    try:
        document = decode_json(data, "wish")
        return str(document["run_id"]), str(document.get("reason", ""))
    except (ValueError, KeyError, TypeError, AttributeError, ActorsError):
        return None
