"""Pauses: a run that goes on later, with nothing held meanwhile.

In: a run and when it goes on. Out: its continuation in WORK. It is tried while the delivery is
surely ours; past that the run is another worker's to repeat.
"""

from dataclasses import dataclass
from typing import Final, Literal

from actors.errors import RunLostError, UnavailableError
from actors.outcomes import Continued, Interrupted
from actors.ports import Continuation
from actors.runs.run import Run

RETRY_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Pause:
    """The run is to go on at ``due_ms`` (ms since the epoch; 0: at once)."""

    due_ms: int
    why: Literal["sleep", "retry", "turn", "lane", "version"] = "sleep"
    """``turn`` and ``lane``: it has not begun; ``version``: another version of its flow has it."""
    retried: str | None = None
    """What is tried again: a step, or ``""`` for the flow's own policy."""
    version: str | None = None
    """The version that goes on with it; None: the one that runs it now."""


async def put_off(run: Run, pause: Pause) -> Continued | Interrupted:
    """Store the run's continuation."""
    clock = run.context.world.clock
    while run.request.is_ours(clock):
        try:
            return await _schedule(run, pause)
        except RunLostError as error:
            return Interrupted(str(error), is_lost=True)
        except UnavailableError:
            await clock.sleep(RETRY_SECONDS)
    return Interrupted("it could not be put off; another worker may have it", is_lost=True)


async def _schedule(run: Run, pause: Pause) -> Continued:
    if run.journal is not None and pause.why in ("sleep", "retry"):
        await run.journal.mark_pause()
    continuation = continuation_of(run, pause)
    if run.journal is not None:
        await run.journal.outlast(pause.due_ms, continuation.leg)
    world, lane = run.context.world, run.flow.lane
    await world.continuations.schedule(run.context.tenant, continuation, lane=lane)
    return Continued(pause.due_ms, continuation.attempt, continuation)


def continuation_of(run: Run, pause: Pause) -> Continuation:
    """Say how the run goes on."""
    request = run.request
    retries = dict(request.retries)
    if pause.retried is not None:
        retries[pause.retried] = retries.get(pause.retried, 0) + 1
    is_begun = run.journal is not None and run.journal.is_begun
    return Continuation(
        run_id=request.run_id,
        flow=run.flow.name,
        event=request.event,
        attempt=request.attempt + (pause.retried is not None),
        due_ms=pause.due_ms,
        parent_run_id=request.parent_run_id,
        hops=request.hops,
        trigger=_trigger_of(run),
        round=request.round + (pause.why == "turn"),
        leg=request.leg + (pause.why in ("sleep", "retry", "version")),
        retries=retries,
        spent_ms=run.spent_ms(),
        version=pause.version or (run.version if is_begun else None),
        reply_to=request.reply_to,
        events=request.events,
    )


def _trigger_of(run: Run) -> int | None:
    """Name the run's trigger, also of one that another version goes on with."""
    if run.chosen is not None:
        return run.chosen.number
    return run.journal.head.trigger if run.journal is not None else None
