"""Tenure: whether this worker has an exclusive lane, and what others have of it still.

In: the lane's term, and what lies on it unsettled. Out: a gate that knows what is missing, and the
word to begin anew or to let go. Of a lane that all workers share there is nothing to know.
"""

from collections.abc import Callable
from typing import Final

from actors.errors import UnavailableError
from actors.lanes.gate import Gate
from actors.observations import LaneTaken
from actors.ports import Clock, LaneDeliveries, LaneName, Observer

LOOK_EVERY_MS: Final = 1_000
"""How often the stream is asked for what is missing, while something is."""

HANDOVER_SECONDS: Final = 35.0
"""Longer than ack_wait: who is handed nothing for so long, while others are, has lost the lane."""


class Tenure:
    """Follows one lane. ``ours`` gives the sequences of what this worker has."""

    def __init__(
        self,
        name: LaneName,
        deliveries: LaneDeliveries,
        ours: Callable[[], set[int]],
        *,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self.gate = Gate()
        self._name = name
        self._deliveries = deliveries
        self._ours = ours
        self._clock = clock
        self._observer = observer
        self.has_news = False
        """Another worker has settled something of this lane: it may have let runs begin."""
        self._term: int | None = None
        self._look_ms = 0
        self._pulled_at = clock.monotonic()
        self._strange: set[int] = set()

    @property
    def is_held_up(self) -> bool:
        """Whether nothing may be decided: it is not known what others have."""
        return self._name.is_exclusive and self.gate.is_shut

    @property
    def next_look_ms(self) -> int | None:
        """When to `follow` and `look` again; None: there is no need."""
        return self._look_ms if self._name.is_exclusive else None

    def heard_from(self) -> None:
        """Take note that deliveries came."""
        self._pulled_at = self._clock.monotonic()
        self._strange = set()

    async def follow(self) -> bool:
        """Tell whether the lane has become ours since the last time."""
        term = self._deliveries.term
        if not self._name.is_exclusive or term == self._term:
            return False
        if self.gate.is_shut and self._clock.now_ms() < self._look_ms:
            return False
        self.gate.shut()
        self._look_ms = self._clock.now_ms() + LOOK_EVERY_MS
        try:
            outstanding = await self._deliveries.outstanding()
        except UnavailableError:
            return False
        self.gate.take_over(outstanding, self._ours())
        self._term = term
        missing = len(set(outstanding) - self._ours())
        self._observer.observe(LaneTaken(self._name.tenant, self._name.lane, missing))
        return True

    async def look(self, *, is_pulling: bool) -> bool:
        """Ask what has become of what is missing; True: the lane is another worker's.

        Whoever has it is handed what comes. If for long nothing came here while others have
        something, twice the same, then it is theirs.
        """
        now_ms = self._clock.now_ms()
        silent_seconds = self._clock.monotonic() - self._pulled_at
        is_silent = is_pulling and silent_seconds >= HANDOVER_SECONDS
        if not self._name.is_exclusive or self.gate.is_shut or now_ms < self._look_ms:
            return False
        self._look_ms = now_ms + LOOK_EVERY_MS
        if self.gate.is_clear and not is_silent:
            return False
        try:
            outstanding = set(await self._deliveries.outstanding())
        except UnavailableError:
            return False
        self.has_news = self.gate.keep_only(outstanding) or self.has_news
        return is_silent and self._is_lost(outstanding - self._ours())

    def _is_lost(self, strange: set[int]) -> bool:
        known, self._strange = self._strange, strange
        if strange and not known:
            return False
        self._pulled_at = self._clock.monotonic()
        return bool(strange & known)
