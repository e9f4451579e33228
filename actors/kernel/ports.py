"""What the kernel needs from outside: time, chance, and someone to report to.

In: the three of them, once, from the composition root. Out: one value handed down the tree. A
failing observer is ignored: a broken metric must not take the actors down with it.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from actors.kernel.observations import Observation
from actors.ports import Clock


def _observe_nothing(_: object) -> None:
    """Report to nobody."""


@dataclass(frozen=True, slots=True)
class KernelPorts:
    """``random`` gives a float in [0, 1); ``observe`` must be quick."""

    clock: Clock
    random: Callable[[], float]
    observe: Callable[[object], None] = _observe_nothing

    def report(self, observation: Observation) -> None:
        """Tell the observer."""
        with contextlib.suppress(Exception):
            self.observe(observation)
