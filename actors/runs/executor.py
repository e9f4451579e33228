"""The executor of one flow: an actor that runs it for every event the router sends.

In: run requests. Out: finished runs, handed to the concluder. Flows that never wait are run to
their end in a plain loop; a run that waits becomes a task, at most `RUNS_MAX` of them at once, and
past that, or past what the
tenant's plan allows over all of its flows, the executor stops taking requests, its mailbox fills
and the tenant's pull stops.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final

from actors.flows.compiled import CompiledFlow
from actors.kernel.actor import Actor
from actors.outcomes import Ended, Settlement
from actors.ports import StateStore
from actors.runs.allowance import Allowance
from actors.runs.begin import RunSeat, begin
from actors.runs.conclude import Concluder, FinishedRun, RunSinks
from actors.runs.in_hand import RunsInHand
from actors.runs.pause import Pause
from actors.runs.request import RunRequest
from actors.runs.run import Run
from actors.runs.way import Skipped, Way

RUNS_MAX: Final = 32
"""Runs at once per flow and worker (SPEC 13)."""


class FlowExecutorActor(Actor[RunRequest]):
    """Runs one version of one flow."""

    def __init__(
        self,
        seat: RunSeat,
        flows: Mapping[str, CompiledFlow],
        sinks: RunSinks,
        leases: StateStore,
        in_hand: RunsInHand,
        allowance: Allowance | None = None,
    ) -> None:
        self._seat = seat
        allowance = allowance or Allowance.alone(seat.tenant, seat.world)
        self._share, self._quota = allowance.share, allowance.quota
        self._way = Way(seat, flows, leases, in_hand)
        self._concluder = Concluder(seat.tenant, sinks, seat.world, self._share)
        self._slots = asyncio.Semaphore(RUNS_MAX)
        self._waiting: dict[int, RunRequest] = {}
        self._has_waited = False

    async def on_start(self) -> None:
        """Start concluding beside running."""
        self.add_task(self._share.charge(self._concluder.run))

    @property
    def is_idle(self) -> bool:
        """Whether no run is in hand: nothing goes on but the concluder, which waits."""
        return self.tasks_running == 1 and self._concluder.is_idle

    async def receive(self, message: RunRequest) -> None:
        """Run one request."""
        await self.receive_many([message])

    async def receive_many(self, messages: list[RunRequest]) -> None:
        """Run requests in their order, slice by slice, as the tenant's share allows."""
        clock, share, quota = self._seat.world.clock, self._share, self._quota
        started = 0
        try:
            await share.wait_turn()
            began = clock.monotonic()
            for request in messages:
                if not share.has_slice or quota.scripts_at > began:
                    await self._wait_turn()
                    began = clock.monotonic()
                await self._start(request)
                started += 1
                now = clock.monotonic()
                if self._has_waited:
                    self._has_waited = False  # that was time of others
                else:
                    share.spend(now - began)
                began = now
        except BaseException:
            # They have left the mailbox: nobody else could give them back.
            for request in messages[started:]:
                request.share.settle_one(Settlement.NAK)
            raise

    async def on_drain(self) -> None:
        """Let the runs under way end and settle them."""
        for _ in range(RUNS_MAX):
            await self._slots.acquire()
        self._concluder.close()
        await self.wait_tasks()

    async def on_stop(self) -> None:
        """Give back what is not settled."""
        for request in self._waiting.values():
            request.share.settle_one(Settlement.NAK)
            self._quota.places.give_back()
        self._waiting.clear()
        self._concluder.give_back_rest()

    async def _wait_turn(self) -> None:
        """Wait for the tenant's turn, which comes later while its scripts are over their quota."""
        clock = self._seat.world.clock
        while (seconds := self._quota.scripts_at - clock.monotonic()) > 0.0:
            await clock.sleep(seconds)
        await self._share.wait_turn()

    # ── One run ──────────────────────────────────────────────────────────────────────────────

    async def _start(self, request: RunRequest) -> None:
        if self._is_late(request):
            request.share.settle_one(Settlement.NAK)
            return
        if request.verdict is not None:
            await self._conclude(FinishedRun(begin(request, self._seat), request.verdict))
            return
        if request.was_put_off or (self._seat.has_effects and request.may_be_repeated):
            await self._start_waiting(request, None)
            return
        run = begin(request, self._seat)
        outcome = self._way.go_inline(run)
        if outcome is None or isinstance(outcome, Pause):
            await self._start_waiting(request, run, outcome)
        elif isinstance(outcome, Skipped):
            self._skip(request)
        else:
            await self._conclude(FinishedRun(run, outcome))

    def _is_late(self, request: RunRequest) -> bool:
        """Tell whether the request was told before the flow changed, and belongs to its successor.

        What was put off names the version that it goes on with.
        """
        return not request.was_put_off and not self._seat.is_in_force()

    async def _conclude(self, finished: FinishedRun) -> None:
        self._has_waited |= not self._concluder.has_room
        await self._concluder.put(finished)

    async def _start_waiting(
        self, request: RunRequest, run: Run | None, pause: Pause | None = None
    ) -> None:
        self._has_waited |= self._slots.locked() or self._quota.places.is_full
        await self._slots.acquire()
        await self._quota.places.take()
        self._waiting[id(request)] = request
        self.add_task(self._share.charge(partial(self._run_waiting, request, run, pause)))

    async def _run_waiting(self, request: RunRequest, run: Run | None, pause: Pause | None) -> None:
        if run is None:
            if self._is_late(request):
                self._release(request)
                request.share.settle_one(Settlement.NAK)
                return
            run, outcome = await self._way.resume(request)
        else:
            outcome = await self._way.go(run, pause)
        if isinstance(outcome, Skipped):
            self._release(request)
            self._skip(request)
            return
        is_settled = asyncio.Event()
        await self._concluder.put(FinishedRun(run, outcome, is_settled.set))
        self._release(request)
        if run.turn is not None:
            await is_settled.wait()
            await self._way.let_go(run, outcome)

    def _release(self, request: RunRequest) -> None:
        del self._waiting[id(request)]
        self._slots.release()
        self._quota.places.give_back()

    def _skip(self, request: RunRequest) -> None:
        if request.reply_to is not None and self._seat.flow.can_answer:
            self._seat.world.answers.send(request.reply_to, Ended(request.run_id, "skipped"))
        request.share.settle_one(Settlement.ACK)
