"""The executor of one flow: an actor that runs it for every event the router sends.

In: run requests. Out: finished runs, handed to the concluder. Flows that never wait are run to
their end in a plain loop; a run that waits becomes a task, at most `RUNS_MAX` of them at once, and
past that the executor stops taking requests, its mailbox fills and the tenant's pull stops.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from actors.errors import NodeError
from actors.flows.compiled import CompiledFlow
from actors.kernel.actor import Actor
from actors.outcomes import Ended, Failed, Interrupted, RunError, RunOutcome, Settlement
from actors.ports import StateStore
from actors.runs.begin import RunSeat, begin, choose_trigger
from actors.runs.conclude import Concluder, FinishedRun, RunSinks
from actors.runs.overlap import OverlapGuard, needs_turn
from actors.runs.request import RunRequest
from actors.runs.run import Run
from actors.runs.turns import Turn
from actors.runs.walk import Walker

RUNS_MAX: Final = 32
"""Runs at once per flow and worker (SPEC 13)."""

SLICE_SECONDS: Final = 0.002
"""How long inline runs may hold the event loop before others get their turn."""


class FlowExecutorActor(Actor[RunRequest]):
    """Runs one version of one flow."""

    def __init__(
        self,
        seat: RunSeat,
        flows: Mapping[str, CompiledFlow],
        sinks: RunSinks,
        leases: StateStore,
    ) -> None:
        self._seat = seat
        self._walker = Walker(flows)
        self._overlap = OverlapGuard(seat, leases, self._walker)
        self._concluder = Concluder(seat.tenant, sinks, seat.world)
        self._slots = asyncio.Semaphore(RUNS_MAX)
        self._waiting: dict[int, Run] = {}

    async def on_start(self) -> None:
        """Start concluding beside running."""
        self.add_task(self._concluder.run())

    async def receive(self, message: RunRequest) -> None:
        """Run one request."""
        await self.receive_many([message])

    async def receive_many(self, messages: list[RunRequest]) -> None:
        """Run requests in their order, yielding to other actors between slices."""
        clock = self._seat.world.clock
        slice_began = clock.monotonic()
        started = 0
        try:
            for request in messages:
                await self._start(request)
                started += 1
                if clock.monotonic() - slice_began > SLICE_SECONDS:
                    await asyncio.sleep(0)
                    slice_began = clock.monotonic()
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
        for run in self._waiting.values():
            run.request.share.settle_one(Settlement.NAK)
        self._concluder.give_back_rest()

    # ── One run ──────────────────────────────────────────────────────────────────────────────

    async def _start(self, request: RunRequest) -> None:
        run = begin(request, self._seat)
        outcome = self._run_inline(run)
        if outcome is not None:
            await self._concluder.put(FinishedRun(run, outcome))
        elif run.frame.target is None and not run.trigger:
            self._skip(request)
        else:
            await self._slots.acquire()
            self._waiting[id(run)] = run
            self.add_task(self._run_waiting(run))

    def _run_inline(self, run: Run) -> RunOutcome | None:
        """Walk as far as possible without waiting. None: it waits, or no trigger let it start."""
        try:
            if not choose_trigger(run) or needs_turn(run):
                return None
            return self._walker.walk_inline(run)
        except NodeError as error:
            return Failed(RunError(error.reason, None, str(error)))
        except Exception as error:  # noqa: BLE001 - the run's edge: one bad run stops no other
            return _internal(error)

    async def _run_waiting(self, run: Run) -> None:
        turn = await self._take_turn(run)
        is_settled = asyncio.Event()
        outcome = await self._walk(run, turn)
        await self._concluder.put(FinishedRun(run, outcome, is_settled.set))
        del self._waiting[id(run)]
        self._slots.release()
        if isinstance(turn, Turn) and not isinstance(outcome, Interrupted):
            await is_settled.wait()
            await self._overlap.give_back(turn)

    async def _take_turn(self, run: Run) -> Turn | RunOutcome | None:
        """Give the turn, the outcome of a run that does not get it, or None: it needs none."""
        try:
            return await self._overlap.take(run) if needs_turn(run) else None
        except Exception as error:  # noqa: BLE001 - the run's edge: one bad run stops no other
            return _internal(error)

    async def _walk(self, run: Run, turn: Turn | RunOutcome | None) -> RunOutcome:
        try:
            if turn is None:
                return await self._walker.walk(run)
            return await self._overlap.walk(run, turn) if isinstance(turn, Turn) else turn
        except Exception as error:  # noqa: BLE001 - the run's edge: one bad run stops no other
            return _internal(error)

    def _skip(self, request: RunRequest) -> None:
        if request.reply_to is not None and self._seat.flow.can_answer:
            self._seat.world.answers.send(request.reply_to, Ended(request.run_id, "skipped"))
        request.share.settle_one(Settlement.ACK)


def _internal(error: Exception) -> Failed:
    # The text of an unforeseen error may hold data of the event; its type is enough to find it.
    return Failed(RunError("internal", None, f"unforeseen {type(error).__name__} in the worker"))
