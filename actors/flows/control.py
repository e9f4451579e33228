"""Flow control as a flow asks for it (SPEC 8), compiled: what its lane decides by.

In: nothing; these are values. Out: rules with their key expressions. Times are milliseconds.
"""

from dataclasses import dataclass
from typing import Literal

from grammar import Program


@dataclass(frozen=True, slots=True)
class ConcurrencyRule:
    """At most ``limit`` runs at once for each key."""

    limit: int
    key: Program | None = None
    """None: one key for all."""
    scope: Literal["flow", "tenant"] = "flow"
    """``tenant``: runs of all flows of the tenant with this scope count together."""


@dataclass(frozen=True, slots=True)
class RateRule:
    """At most ``limit`` runs in each period, evenly spread: GCRA, no burst after idle times."""

    limit: int
    period_ms: int
    key: Program | None = None


@dataclass(frozen=True, slots=True)
class DebounceRule:
    """The last event of a key runs, once no other came for ``period_ms``."""

    period_ms: int
    key: Program | None = None
    max_wait_ms: int | None = None
    """Since the first one; None: as long as others come."""


@dataclass(frozen=True, slots=True)
class BatchRule:
    """Events of a key run together, ``max_size`` of them or what came within ``max_wait_ms``."""

    max_size: int
    max_wait_ms: int
    key: Program | None = None


@dataclass(frozen=True, slots=True)
class SingletonRule:
    """One run of a key at a time; a second one is refused, or takes its place."""

    mode: Literal["skip", "cancel"]
    key: Program | None = None


@dataclass(frozen=True, slots=True)
class ControlPlan:
    """All that a flow's `config` says about flow control."""

    concurrency: ConcurrencyRule | None = None
    throttle: RateRule | None = None
    """Delays what comes too early."""
    rate_limit: RateRule | None = None
    """Refuses what comes too early."""
    debounce: DebounceRule | None = None
    batch: BatchRule | None = None
    singleton: SingletonRule | None = None
    ordered: Program | None = None
    """Runs of one key follow each other in the order of their events."""
    is_isolated: bool = False
    """The flow has a lane of its own, and every worker takes from it."""

    @property
    def is_exclusive(self) -> bool:
        """Whether one worker at a time must see all that comes."""
        rules = (
            self.concurrency,
            self.throttle,
            self.rate_limit,
            self.debounce,
            self.batch,
            self.singleton,
            self.ordered,
        )
        return any(rule is not None for rule in rules)

    @property
    def keeps_key(self) -> bool:
        """Whether a run's key is its own until its final outcome, sleep included."""
        return self.ordered is not None or self.singleton is not None
