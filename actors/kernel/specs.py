"""What a tree of actors is made of, as data that fits on a page.

In: names, builders and numbers. Out: frozen specs for `Supervisor`. They refuse names that would
break a path, numbers without sense, budgets that cannot be spent, and quarantine among children
that stand and fall together.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from actors.kernel.actor import Actor
from actors.kernel.budget import Backoff, RestartBudget
from actors.kernel.mailbox import CAPACITY_DEFAULT
from actors.kernel.ref import ActorRef

M = TypeVar("M")

Strategy = Literal["one_for_one", "one_for_all"]
"""Restart the child that crashed, or all of them together."""

Restart = Literal["permanent", "transient", "temporary"]
"""Restart always; only after a crash; never."""

CHILD_NAME = re.compile(r"[^\s/][^\s]{0,254}")

START_TIMEOUT_SECONDS_DEFAULT = 30.0
STOP_TIMEOUT_SECONDS_DEFAULT = 5.0
DRAIN_TIMEOUT_SECONDS_DEFAULT = 30.0
BUDGET_DEFAULT = RestartBudget(restarts=5, seconds=30.0)
"""STYLE 3's budget of a flow; trees write their own in one table."""

BACKOFF_DEFAULT = Backoff()


@dataclass(frozen=True, slots=True)
class Escalate:
    """A spent budget makes the supervisor itself fail, so that its parent decides."""


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A spent budget sets the child aside; it is tried again later with a fresh budget.

    Meanwhile its refs refuse messages, those waiting in its mailbox stay, and its siblings run
    on. Such a child is counted alone: its restarts never spend its supervisor's budget.
    """

    retry_after_seconds: float

    def __post_init__(self) -> None:
        if self.retry_after_seconds <= 0:
            raise ValueError("a quarantine lasts some time")


OnExhausted = Escalate | Quarantine
ESCALATE = Escalate()


@dataclass(frozen=True, slots=True)
class ChildSpec(Generic[M]):
    """One actor. ``build`` makes a fresh one for the first start and for every restart.

    ``own_budget`` limits this child alone; the supervisor's budget limits all children together.
    With ``idle_seconds`` the actor is built for its first message, goes after so long without work
    (`Actor.is_idle`), and is built anew for the next one.
    """

    name: str
    build: Callable[[ActorRef[M]], Actor[M]]
    restart: Restart = "permanent"
    on_exhausted: OnExhausted = ESCALATE
    own_budget: RestartBudget | None = None
    mailbox_capacity: int = CAPACITY_DEFAULT
    start_timeout_seconds: float = START_TIMEOUT_SECONDS_DEFAULT
    stop_timeout_seconds: float = STOP_TIMEOUT_SECONDS_DEFAULT
    drain_timeout_seconds: float = DRAIN_TIMEOUT_SECONDS_DEFAULT
    idle_seconds: float | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.idle_seconds is not None and self.idle_seconds <= 0:
            raise ValueError(f"{self.name}: an actor is idle for some time before it goes")
        if self.mailbox_capacity < 1:
            raise ValueError(f"{self.name}: a mailbox holds at least one message")
        if min(self.start_timeout_seconds, self.stop_timeout_seconds) <= 0:
            raise ValueError(f"{self.name}: starting and stopping take some time")


@dataclass(frozen=True, slots=True)
class SupervisorSpec:
    """A supervisor: the root of a tree, or a child of another supervisor.

    ``budget`` limits the restarts of its children together. The fields from ``restart`` on say
    what its parent does with it and mean nothing for a root. A supervisor that failed with its
    budget spent is `Quarantine`d at once where its spec says so, else restarted like any child.
    """

    name: str
    children: tuple["ChildSpec[Any] | SupervisorSpec", ...] = ()
    strategy: Strategy = "one_for_one"
    budget: RestartBudget = BUDGET_DEFAULT
    backoff: Backoff = BACKOFF_DEFAULT
    restart: Restart = "permanent"
    on_exhausted: OnExhausted = ESCALATE
    own_budget: RestartBudget | None = None
    drain_timeout_seconds: float = DRAIN_TIMEOUT_SECONDS_DEFAULT

    def __post_init__(self) -> None:
        _check_name(self.name)
        self.backoff.check_can_spend(self.budget)
        seen: set[str] = set()
        for child in self.children:
            if child.name in seen:
                raise ValueError(f"{self.name}: two children are called {child.name}")
            seen.add(child.name)
            self.check_child(child)

    def check_child(self, child: "ChildSpec[Any] | SupervisorSpec") -> None:
        """Raise ValueError for a child that cannot live under this supervisor."""
        if child.own_budget is not None:
            self.backoff.check_can_spend(child.own_budget)
        if self.strategy == "one_for_all" and isinstance(child.on_exhausted, Quarantine):
            raise ValueError(
                f"{self.name}/{child.name}: children that are restarted together cannot be "
                "set aside alone"
            )


AnySpec = ChildSpec[Any] | SupervisorSpec


def _check_name(name: str) -> None:
    if not CHILD_NAME.fullmatch(name):
        raise ValueError(f"not a name for a child: {name!r}")
