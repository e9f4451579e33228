"""One actor under supervision: its address, and the incarnation now behind it.

In: a spec. Out: a stable ref; `start` builds a fresh actor each time, `halt` stops it within its
time. It refuses to wait for an actor that does not stop: such an actor is abandoned and reported.
"""

import asyncio
from typing import Any, Generic, TypeVar

from mode.types.supervisors import SupervisorStrategyT
from mode.utils.types.trees import NodeT

from actors.errors import ActorStoppedError
from actors.kernel.deadline import start_quietly, wait_done_within
from actors.kernel.mailbox import Mailbox
from actors.kernel.observations import ActorAbandoned, ActorStopFailed, error_code
from actors.kernel.ports import KernelPorts
from actors.kernel.ref import ActorRef
from actors.kernel.service import ActorService, Ending
from actors.kernel.specs import ChildSpec
from actors.kernel.unit import ChildSnapshot, DrainReport

M = TypeVar("M")


class ActorCell(Generic[M]):
    """Holds what outlives a crash. At most one incarnation takes messages at any time."""

    def __init__(
        self,
        spec: ChildSpec[M],
        ports: KernelPorts,
        *,
        path: str,
        supervisor: SupervisorStrategyT,
    ) -> None:
        self.ref: ActorRef[M] = ActorRef(
            path, mailbox=Mailbox(spec.mailbox_capacity), clock=ports.clock
        )
        self._spec = spec
        self._ports = ports
        self._supervisor = supervisor
        self._service: ActorService[M] | None = None
        self._halting: asyncio.Task[None] | None = None
        self._is_up = False

    @property
    def depth(self) -> int:
        """Messages that wait."""
        return self.ref.depth

    @property
    def ending(self) -> Ending | None:
        """How the present incarnation ended; None while it runs or there is none."""
        return self._service.ending if self._service is not None and self._is_up else None

    async def start(self) -> None:
        """Build an actor and let it get ready; raises its error, or ActorStoppedError if slow."""
        actor = self._spec.build(self.ref)
        beacon: NodeT[Any] = self._supervisor.beacon
        self._service = service = ActorService(
            actor, self.ref.mailbox, supervisor=self._supervisor, beacon=beacon
        )
        starting = start_quietly(service.start(), name=f"start {self.ref.name}")
        seconds = self._spec.start_timeout_seconds
        try:
            is_done = await wait_done_within(self._ports.clock, seconds, starting)
        finally:
            starting.cancel()
        if not is_done:
            raise ActorStoppedError(f"{self.ref.name} did not start in {seconds:g} s")
        if starting.cancelled():
            raise ActorStoppedError(f"{self.ref.name} was cancelled while it started")
        starting.result()
        self._is_up = True

    async def halt(self) -> None:
        """Stop the incarnation, at the latest after ``stop_timeout_seconds``."""
        if self._service is None:
            return
        self._is_up = False
        if self._halting is None:
            # A task of its own: if the halt is cancelled and asked for again, the second asker
            # must wait for the same stop, since mode's second `stop()` returns at once.
            halting = self._halt(self._service)
            self._halting = start_quietly(halting, name=f"halt {self.ref.name}")
        await asyncio.wait({self._halting})

    async def _halt(self, service: ActorService[M]) -> None:
        stopping = start_quietly(service.stop(), name=f"stop {self.ref.name}")
        seconds = self._spec.stop_timeout_seconds
        if not await wait_done_within(self._ports.clock, seconds, stopping):
            stopping.cancel()
            self._ports.report(ActorAbandoned(self.ref.name, seconds))
        elif not stopping.cancelled() and (error := stopping.exception()) is not None:
            self._ports.report(ActorStopFailed(self.ref.name, error, error_code(error)))
        service.beacon.detach(self._supervisor.beacon)
        self.ref.fail_taken_asks()
        self._service = None
        self._halting = None

    async def finish(self, timeout_seconds: float) -> DrainReport:
        """Close the mailbox and wait until the actor has handled what is inside."""
        self.ref.mailbox.close()
        if self._service is not None and self._is_up:
            self._service.drain()
            ended = start_quietly(self._service.wait_ended(), name=f"drain {self.ref.name}")
            try:
                await wait_done_within(self._ports.clock, timeout_seconds, ended)
            finally:
                ended.cancel()
        ending = self.ending
        is_idle = not self._is_up and not self.depth
        if is_idle or (ending is not None and ending.error is None):
            return DrainReport(finished=(self.ref.name,))
        return DrainReport(unfinished=(self.ref.name,))

    def suspend(self) -> None:
        """Refuse messages for a while."""
        self.ref.suspend()

    def resume(self) -> None:
        """Take messages again."""
        self.ref.resume()

    def close(self) -> None:
        """Refuse messages for ever, answer every pending ask."""
        self.ref.close()

    def snapshots(self) -> tuple[ChildSnapshot, ...]:
        """Show no children: an actor has none."""
        return ()
