"""Several workers of one tenant on twins: one stream, one store of leases, one clock.

In: ticks of timers. Out: how their runs ended. Continuations come back through the stream when they
are due, as WORK hands them out.
"""

import asyncio
from typing import Final

from actors.flows.compiled import CompiledFlow
from actors.ids import tick_id
from actors.ports import StateStore
from actors.tenants.tree import Roles
from actors.testing.deliveries import MemoryEventStream
from tests.support.builders import Yard, an_event
from tests.support.estate import Estate, deployed

GIVEN: Final = object()
STEP_SECONDS: Final = 0.25
NEVER: Final = "0 0 30 2 *"
"""The schedulers of these workers fire nothing; the test does."""


class Workshops:
    """Workers, each a process of its own."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.stream = MemoryEventStream(yard.clock)
        self.workers: list[Estate] = []
        self._handed: set[object] = set()
        self._times: dict[str, int] = {}

    async def open(self, flow: CompiledFlow, leases: StateStore | None = None) -> Estate:
        """Start one more worker, with a view of its own of the leases if one is given."""
        estate = Estate(self.yard, Roles(ingress=False), leases=leases)
        estate.streams["demo"] = self.stream
        await estate.host.start()
        await estate.deploy(deployed(flow))
        self.workers.append(estate)
        return estate

    async def redeploy(self, worker: Estate, flow: CompiledFlow) -> None:
        """Give a worker another version of the flow."""
        await worker.deploy(deployed(flow, revision=flow.digest))

    async def tick(
        self, offset_seconds: float = 0.0, *, number: int = 1, payload: object = GIVEN
    ) -> int:
        """Store the tick of this moment (``offset_seconds`` ago); give its time in ms."""
        tick_ms = self.yard.clock.now_ms() - round(offset_seconds * 1000)
        if payload is GIVEN:
            payload = {"scheduled_ms": tick_ms}
        name = tick_id("orders", number, tick_ms)
        self._times[name] = tick_ms
        event = an_event(name, f"timer.orders.{number}", payload=payload, timestamp=tick_ms)
        self.stream.add(event)
        await self.yard.clock.settle()
        return tick_ms

    def lose_put_off(self) -> None:
        """Let what waits now never come back."""
        self._handed.update(self.yard.stage.continuations.scheduled)

    async def work(self, seconds: float) -> None:
        """Let time pass; what was put off comes back when it is due."""
        clock = self.yard.clock
        end = clock.monotonic() + seconds
        while clock.monotonic() < end:
            await clock.advance(min(STEP_SECONDS, end - clock.monotonic()))
            for key, waiting in self.yard.stage.continuations.scheduled.items():
                if waiting.due_ms <= clock.now_ms() and key not in self._handed:
                    self._handed.add(key)
                    self.stream.add(waiting.event, continuation=waiting)
            await clock.settle()

    async def close(self) -> None:
        for worker in self.workers:
            await worker.until(worker.host.root.stop(), 300)
        await self.yard.clock.settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    def ends(self) -> list[tuple[int, str]]:
        """How runs ended, in that order: the tick's time in ms, and the status."""
        kept = self.yard.results.stored
        return [(self._times[one.result.event_id], one.result.status) for one in kept]

    def reasons(self) -> list[str]:
        """Why runs did not complete."""
        errors = [kept.result.error for kept in self.yard.results.stored]
        return [error.message for error in errors if error is not None]
