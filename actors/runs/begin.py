"""Begin and load: turn a request into a run that stands before its first node.

In: a request and the flow it asks for. Out: a run, with the trigger that lets it start. A false
filter starts nothing; a filter that fails is a failed run, so that somebody sees it.
"""

from dataclasses import dataclass
from typing import Final

from actors.errors import PermanentError
from actors.flows.compiled import CompiledFlow, CompiledTrigger
from actors.nodes.scope import RunScope, build_scope
from actors.nodes.step import StepContext, World
from actors.runs.request import RunRequest
from actors.runs.run import Frame, Run
from actors.runs.walk import entry_target
from grammar import GrammarError

DELIVERIES_MAX: Final = 20
"""Deliveries of one event without an outcome: past it the event kills its workers (poison)."""

SUB_RUN_TRIGGER: Final = "sub_run"


@dataclass(frozen=True, slots=True)
class RunSeat:
    """Where runs of one flow take place: tenant, flow and world, the same for all of them."""

    tenant: str
    flow: CompiledFlow
    world: World


def begin(request: RunRequest, seat: RunSeat) -> Run:
    """Make the run: fix its ``now``, bind its names, set its deadline."""
    flow, clock = seat.flow, seat.world.clock
    now_ms = clock.now_ms()
    scope = build_scope(
        request.event,
        env=seat.world.env,
        tenant=seat.tenant,
        now_seconds=now_ms // 1000,
        variables=flow.variables,
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
    )
    return Run(
        request=request,
        flow=flow,
        context=context,
        frames=[Frame(flow, scope, target=None)],
        started_ms=now_ms,
        deadline=clock.monotonic() + flow.timeout_seconds,
    )


def choose_trigger(run: Run) -> bool:
    """Aim the run at its first node; False: no trigger's filter holds and nothing starts.

    PermanentError: the event keeps killing its workers, or a filter cannot be evaluated.
    """
    request = run.request
    if request.share.delivery.num_delivered > DELIVERIES_MAX:
        raise PermanentError(
            f"delivered more than {DELIVERIES_MAX} times without an outcome", reason="poison"
        )
    if not request.triggers:
        run.trigger, run.frame.target = SUB_RUN_TRIGGER, entry_target(run.flow)
        return True
    for trigger in request.triggers:
        if request.round or _filter_holds(trigger, run.frame.scope):
            run.chosen = trigger
            run.trigger, run.frame.target = f"{trigger.type}:{trigger.number}", trigger.target
            return True
    return False


def _filter_holds(trigger: CompiledTrigger, scope: RunScope) -> bool:
    if trigger.filter is None:
        return True
    try:
        return trigger.filter.run(scope) is True
    except GrammarError as error:
        raise PermanentError(
            f"the filter of trigger {trigger.number} failed: {error}", reason="filter_failed"
        ) from error
