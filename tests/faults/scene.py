"""Where faults are let loose, and what a fault is.

In: nothing; these are the words of the suite. Out: `Scene`, `Fault`.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.faults.load import Ledger
from tests.faults.processes import Cluster, Layout, Outside
from tests.faults.scenario import Kind

SETTLE_SECONDS: Final = 8.0
"""Between the changes of a fault that comes and goes."""


@dataclass
class Scene:
    """Where a fault is let loose."""

    cluster: Cluster
    outside: Outside
    ledger: Ledger
    chance: random.Random
    folder: Path
    amount: int
    say: Callable[[str], None]
    done: Counter[str] = field(default_factory=Counter)

    async def pause(self, bounds: tuple[float, float]) -> None:
        await asyncio.sleep(self.chance.uniform(*bounds))


@dataclass(frozen=True)
class Fault:
    """One kind of fault; ``amount`` is how often it strikes unless told otherwise."""

    name: str
    inject: Callable[[Scene], Awaitable[None]]
    amount: int
    refuse: Callable[[], str | None] = lambda: None
    """Why it cannot be had on this machine."""
    lay_out: Callable[[Layout, Path], Layout] = lambda layout, _: layout
    """What it needs of the cluster."""
    clean: Callable[[Path], None] = lambda _: None
    kinds: Sequence[Kind] | None = None
    """The kinds of events that suit it; all by default."""
    bundle: Path | None = None
    """The bundle whose flows they are, if it is not the usual one."""
    sleep_seconds_max: int = 3
    """How long runs may sleep."""
    events_max: int | None = None
    """How many events the load has; as many as there is time for by default."""
    moves_clocks: bool = False
    """Times that a process worked out itself mean nothing then."""
    is_long: bool = False
    """Run only when it is asked for by name."""
