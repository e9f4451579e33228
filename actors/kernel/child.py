"""A supervisor's record of one child, and the decision what a crash of it means.

In: a spec and a unit. Out: the child's state, and a verdict on each crash. Pure book-keeping: it
starts and stops nothing.
"""

import asyncio
from dataclasses import dataclass

from actors.errors import ActorStoppedError, RestartBudgetError
from actors.kernel.budget import RestartBudget, RestartWindow
from actors.kernel.service import Ending
from actors.kernel.specs import AnySpec, Quarantine, SupervisorSpec
from actors.kernel.unit import ChildSnapshot, ChildState, Unit


@dataclass(frozen=True, slots=True)
class RestartChild:
    """The budget allows one more restart; ``restarts_before`` others count towards its delay."""

    restarts_before: int


@dataclass(frozen=True, slots=True)
class SetAside:
    """The budget is spent and the child goes into quarantine."""

    retry_after_seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The budget is spent and the supervisor fails."""


Verdict = RestartChild | SetAside | GiveUp


class Child:
    """One child. ``operation`` is the one task that starts, restarts or quarantines it now."""

    __slots__ = (
        "failure", "last_error", "operation", "path", "restarts", "spec", "state", "unit", "window",
    )  # fmt: skip

    def __init__(self, spec: AnySpec, unit: Unit, *, path: str, budget: RestartBudget) -> None:
        self.spec = spec
        self.unit = unit
        self.path = path
        self.window = RestartWindow(spec.own_budget or budget)
        self.state: ChildState = "stopped"
        self.restarts = 0
        self.last_error: BaseException | None = None
        self.failure: BaseException | None = None
        self.operation: asyncio.Task[None] | None = None

    @property
    def ending(self) -> Ending | None:
        """How the child ended, if nobody has dealt with it yet."""
        if self.operation is not None:
            return None
        if self.failure is not None:
            return Ending(self.failure)
        return self.unit.ending if self.state == "running" else None

    def crash_of(self, ending: Ending) -> BaseException | None:
        """Say what there is to restart for; None when the child may end like this."""
        if ending.error is None and self.spec.restart == "permanent":
            return ActorStoppedError(f"{self.path} returned, though it is permanent")
        return ending.error

    def judge(self, error: BaseException, shared: RestartWindow, now: float) -> Verdict:
        """Count the crash and decide.

        A child with quarantine is counted in its own window only, so it never spends the budget
        of its siblings; any other in both.
        """
        restarts_before = self.window.count(now)
        policy = self.spec.on_exhausted
        if isinstance(policy, Quarantine):
            is_spent_within = isinstance(self.spec, SupervisorSpec) and isinstance(
                error, RestartBudgetError
            )
            if not is_spent_within and self.window.admit(now):
                return RestartChild(restarts_before)
            return SetAside(policy.retry_after_seconds)
        if self.window.admit(now) and shared.admit(now):
            return RestartChild(restarts_before)
        return GiveUp()

    def renew(self) -> None:
        """Forget crashes and budgets: its supervisor starts afresh."""
        self.window.clear()
        self.failure = None
        self.unit.resume()  # it may have been set aside when its supervisor went down

    def snapshot(self) -> ChildSnapshot:
        """Show the child as it is now."""
        return ChildSnapshot(
            name=self.spec.name,
            path=self.path,
            state=self.state,
            restarts=self.restarts,
            depth=self.unit.depth,
            last_error=self.last_error,
            children=self.unit.snapshots(),
        )
