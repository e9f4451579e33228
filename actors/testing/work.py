"""WORK in memory: continuations wait for their time, and come back as deliveries.

In: continuations. Out: each in its stream once it is due. Like the bus it keeps one schedule for
each run, which another one replaces; and what is due at once it knows again by its message id for
an hour. A schedule must not be taken for one that it knows: that one may have been replaced since,
and nothing would be left of the run.
"""

from collections.abc import Callable
from typing import Final

from actors.errors import UnavailableError
from actors.ports import Clock, Continuation
from actors.testing.deliveries import MemoryEventStream

REMEMBER_MS: Final = 3_600_000
"""How long a message id is known (the stream's duplicate window)."""


class MemoryWork:
    """Twin of the Continuations port; ``is_available`` False makes every call fail.

    ``find_stream`` gives where the workers of a tenant, or of its lane, take their deliveries.
    """

    def __init__(
        self, clock: Clock, find_stream: Callable[[str, str | None], MemoryEventStream]
    ) -> None:
        self.is_available = True
        self.knows_schedules = False
        """True: it drops a schedule that it knows, and with it sometimes a run."""
        self._clock = clock
        self._find_stream = find_stream
        self._waiting: dict[tuple[str, str], tuple[Continuation, str | None]] = {}
        self._known: dict[str, int] = {}

    @property
    def waiting(self) -> list[Continuation]:
        """What is not due yet, in the order scheduled."""
        return [continuation for continuation, _ in self._waiting.values()]

    @property
    def next_due_ms(self) -> int | None:
        """When the first of them comes due."""
        return min((one.due_ms for one in self.waiting), default=None)

    async def schedule(
        self, tenant: str, continuation: Continuation, *, lane: str | None = None
    ) -> None:
        """Store it; the same run id, attempt, round and leg again is one continuation."""
        if not self.is_available:
            raise UnavailableError("the bus is away")
        now_ms = self._clock.now_ms()
        is_later = continuation.due_ms > now_ms
        if self._is_known(tenant, continuation, lane) and (self.knows_schedules or not is_later):
            return
        if is_later:
            self._waiting.pop((tenant, continuation.run_id), None)
            self._waiting[tenant, continuation.run_id] = (continuation, lane)
        else:
            self._hand_over(tenant, continuation, lane)

    async def latest(self, tenant: str, run_id: str) -> Continuation | None:
        """Give the run's continuation that is due, else the one that waits (`RunLegs`)."""
        if not self.is_available:
            raise UnavailableError("the bus is away")
        legs = self._find_stream(tenant, None).continuations()
        waiting = self._waiting.get((tenant, run_id))
        if waiting is not None:
            legs.append(waiting[0])
        of_run = [leg for leg in legs if leg.run_id == run_id]
        return max(of_run, key=lambda leg: (leg.leg, leg.round), default=None)

    def move_due(self) -> int:
        """Put what is due by now into its stream, and give how many there were."""
        now_ms = self._clock.now_ms()
        due = [place for place, (one, _) in self._waiting.items() if one.due_ms <= now_ms]
        for place in due:
            self._hand_over(place[0], *self._waiting.pop(place))
        return len(due)

    def forget_ids(self) -> None:
        """Know no message again but those that still wait, as a server that was restarted."""
        stored = {
            message_id_of(place[0], one, lane) for place, (one, lane) in self._waiting.items()
        }
        self._known = {name: until for name, until in self._known.items() if name in stored}

    def _is_known(self, tenant: str, continuation: Continuation, lane: str | None) -> bool:
        """Tell whether it was stored within the hour; from now on it was."""
        now_ms, name = self._clock.now_ms(), message_id_of(tenant, continuation, lane)
        is_known = self._known.get(name, now_ms) > now_ms
        self._known[name] = now_ms + REMEMBER_MS
        return is_known

    def _hand_over(self, tenant: str, continuation: Continuation, lane: str | None) -> None:
        stream = self._find_stream(tenant, lane)
        stream.add(continuation.event, continuation=continuation)


def message_id_of(tenant: str, continuation: Continuation, lane: str | None) -> str:
    """Name a continuation for the duplicate window."""
    place = f"{continuation.attempt}.{continuation.round}.{continuation.leg}"
    return f"{tenant}:{continuation.run_id}:{place}@{lane}"
