"""What goes wrong in a simulation, drawn from its seed.

In: a seed's chance. Out: for each life of a worker the calls at which it dies, freezes or is not
answered; for the bus the times at which it is away.
"""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Final

ACK_WAIT_SECONDS: Final = 30.0
CALLS_TO_FAULT: Final = 25
"""A worker's fault comes at one of its first calls, so that every place of a run is hit."""

FREEZE_SECONDS: Final = (0.1, 12.0, 20.0, 40.0, 90.0)
"""Shorter and longer than what a delivery is surely ours, and than its ack wait."""

DOWN_SECONDS: Final = (0.0, 0.0, 10.0, 60.0, 120.0)
"""How long a dead worker stays away, at most. Longer than `STATE_WRITE_ID_SECONDS` in all, and the
twin of the state would know a write no more that is repeated."""

OUTAGE_SECONDS: Final = (0.5, 40.0)
SILENT_SECONDS_MAX: Final = 6.0
"""How long the bus may be away without its clients noticing: a stream without a leader."""


class CallFault(Enum):
    """What happens to one call."""

    NONE = "none"
    DIE_UNSENT = "die unsent"
    DIE_SENT = "die sent"
    """The call arrives though its caller has died."""
    DIE_SOON = "die soon"
    FREEZE = "freeze"
    FREEZE_SOON = "freeze soon"
    LOSE_REQUEST = "lose request"
    LOSE_ANSWER = "lose answer"


_DEADLY: Final = (CallFault.DIE_UNSENT, CallFault.DIE_SENT, CallFault.DIE_SOON)
_FREEZING: Final = (CallFault.FREEZE, CallFault.FREEZE_SOON)


@dataclass(slots=True)
class Toll:
    """How often each thing went wrong."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, what: str) -> None:
        """Count one."""
        self.counts[what] += 1


@dataclass(frozen=True, slots=True)
class FaultRates:
    """How much goes wrong: chances for each life of a worker, each call or each simulation."""

    dies: float = 0.8
    freezes: float = 0.4
    loses_answer: float = 0.04
    loses_request: float = 0.02
    loses_message: float = 0.08
    outages: int = 1
    duplicates: float = 0.2
    """Of an event being published twice."""
    restarts: float = 0.2
    """Of the server being restarted once: it forgets delivery counts and message ids."""
    deploys: float = 0.3
    """Of another version of the flows coming into force meanwhile."""
    cancels: float = 0.2
    """Of somebody cancelling a run."""
    deaths_max: int = 8
    """Of all workers together."""


NO_FAULTS: Final = FaultRates(
    dies=0.0,
    freezes=0.0,
    loses_answer=0.0,
    loses_request=0.0,
    loses_message=0.0,
    outages=0,
    duplicates=0.0,
    restarts=0.0,
    deploys=0.0,
    cancels=0.0,
    deaths_max=0,
)


class Weather:
    """Whether anything still goes wrong, and how much has."""

    def __init__(self, rates: FaultRates, random: Random, *, until: float) -> None:
        self.rates = rates
        self.random = random
        self.until = until
        """Seconds since the beginning; later the world is left alone to settle."""
        self.toll = Toll()
        self.deaths_left = rates.deaths_max
        self._outages = self._draw_outages()

    def is_calm(self, now: float) -> bool:
        """Whether nothing goes wrong any more."""
        return now >= self.until

    def is_down(self, now: float) -> bool:
        """Whether the bus answers nobody."""
        return self._outage_at(now) is not None

    def is_noticed(self, now: float) -> bool:
        """Whether clients of the bus know that they are cut off."""
        outage = self._outage_at(now)
        return outage is not None and outage[1] - outage[0] > SILENT_SECONDS_MAX

    def _outage_at(self, now: float) -> tuple[float, float] | None:
        for outage in self._outages:
            if outage[0] <= now < outage[1]:
                return outage
        return None

    def _draw_outages(self) -> list[tuple[float, float]]:
        outages = []
        for _ in range(self.random.randint(0, self.rates.outages)):
            begin = self.random.uniform(0.0, self.until)
            longest = self.random.choice((SILENT_SECONDS_MAX, OUTAGE_SECONDS[1]))
            end = begin + self.random.uniform(OUTAGE_SECONDS[0], longest)
            outages.append((begin, min(end, self.until)))
            self.toll.add("outage")
        return outages


class LifeFaults:
    """The faults of one life of one worker."""

    def __init__(self, weather: Weather) -> None:
        self._weather = weather
        self._random = weather.random
        self._calls = 0
        rates = weather.rates
        self._dies_at = self._draw(rates.dies) if weather.deaths_left > 0 else None
        self._freezes_at = self._draw(rates.freezes)

    def next_call(self, now: float, *, on_bus: bool) -> CallFault:
        """Say what happens to the next call, which is made at ``now``."""
        self._calls += 1
        if self._weather.is_calm(now):
            return CallFault.NONE
        fault = self._decide(now, on_bus=on_bus)
        if fault is not CallFault.NONE:
            self._weather.toll.add(fault.value)
        return fault

    def loses_message(self, now: float) -> bool:
        """Say whether a message that nobody answers is lost."""
        if self._weather.is_calm(now):
            return False
        chance = self._random.random()
        return self._weather.is_down(now) or chance < self._weather.rates.loses_message

    def _decide(self, now: float, *, on_bus: bool) -> CallFault:
        if self._calls == self._dies_at:
            return self._random.choice(_DEADLY)
        if self._calls == self._freezes_at:
            self._freezes_at = self._draw(self._weather.rates.freezes)
            return self._random.choice(_FREEZING)
        chance, rates = self._random.random(), self._weather.rates
        if on_bus and self._weather.is_down(now):
            return CallFault.LOSE_REQUEST
        if on_bus and chance < rates.loses_answer + rates.loses_request:
            is_answer = chance < rates.loses_answer
            return CallFault.LOSE_ANSWER if is_answer else CallFault.LOSE_REQUEST
        return CallFault.NONE

    def _draw(self, chance: float) -> int | None:
        if self._random.random() >= chance:
            return None
        return self._calls + self._random.randint(1, CALLS_TO_FAULT)
