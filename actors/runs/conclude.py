"""Conclude, publish, record, settle: what happens to runs that have ended, in batches.

In: finished runs. Out: their results, records and dead letters, stored; then, and only then, their
deliveries settled by the table of DESIGN 4. While the bus is away it waits and tries again; a run
that is not settled when the worker goes is given back.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from actors.errors import UnavailableError
from actors.events import correlation_of
from actors.kernel.mailbox import Mailbox
from actors.nodes.step import World
from actors.observations import RunFinished
from actors.outcomes import (
    Cancelled,
    Completed,
    Continued,
    Ended,
    Failed,
    Interrupted,
    Rejected,
    RunError,
    RunOutcome,
    RunResult,
    Settlement,
    settlement_of,
    status_of,
)
from actors.ports import (
    LETTER_PATH_MAX,
    DeadLetter,
    DeadLetters,
    PublishedResult,
    Results,
    RunRecord,
    RunRecords,
    RunUsage,
)
from actors.runs.run import Run
from actors.runs.shares import FairShare, FairShares
from actors.runs.trail import Trail

BATCH_MAX: Final = 100
"""Runs concluded together (DESIGN 4: records are batched by at most 100)."""

PART_MAX: Final = 10
"""Of a batch, what is done in one go beside other tenants: a hundred take milliseconds."""

WAITING_MAX: Final = 256
"""Finished runs that may wait; past it the executor waits too."""

BACKOFF_FIRST_SECONDS: Final = 0.1
BACKOFF_SECONDS_MAX: Final = 5.0


@dataclass(frozen=True, slots=True)
class RunSinks:
    """Where ended runs go."""

    results: Results
    records: RunRecords
    dead_letters: DeadLetters


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run with its outcome, on its way to being settled."""

    run: Run
    outcome: RunOutcome
    on_settled: Callable[[], None] | None = None


class Concluder:
    """Takes finished runs of one flow through the last four steps."""

    def __init__(
        self, tenant: str, sinks: RunSinks, world: World, share: FairShare | None = None
    ) -> None:
        self._tenant = tenant
        self._share = share or FairShares(world.clock).of(tenant)
        self._sinks = sinks
        self._world = world
        self._mailbox: Mailbox[FinishedRun] = Mailbox(WAITING_MAX)
        self._in_hand: dict[int, FinishedRun] = {}

    @property
    def has_room(self) -> bool:
        """Whether `put` need not wait."""
        return self._mailbox.depth < self._mailbox.capacity

    @property
    def is_idle(self) -> bool:
        """Whether every finished run is settled."""
        return not self._in_hand and not self._mailbox.depth

    async def put(self, finished: FinishedRun) -> None:
        """Take a finished run, waiting for room."""
        await self._mailbox.put(finished)

    def close(self) -> None:
        """Take no more; `run` returns once those inside are settled."""
        self._mailbox.close()

    async def run(self) -> None:
        """Conclude batch after batch until closed and empty."""
        while batch := await self._mailbox.get_many(BATCH_MAX):
            self._in_hand = {id(finished): finished for finished in batch}
            await self._conclude_in_parts(batch)

    def give_back_rest(self) -> None:
        """Nak what is not settled yet: another worker repeats it."""
        rest = [*self._in_hand.values(), *self._mailbox.take_nowait(WAITING_MAX)]
        self._in_hand = {}
        while rest:
            for finished in rest:
                finished.run.request.share.settle_one(Settlement.NAK)
            rest = self._mailbox.take_nowait(WAITING_MAX)  # of those who waited for room

    # ── One batch ────────────────────────────────────────────────────────────────────────────

    async def _conclude_in_parts(self, batch: list[FinishedRun]) -> None:
        """Conclude a batch at once where the tenant is alone, else in parts as it has turns."""
        size = self._share.portion(BATCH_MAX, PART_MAX)
        if len(batch) <= size:
            await self._conclude(batch)
            return
        try:
            async with asyncio.TaskGroup() as group:
                for start in range(0, len(batch), size):
                    part = batch[start : start + size]
                    group.create_task(self._share.charge(partial(self._conclude, part)))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _conclude(self, batch: list[FinishedRun]) -> None:
        finished_ms = self._world.clock.now_ms()
        results: list[PublishedResult] = []
        records: list[RunRecord] = []
        letters: list[DeadLetter] = []
        for finished in batch:
            outcome = finished.outcome
            if isinstance(outcome, Continued | Interrupted):
                continue
            run = finished.run
            result = _result_of(run, outcome, finished_ms)
            event_type = run.request.event.event_type
            results.append(PublishedResult(self._tenant, event_type, result))
            records.append(self._record_of(run, result))
            if isinstance(outcome, Failed):
                letters.append(self._letter_of(run, outcome, finished_ms))
        await self._store(results, records, letters)
        for finished in batch:
            self._settle(finished, finished_ms)

    async def _store(
        self,
        results: list[PublishedResult],
        records: list[RunRecord],
        letters: list[DeadLetter],
    ) -> None:
        backoff_seconds = BACKOFF_FIRST_SECONDS
        while results:
            try:
                await asyncio.gather(
                    self._sinks.results.publish_all(results),
                    self._sinks.records.write_all(records),
                    *(self._sinks.dead_letters.park(letter) for letter in letters),
                )
            except UnavailableError:
                # Storing again is safe: results carry the run's id, letters their own.
                await self._world.clock.sleep(backoff_seconds)
                backoff_seconds = min(2 * backoff_seconds, BACKOFF_SECONDS_MAX)
            else:
                return

    def _settle(self, finished: FinishedRun, finished_ms: int) -> None:
        run, outcome = finished.run, finished.outcome
        del self._in_hand[id(finished)]
        self._tell_waiting_webhook(run, outcome)
        self._world.observer.observe(_observation(self._tenant, run, outcome, finished_ms))
        run.request.share.settle_one(settlement_of(outcome))
        if finished.on_settled is not None:
            finished.on_settled()
        if run.request.on_ended is not None:
            run.request.on_ended(outcome)

    def _tell_waiting_webhook(self, run: Run, outcome: RunOutcome) -> None:
        reply_to = run.request.reply_to
        if reply_to is None or not run.flow.can_answer:
            return
        if isinstance(outcome, Completed | Failed | Rejected | Cancelled):
            self._world.answers.send(reply_to, Ended(run.request.run_id, status_of(outcome)))

    def _record_of(self, run: Run, result: RunResult) -> RunRecord:
        return RunRecord(
            tenant=self._tenant,
            event_type=run.request.event.event_type,
            trigger=run.trigger,
            result=result,
            path=tuple(run.path),
            parent_run_id=run.request.parent_run_id,
            correlation_id=correlation_of(run.request.event),
            usage=_usage_of(run),
            steps=Trail(run, None if result.error is None else result.error.code),
        )

    def _letter_of(self, run: Run, outcome: Failed, failed_ms: int) -> DeadLetter:
        return DeadLetter(
            tenant=self._tenant,
            reason=outcome.error.code,
            error=outcome.error,
            attempts=run.request.attempt,
            letter_id=run.request.run_id,
            event=run.request.event,
            flow=run.flow.name,
            flow_version=run.flow.version,
            trigger=None if run.chosen is None else run.chosen.number,
            path=tuple(run.path[-LETTER_PATH_MAX:]),
            started_ms=run.started_ms,
            failed_ms=failed_ms,
            parent_run_id=run.request.parent_run_id,
            hops=run.request.hops,
            events=run.request.events,
        )


def _result_of(
    run: Run, outcome: Completed | Failed | Rejected | Cancelled, finished_ms: int
) -> RunResult:
    return RunResult(
        event_id=run.request.event.id,
        run_id=run.request.run_id,
        flow=run.flow.name,
        flow_version=run.flow.version,
        status=status_of(outcome),
        output=outcome.output if isinstance(outcome, Completed) else None,
        error=_error_of(outcome),
        started_ms=run.started_ms,
        finished_ms=finished_ms,
        attempt=run.request.attempt,
        batch=tuple(event.id for event in run.request.events),
    )


def _usage_of(run: Run) -> RunUsage:
    request = run.request
    effects = 0 if run.journal is None else run.journal.effects
    if request.parent_run_id is not None:
        return RunUsage(0, run.context.operations, effects)
    if not request.events:
        return RunUsage(1, run.context.operations, effects, (request.event.payload,))
    payloads = tuple(event.payload for event in request.events)
    return RunUsage(len(payloads), run.context.operations, effects, payloads)


def _observation(tenant: str, run: Run, outcome: RunOutcome, finished_ms: int) -> RunFinished:
    error = _error_of(outcome)
    return RunFinished(
        tenant=tenant,
        flow=run.flow.name,
        run_id=run.request.run_id,
        event_id=run.request.event.id,
        event_type=run.request.event.event_type,
        outcome=_outcome_name(outcome),
        error_code=None if error is None else error.code,
        node=None if error is None else error.node,
        attempt=run.request.attempt,
        steps=len(run.path),
        duration_ms=finished_ms - run.started_ms,
    )


def _error_of(outcome: RunOutcome) -> RunError | None:
    """Say why a run did not complete: somebody may look for it."""
    match outcome:
        case Failed():
            return outcome.error
        case Rejected() | Cancelled():
            return RunError(status_of(outcome), None, outcome.reason)
        case _:
            return None


def _outcome_name(outcome: RunOutcome) -> str:
    match outcome:
        case Continued():
            return "continued"
        case Interrupted():
            return "interrupted"
        case _:
            return status_of(outcome)
