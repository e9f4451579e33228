"""Perform: take one waiting step, or recall what it came to.

In: a run that stands before a step. Out: the step's outcome, or the failure that is on record; both
are kept in the run's journal before anything follows from them. What NATS does not answer is no
failure of the flow: the step is taken again while the delivery is surely ours.
"""

import asyncio
from typing import Final, cast

from actors.errors import TransientError, UnavailableError
from actors.flows.compiled import CompiledNode
from actors.nodes.state_writes import apply_writes
from actors.nodes.step import StepContext, WaitingNode
from actors.outcomes import Advance, RunError, StepOutcome
from actors.runs.journal import RunJournal
from actors.runs.journal_entries import Recalled
from actors.runs.run import Run

UNAVAILABLE_RETRY_SECONDS: Final = 0.5

_OUTWARD: Final = frozenset({"http", "event", "async", "flow2flow", "reply", "llm"})
"""Types of nodes whose steps, once they have a value, have done something outside (usage)."""


class OverdueError(Exception):
    """The flow's timeout is over."""


class StaleError(Exception):
    """The bus has not heard for long that we work on the delivery."""


async def take_step(run: Run, node: CompiledNode, context: StepContext) -> StepOutcome | RunError:
    """Take the step unless it was taken before. OverdueError, StaleError, NodeError, RunLostError.

    A RunError is the failure it came to when it was taken first.
    """
    while True:
        if node.is_journalled:
            recalled = await _recall(run, context)
            if recalled is not None:
                return recalled
        began_at = context.world.clock.monotonic()
        try:
            return await _perform(run, node, context)
        except _ChangedError:
            continue
        except UnavailableError:
            if node.is_journalled and journal_of(run).has(context.race):
                raise
            await context.world.clock.sleep(UNAVAILABLE_RETRY_SECONDS)
            # The bus's outage is no time of the flow's.
            run.deadline += context.world.clock.monotonic() - began_at


def journal_of(run: Run) -> RunJournal:
    """Give the journal of a run that stands at a journalled step: then it has one."""
    return cast("RunJournal", run.journal)


def check_may_begin(run: Run) -> None:
    """Refuse to begin a step as another's (StaleError), or without time left (OverdueError)."""
    check_is_ours(run)
    if run.context.world.clock.monotonic() >= run.deadline:
        raise OverdueError


def check_is_ours(run: Run) -> None:
    """Refuse (StaleError) to say or do anything for a run that may be another worker's by now."""
    if not run.request.is_ours(run.context.world.clock):
        raise StaleError("the delivery was not kept alive; another worker may have it")


class _ChangedError(Exception):
    """The step stands in the journal since we looked last."""


async def _recall(run: Run, context: StepContext) -> StepOutcome | RunError | None:
    """Give what the step came to, if it stands in the journal."""
    recalled = journal_of(run).recall()
    if recalled is None:
        return None
    context.race = recalled.race
    context.operations += recalled.operations
    run.replayed = len(run.path)
    if not recalled.writes or not recalled.is_last:
        return recalled.outcome
    if await _apply_again(run, context, recalled):
        return recalled.outcome
    context.race += 1
    return None


async def _perform(run: Run, node: CompiledNode, context: StepContext) -> StepOutcome:
    """Take the step once, and keep what it came to before anything follows from it.

    An effect that may have been done is done again under the same key.
    """
    check_may_begin(run)
    if not node.is_journalled:
        return await _perform_once(run, node, context)
    journal = journal_of(run)
    _check_is_first(run, journal)
    await journal.refresh()
    if journal.has(context.race):
        raise _ChangedError
    check_may_begin(run)
    outcome = await _perform_once(run, node, context)
    if not journal.has(context.race):
        is_effect = node.type in _OUTWARD and isinstance(outcome, Advance)
        operations = context.step_operations
        await journal.record(outcome, context.race, operations=operations, is_effect=is_effect)
    return outcome


def _check_is_first(run: Run, journal: RunJournal) -> None:
    """Refuse (StaleError) a run's first effect if others may have begun the run meanwhile.

    The server may have been killed since it handed the delivery over, and hand it over as new.
    """
    if not journal.is_loaded and not journal.is_begun and run.request.may_be_repeated:
        raise StaleError("the bus was away; another worker may have begun the run")


async def _perform_once(run: Run, node: CompiledNode, context: StepContext) -> StepOutcome:
    remaining = run.deadline - context.world.clock.monotonic()
    try:
        async with asyncio.timeout(min(node.timeout_seconds, remaining)) as limit:
            return await cast("WaitingNode", node.behaviour).step_waiting(context)
    except TimeoutError:
        check_is_ours(run)
        if limit.expired() and remaining <= node.timeout_seconds:
            raise OverdueError from None
        seconds = node.timeout_seconds
        raise TransientError(f"no outcome within {seconds:g} s", reason="timeout") from None


async def _apply_again(run: Run, context: StepContext, recalled: Recalled) -> bool:
    """Apply the last step's writes, which a crash may have kept from being applied."""
    while True:
        check_is_ours(run)
        try:
            return await apply_writes(context, recalled.writes, recalled.race) is None
        except UnavailableError:
            await context.world.clock.sleep(UNAVAILABLE_RETRY_SECONDS)
