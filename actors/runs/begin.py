"""Begin and load: turn a request into a run that stands before its first node.

In: a request and the flow it asks for. Out: a run, with the trigger that lets it start. A false
filter starts nothing; a filter that fails is a failed run, so that somebody sees it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from actors.errors import PermanentError
from actors.flows.compiled import CompiledFlow, CompiledTrigger
from actors.nodes.scope import RunScope, build_scope
from actors.nodes.step import NoStepJournal, StepContext, World
from actors.runs.journal import JournalSeat, RunJournal
from actors.runs.journal_entries import Head
from actors.runs.request import RunRequest
from actors.runs.run import Frame, Run
from actors.runs.walk import entry_target
from grammar import GrammarError

DELIVERIES_MAX: Final = 20
"""Deliveries of one event without an outcome: past it the event kills its workers (poison)."""

SUB_RUN_TRIGGER: Final = "sub_run"

NO_JOURNAL: Final = NoStepJournal()


@dataclass(frozen=True, slots=True)
class RunSeat:
    """Where runs of one flow take place: tenant, flow and world, the same for all of them."""

    tenant: str
    flow: CompiledFlow
    world: World
    version: str = ""
    """Of the flow with all it calls, see `Deployment.version_of`."""
    has_effects: bool = False
    """Some step of it, or of a flow it calls, is journalled."""
    is_in_force: Callable[[], bool] = lambda: True
    """Tells whether an event that comes now begins its run here, and not on a later version."""


def begin(request: RunRequest, seat: RunSeat) -> Run:
    """Make the run: fix its ``now``, bind its names, set its deadline.

    A run that somebody may have begun before is `resume`d instead.
    """
    return _build(request, seat, _new_journal(request, seat), seat.world.clock.now_ms())


async def resume(request: RunRequest, seat: RunSeat) -> Run:
    """Make a run that may have been begun before: it goes on with what it began with then.

    UnavailableError: its journal cannot be read now.
    """
    journal = _new_journal(request, seat)
    if journal is None:
        return _build(request, seat, None, seat.world.clock.now_ms())
    await journal.load()
    return _build(request, seat, journal, journal.head.now_ms, seat.world.clock.now_ms())


def _new_journal(request: RunRequest, seat: RunSeat) -> RunJournal | None:
    if not seat.has_effects and not request.was_put_off:
        return None  # nothing of it is ever kept, not even that it was cancelled while it waited
    clock = seat.world.clock
    return RunJournal(
        JournalSeat(seat.world.journal, clock, seat.tenant, request.run_id),
        Head(clock.now_ms(), seat.version, None),
        delivered=request.share.delivery.num_delivered,
    )


def _build(
    request: RunRequest,
    seat: RunSeat,
    journal: RunJournal | None,
    started_ms: int,
    now_ms: int | None = None,
) -> Run:
    flow, now = seat.flow, seat.world.clock.monotonic()
    scope = build_scope(
        request.event,
        env=seat.world.env,
        tenant=seat.tenant,
        now_seconds=started_ms // 1000,
        variables=flow.variables,
        events=request.events,
    )
    context = StepContext(
        world=seat.world,
        tenant=seat.tenant,
        flow=flow.name,
        run_id=request.run_id,
        event=request.event,
        scope=scope,
        hops=request.hops,
        reply_to=request.reply_to,
        journal=NO_JOURNAL if journal is None else journal,
    )
    return Run(
        request=request,
        flow=flow,
        version=seat.version,
        context=context,
        frames=[Frame(flow, scope, target=None)],
        started_ms=started_ms,
        deadline=now + flow.timeout_seconds - request.spent_ms / 1000,
        zero_at=now if now_ms is None else now - (now_ms - started_ms) / 1000,
        journal=journal,
    )


def choose_trigger(run: Run) -> bool:
    """Aim the run at its first node; False: no trigger's filter holds and nothing starts.

    PermanentError: the event keeps killing its workers, or a filter cannot be evaluated.
    """
    _refuse_poison(run)
    request, journal = run.request, run.journal
    if not request.triggers:
        run.trigger, run.frame.target = SUB_RUN_TRIGGER, entry_target(run.flow)
        return True
    first = journal.head.trigger if journal is not None and journal.is_begun else None
    for trigger in request.triggers:
        is_chosen = request.is_judged or trigger.number == first
        if is_chosen or (first is None and _filter_holds(trigger, run.frame.scope)):
            run.chosen = trigger
            run.trigger, run.frame.target = f"{trigger.type}:{trigger.number}", trigger.target
            if journal is not None and not journal.is_begun:
                journal.head = replace(journal.head, trigger=trigger.number)
            return True
    return False


def _refuse_poison(run: Run) -> None:
    times = run.request.share.delivery.num_delivered
    if times > DELIVERIES_MAX and run.journal is not None:
        times = run.journal.deliveries_without_progress
    if times > DELIVERIES_MAX:
        raise PermanentError(
            f"delivered more than {DELIVERIES_MAX} times without getting any further",
            reason="poison",
        )


def _filter_holds(trigger: CompiledTrigger, scope: RunScope) -> bool:
    if trigger.filter is None:
        return True
    try:
        return trigger.filter.run(scope) is True
    except GrammarError as error:
        raise PermanentError(
            f"the filter of trigger {trigger.number} failed: {error}", reason="filter_failed"
        ) from error
