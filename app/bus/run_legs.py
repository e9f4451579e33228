"""Where a run that was put off is now: the adapter behind `RunLegs`.

In: a run. Out: its continuation in WORK, due or waiting; a message stays there until it is settled.
Refuses nothing: what cannot be read is taken for absent, since its worker will park it.
"""

import asyncio
from collections.abc import Callable

from actors.errors import ActorsError, UnavailableError
from actors.ports import Continuation
from actors.subjects import work_run_subject, work_schedule_subject
from app.bus.connection import Bus
from app.bus.continuation_document import decode_continuation
from app.bus.direct import StoredMessage
from app.bus.leader import read_last


class JetStreamRunLegs:
    """Legs of one env, of any tenant. ``stream_of`` names the stream of a tenant's continuations.

    The leader is asked: a replica that is a moment behind would hide the leg that was just stored.
    """

    def __init__(self, bus: Bus, *, env: str, stream_of: Callable[[str], str]) -> None:
        self._bus = bus
        self._env = env
        self._stream_of = stream_of

    async def latest(self, tenant: str, run_id: str) -> Continuation | None:
        """Give the run's continuation that is due, else the one that waits. UnavailableError."""
        stream = self._stream_of(tenant)
        waiting, due = await asyncio.gather(
            read_last(self._bus, stream, work_schedule_subject(self._env, tenant, run_id)),
            read_last(self._bus, stream, work_run_subject(self._env, tenant, run_id)),
        )
        legs = [leg for leg in (_read(due), _read(waiting)) if leg is not None]
        return max(legs, key=lambda leg: (leg.leg, leg.round), default=None)


def _read(message: StoredMessage | None) -> Continuation | None:
    if message is None:
        return None
    try:
        return decode_continuation(message.data)
    except UnavailableError:
        raise
    except ActorsError:
        return None
