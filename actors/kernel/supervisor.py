"""Keeps children running: restarts them within a budget, sets them aside, or tells its parent.

In: a spec, and children spawned and removed at run time. Out: after any sequence of crashes either
every child runs (or is on its way, or visibly set aside), or this supervisor has failed and its
parent knows. It refuses children once it is stopped for good.

It is a `mode.Service` and implements mode's strategy interface, so mode's services can wake it; it
inherits none of mode's strategies: their budget is a token bucket, they lose wake-ups, die of five
crashes at once and stop without limit. Here one loop looks at the *state* of all children whenever
anything happened (level-triggered: a wake-up is only a hint, so none can be lost), and every start,
restart or quarantine runs as the child's one operation beside it.
"""

import asyncio
from typing import Any, TypeVar, assert_never

from mode.services import Service
from mode.types.services import ServiceT
from mode.types.supervisors import SupervisorStrategyT
from mode.utils.types.trees import NodeT

from actors.errors import ActorStoppedError, RestartBudgetError
from actors.kernel.budget import RestartWindow
from actors.kernel.cell import ActorCell
from actors.kernel.child import Child, GiveUp, RestartChild, SetAside
from actors.kernel.crew import Crew
from actors.kernel.deadline import cancel_and_wait, start_quietly
from actors.kernel.lazy_cell import LazyCell
from actors.kernel.lifecycle import (
    end_child,
    quarantine_child,
    restart_child,
    restart_together,
    start_child,
)
from actors.kernel.observations import ActorCrashed, ChildQuarantined, SupervisorFailed, error_code
from actors.kernel.ports import KernelPorts
from actors.kernel.ref import ActorRef
from actors.kernel.service import Ending
from actors.kernel.specs import AnySpec, ChildSpec, SupervisorSpec
from actors.kernel.unit import ChildSnapshot, DrainReport

M = TypeVar("M")


class Supervisor(Service, SupervisorStrategyT):
    """A node of the tree. The owner of a root starts it, watches `wait_failed` and stops it."""

    mundane_level = "debug"

    def __init__(
        self,
        spec: SupervisorSpec,
        ports: KernelPorts,
        *,
        path: str | None = None,
        parent: SupervisorStrategyT | None = None,
    ) -> None:
        beacon: NodeT[Any] | None = None if parent is None else parent.beacon
        Service.__init__(self, beacon=beacon)  # type: ignore[arg-type]  # None is mode's default
        self.spec = spec
        self.path = path or spec.name
        self.supervisor = parent
        self.max_restarts = float(spec.budget.restarts)
        self.over = spec.budget.seconds
        self.raises = RestartBudgetError
        self.replacement = None
        self._ports = ports
        self._window = RestartWindow(spec.budget)
        self._crew = Crew(self.path, self._operation_done)
        self._halting: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._is_draining = False
        self._is_retired = False
        for child_spec in spec.children:
            self._add(child_spec)

    # ── For the owner ─────────────────────────────────────────────────────────────────────────

    async def spawn(self, spec: ChildSpec[M]) -> ActorRef[M]:
        """Add an actor and start it; returns when it has started, or its first start failed.

        A failed start is a crash like any other and is not raised here. Before `start`, and while
        the supervisor itself is being restarted, the child is only added. ValueError for a name
        that is taken, ActorStoppedError once the supervisor drains or is stopped.
        """
        cell = self._add_actor(spec)
        await self._start_added(self._crew[spec.name])
        return cell.ref

    async def nest(self, spec: SupervisorSpec) -> "Supervisor":
        """Add a supervisor and start it; like `spawn`."""
        nested = self._add_supervisor(spec)
        await self._start_added(self._crew[spec.name])
        return nested

    async def remove(self, name: str, *, drain: bool = True) -> DrainReport:
        """Take a child away: drained within its time, then stopped. LookupError if unknown.

        The name is free at once, so a successor may start while the child finishes its work.
        """
        child = self._crew.leave(name)
        leaving = self._crew.see_off(child, self._remove(child, drain=drain))
        await asyncio.wait({leaving})
        if leaving.cancelled():  # the supervisor was stopped meanwhile
            return DrainReport(unfinished=(child.path,))
        return leaving.result()

    async def drain(self, timeout_seconds: float) -> DrainReport:
        """Stop accepting, let all children finish in parallel, then stop; says who did not."""
        report = await self.finish(timeout_seconds)
        await self.stop()
        return report

    async def stop(self) -> None:
        """Stop all children in parallel, each within its time, for good."""
        self.close()
        await self.halt()

    async def wait_failed(self) -> BaseException:
        """Wait until the supervisor has given up; the owner of a root decides what follows."""
        await self._crashed.wait()
        return self.crash_reason or RestartBudgetError(f"{self.path} failed")

    def ref_of(self, name: str) -> ActorRef[Any]:
        """Give the ref of an actor among the children; LookupError."""
        unit = self._crew[name].unit
        if not isinstance(unit, ActorCell):
            raise LookupError(f"{self.path}/{name} is a supervisor")  # noqa: TRY004  # no such actor
        return unit.ref

    def supervisor_of(self, name: str) -> "Supervisor":
        """Give a supervisor among the children; LookupError."""
        unit = self._crew[name].unit
        if not isinstance(unit, Supervisor):
            raise LookupError(f"{self.path}/{name} is an actor")  # noqa: TRY004  # no such supervisor
        return unit

    def children(self) -> tuple[ChildSnapshot, ...]:
        """Show the children as they are now, in the order they were added."""
        return self._crew.snapshots()

    # ── As a child of another supervisor (`unit.Unit`) ────────────────────────────────────────

    @property
    def depth(self) -> int:
        """Messages that wait for any actor of the tree."""
        return self._crew.depth

    @property
    def ending(self) -> Ending | None:
        """The crash of the supervisor itself, once its budget is spent."""
        return Ending(self.crash_reason) if self.crashed else None

    async def start(self) -> None:
        """Start, or start afresh after a halt: all children, healthy before or not."""
        if self._is_retired:
            raise ActorStoppedError(f"{self.path} was stopped for good")
        if self.started or self._stopped.is_set():
            self.service_reset()
        await super().start()

    async def halt(self) -> None:
        """Stop all children but keep their specs and refs; `start` brings them back."""
        if self._halting is None:
            self._halting = start_quietly(super().stop(), name=f"halt {self.path}")
        halting = self._halting
        await asyncio.wait({halting})
        if self._halting is halting:
            self._halting = None

    async def finish(self, timeout_seconds: float) -> DrainReport:
        """Refuse new messages and let all children finish in parallel."""
        self._is_draining = True
        return await self._crew.finish(timeout_seconds)

    def suspend(self) -> None:
        """Refuse messages in the whole tree."""
        self._crew.suspend()

    def resume(self) -> None:
        """Take messages again in the whole tree."""
        self._crew.resume()

    def close(self) -> None:
        """Refuse messages in the whole tree for ever, answer every pending ask."""
        self._is_retired = True
        if self.supervisor is not None:
            self.beacon.detach(self.supervisor.beacon)
        self._crew.close()

    def snapshots(self) -> tuple[ChildSnapshot, ...]:
        """Show the children."""
        return self.children()

    # ── mode's life cycle and strategy interface ──────────────────────────────────────────────

    async def on_start(self) -> None:
        """Start the children: side by side, or in order where they depend on each other."""
        self._window.clear()
        children = tuple(self._crew)
        for child in children:
            child.renew()
        if self.spec.strategy == "one_for_all":
            for child in children:
                await self._start_now(child)
        elif children:
            await asyncio.wait(
                [self._crew.operate(child, self._first_start(child)) for child in children]
            )

    async def on_stop(self) -> None:
        """Stop the children in parallel."""
        await self._crew.halt()

    async def crash(self, reason: BaseException) -> None:
        """Fail: the parent is told, nobody else."""
        self._fail(reason)

    def wakeup(self) -> None:
        """Have the loop look at the children."""
        self._wake.set()

    def service_operational(self, service: ServiceT) -> bool:
        """Whether a service needs no restart."""
        return not service.crashed

    async def restart_service(self, service: ServiceT) -> None:
        """Restart a child's service the way its crash would: counted, and after a delay."""
        await service.crash(ActorStoppedError(f"{self.path} was asked to restart it"))

    def add(self, *_services: ServiceT) -> None:
        """Refuse: a finished service cannot be built anew after a crash; see `spawn`."""
        raise TypeError("children are added as specs: use spawn or nest")

    def discard(self, *_services: ServiceT) -> None:
        """Refuse: mode would forget the service and leave it running; see `remove`."""
        raise TypeError("children go by their name: use remove")

    # ── The loop ──────────────────────────────────────────────────────────────────────────────

    @Service.task
    async def _supervise(self) -> None:
        while await self._is_woken():
            if not self._is_draining and self._crew.together is None:
                self._look()

    async def _is_woken(self) -> bool:
        await self._wake.wait()
        self._wake.clear()
        # Asked after the wait: a stop that came meanwhile owns the children now.
        return not self.should_stop and not self._is_retired

    def _look(self) -> None:
        crashed: list[tuple[Child, BaseException]] = []
        for child in self._crew:
            ending = child.ending
            if ending is None:
                continue
            error = child.crash_of(ending)
            if error is not None:
                child.last_error = error
                self._ports.report(ActorCrashed(child.path, error, error_code(error)))
            if error is None or child.spec.restart == "temporary":
                self._crew.leave(child.spec.name)
                self._crew.see_off(child, end_child(child, self._ports))
            else:
                crashed.append((child, error))
        if self.spec.strategy == "one_for_all":
            self._settle_together(crashed)
        else:
            self._settle_each(crashed)

    def _settle_each(self, crashed: list[tuple[Child, BaseException]]) -> None:
        now = self._ports.clock.monotonic()
        for child, error in crashed:
            verdict = child.judge(error, self._window, now)
            match verdict:
                case RestartChild(restarts_before):
                    delay = self._delay_seconds(restarts_before)
                    self._crew.operate(
                        child, restart_child(child, self._ports, delay_seconds=delay)
                    )
                case SetAside(seconds):
                    code = error_code(error)
                    self._ports.report(ChildQuarantined(child.path, seconds, error, code))
                    aside = quarantine_child(child, self._ports, retry_after_seconds=seconds)
                    self._crew.operate(child, aside)
                case GiveUp():
                    self._give_up(child, error)
                    return
                case _:
                    assert_never(verdict)

    def _settle_together(self, crashed: list[tuple[Child, BaseException]]) -> None:
        if not crashed:
            return
        now = self._ports.clock.monotonic()
        restarts_before = self._window.count(now)
        # Children that crashed together are one restart of the group, whoever was first.
        child, error = crashed[0]
        own_is_spent = any(not other.window.admit(now) for other, _ in crashed)
        if own_is_spent or not self._window.admit(now):
            self._give_up(child, error)
            return
        delay = self._delay_seconds(restarts_before)
        self._crew.operate_together(restart_together(self._crew, self._ports, delay_seconds=delay))

    def _delay_seconds(self, restarts_before: int) -> float:
        return self.spec.backoff.delay_seconds(restarts_before, self._ports.random())

    def _give_up(self, child: Child, error: BaseException) -> None:
        self._ports.report(SupervisorFailed(self.path, child.path))
        failure = RestartBudgetError(f"{self.path} spent its restart budget on {child.path}")
        failure.__cause__ = error
        self._fail(failure)

    def _fail(self, reason: BaseException) -> None:
        if not self.crashed:
            self._crash(reason)
        if self.supervisor is not None:
            self.supervisor.wakeup()

    # ── Operations on a child ─────────────────────────────────────────────────────────────────

    def _operation_done(self, task: asyncio.Task[None], child: Child | None) -> None:
        # An operation raises only if the kernel itself is wrong; then the parent must know.
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)
        # Only this child's end can have been overlooked meanwhile. A look at all of them for each
        # of a thousand that start would be a million.
        if child is None or child.ending is not None:
            self.wakeup()

    async def _first_start(self, child: Child) -> None:
        await start_child(child, self._ports, is_restart=False)

    async def _start_now(self, child: Child) -> None:
        await asyncio.wait({self._crew.operate(child, self._first_start(child))})

    async def _start_added(self, child: Child) -> None:
        if self.started and not self.should_stop:
            await self._start_now(child)

    async def _remove(self, child: Child, *, drain: bool) -> DrainReport:
        await cancel_and_wait([child.operation])
        report = DrainReport()
        if drain:
            report = await child.unit.finish(child.spec.drain_timeout_seconds)
        await end_child(child, self._ports)
        return report

    # ── The table of children ─────────────────────────────────────────────────────────────────

    def _add(self, spec: AnySpec) -> None:
        if isinstance(spec, SupervisorSpec):
            self._add_supervisor(spec)
        else:
            self._add_actor(spec)

    def _add_actor(self, spec: ChildSpec[M]) -> ActorCell[M]:
        path = self._path_for(spec)
        kind = ActorCell if spec.idle_seconds is None else LazyCell
        cell = kind(spec, self._ports, path=path, supervisor=self)
        self._crew.join(Child(spec, cell, path=path, budget=self.spec.budget))
        return cell

    def _add_supervisor(self, spec: SupervisorSpec) -> "Supervisor":
        path = self._path_for(spec)
        nested = Supervisor(spec, self._ports, path=path, parent=self)
        self._crew.join(Child(spec, nested, path=path, budget=self.spec.budget))
        return nested

    def _path_for(self, spec: AnySpec) -> str:
        path = f"{self.path}/{spec.name}"
        if self._is_retired or self._is_draining:
            raise ActorStoppedError(f"{self.path} takes no more children")
        if spec.name in self._crew:
            raise ValueError(f"{path} exists already")
        self.spec.check_child(spec)
        return path
