"""What a lane remembers beyond its worker: paces of keys, and runs that are past judgement.

In: what the board decided. Out: stored before anything of it is carried out, so that whoever takes
the lane over goes on from there. Values expire once they say nothing any more.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from actors.errors import UnavailableError
from actors.flows.control import RateRule
from actors.lanes.pace import read_pace
from actors.lanes.paces import Paces
from actors.lanes.ticket import Ticket
from actors.ports import Clock, StateScope, StateStore

JUDGED_SECONDS: Final = 8 * 86_400
"""How long it is known of a run that it was let in; as long as its journal is kept."""

PACE_MARGIN_SECONDS: Final = 3600
RETRY_SECONDS: Final = 0.5

_RATES: Final = ("throttle", "rate_limit")


class LaneMemory:
    """The memory of one tenant's lanes, in the store of what workers agree in.

    While the store does not answer, it waits: what is not remembered is not carried out.
    """

    def __init__(self, tenant: str, store: StateStore, clock: Clock) -> None:
        self._scope = StateScope(tenant)
        self._store = store
        self._clock = clock

    async def recall_paces(self, tickets: Iterable[Ticket], paces: Paces) -> None:
        """Read the paces of these runs' keys that are not known yet."""
        keys = {ticket.keys[rule] for ticket in tickets for rule in _RATES if rule in ticket.keys}
        unknown = [key for key in keys if not paces.knows(key)]
        for key, value in zip(unknown, await self._read(_pace_name, unknown), strict=True):
            paces.learn(key, read_pace(value), self._clock.now_ms())

    async def recall_judged(self, tickets: Iterable[Ticket]) -> None:
        """Mark the runs that were let in before they came to this worker."""
        asked = [ticket for ticket in tickets if ticket.is_repeated and needs_marks(ticket)]
        found = await self._read(_judged_name, [ticket.run_id for ticket in asked])
        for ticket, value in zip(asked, found, strict=True):
            ticket.is_judged = ticket.is_judged or value is not None

    async def save(self, paces: Paces, judged: Iterable[Ticket]) -> None:
        """Store what has changed."""
        now_ms = self._clock.now_ms()
        writes = [
            (_pace_name(key), pace.as_value(), _pace_seconds(rule))
            for key, (pace, rule) in paces.take_unsaved().items()
        ]
        writes += [
            (_judged_name(ticket.run_id), {"at_ms": now_ms}, JUDGED_SECONDS) for ticket in judged
        ]
        while writes:
            done = await asyncio.gather(
                *(self._write(*write) for write in writes), return_exceptions=True
            )
            failed = [error for error in done if error is not None]
            if not failed:
                return
            if not all(isinstance(error, UnavailableError) for error in failed):
                raise failed[0]
            await self._clock.sleep(RETRY_SECONDS)

    async def _write(self, name: str, value: Any, ttl_seconds: int) -> None:
        await self._store.put(self._scope, name, value, ttl_seconds=ttl_seconds)

    async def _read(self, name_of: Any, keys: list[str]) -> list[Any]:
        while True:
            try:
                entries = await asyncio.gather(
                    *(self._store.get(self._scope, name_of(key)) for key in keys)
                )
            except UnavailableError:
                await self._clock.sleep(RETRY_SECONDS)
            else:
                return [entry.value for entry in entries]


def needs_marks(ticket: Ticket) -> bool:
    """Tell whether a repeated run could be judged otherwise than before."""
    return ticket.plan.rate_limit is not None or ticket.plan.debounce is not None


def _pace_name(key: str) -> str:
    return f"lane:{key}"


def _judged_name(run_id: str) -> str:
    return f"lane:judged:{run_id}"


def _pace_seconds(rule: RateRule) -> int:
    return rule.period_ms // rule.limit // 1000 + PACE_MARGIN_SECONDS
