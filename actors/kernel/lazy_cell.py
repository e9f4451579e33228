"""An actor that exists only while it is wanted: its address and mailbox are there all the time.

In: a spec with ``idle_seconds``. Out: the first message has the actor built; one that had nothing
to do for so long goes again, and the next message has a fresh one built. It refuses to end an actor
with work in hand, and loses no message: what comes while the old one goes waits for the new one.

Asleep it counts as running: nothing is wrong with it. To wake and to fall asleep are no restarts;
a wake-up that fails is a crash like any other.
"""

import asyncio
from typing import Final, TypeVar

from mode.types.supervisors import SupervisorStrategyT

from actors.kernel.cell import ActorCell
from actors.kernel.deadline import cancel_and_wait, start_quietly, wait_done_within
from actors.kernel.ports import KernelPorts
from actors.kernel.service import ActorService, Ending
from actors.kernel.specs import ChildSpec
from actors.kernel.unit import DrainReport

M = TypeVar("M")

_NEVER: Final = -1


class LazyCell(ActorCell[M]):
    """Like its parent, at most one incarnation at any time; mostly none."""

    def __init__(
        self,
        spec: ChildSpec[M],
        ports: KernelPorts,
        *,
        path: str,
        supervisor: SupervisorStrategyT,
    ) -> None:
        super().__init__(spec, ports, path=path, supervisor=supervisor)
        self._is_asleep = False
        self._failure: BaseException | None = None
        self._rousing: asyncio.Task[None] | None = None
        self._dozing: asyncio.Task[None] | None = None

    @property
    def ending(self) -> Ending | None:
        """How the present incarnation ended, or why there is none though one is wanted."""
        if self._failure is not None:
            return Ending(self._failure)
        return None if self._is_asleep else super().ending

    async def start(self) -> None:
        """Build an actor where messages wait for it; else the first one will have it built."""
        self._failure = None
        if self.depth:
            await self._begin()
        else:
            self._is_up = True
            self._sleep()

    async def halt(self) -> None:
        """Stop the incarnation, if there is one, and wake no more."""
        self.ref.mailbox.on_arrival = None
        await cancel_and_wait([self._rousing, self._dozing])
        self._is_up = self._is_asleep = False
        self._failure = self._rousing = self._dozing = None
        await super().halt()

    async def finish(self, timeout_seconds: float) -> DrainReport:
        """Close the mailbox; what is inside is handled, also where that has yet to wake it."""
        clock = self._ports.clock
        began = clock.monotonic()
        if self._rousing is not None and not self._rousing.done():
            # Closed before it is there, it would take the closed mailbox for a stop's.
            await wait_done_within(clock, timeout_seconds, self._rousing)
        if self._is_asleep and not self.depth:
            self.ref.mailbox.close()
            return DrainReport(finished=(self.ref.name,))
        return await super().finish(max(0.0, timeout_seconds - (clock.monotonic() - began)))

    # ── Waking ────────────────────────────────────────────────────────────────────────────────

    def _wake(self) -> None:
        self.ref.mailbox.on_arrival = None
        self._rousing = start_quietly(self._rouse(), name=f"rouse {self.ref.name}")

    async def _rouse(self) -> None:
        try:
            await self._begin()
        except Exception as error:  # noqa: BLE001  # the actor's edge: its error is a crash to judge
            self._failure = error
        if self.ending is not None:
            self._supervisor.wakeup()

    async def _begin(self) -> None:
        if self._halting is not None:
            await asyncio.wait({self._halting})  # its predecessor's
        await super().start()
        self._is_asleep = False
        if self._service is not None:
            doze = self._doze(self._service)
            self._dozing = start_quietly(doze, name=f"doze {self.ref.name}")

    # ── Falling asleep ────────────────────────────────────────────────────────────────────────

    async def _doze(self, service: ActorService[M]) -> None:
        """Wait until the incarnation has had nothing to do for long, then let it go."""
        seconds, turns = self._spec.idle_seconds, _NEVER
        if seconds is None:
            return
        while turns != service.turns or not service.is_at_rest:
            turns = service.turns
            await self._ports.clock.sleep(seconds)
        if service.ending is None and not self.ref.has_asks:
            self._let_go(service)

    def _let_go(self, service: ActorService[M]) -> None:
        """End it between two messages: whatever comes from now on wakes another one."""
        service.retire()
        self._sleep()
        self._halting = start_quietly(self._halt(service), name=f"retire {self.ref.name}")

    def _sleep(self) -> None:
        self._is_asleep = True
        self.ref.mailbox.on_arrival = self._wake
