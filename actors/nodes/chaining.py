"""What one run starts: how deep a chain of events and flows may grow.

In: a step. Out: the number of the next link. Refuses the 33rd: flows that feed each other must end.
"""

from dataclasses import replace
from typing import Any, Final

from actors.errors import PermanentError
from actors.events import CORRELATION_ID, Event, handed_on
from actors.ids import child_run_id
from actors.nodes.output import EVENT_BYTES_MAX, check_output
from actors.nodes.step import StepContext
from actors.ports import Continuation

HOPS_MAX: Final = 32


def next_hop(context: StepContext) -> int:
    """Count one more link of the chain; PermanentError (``event_loop``) past the last."""
    if context.hops >= HOPS_MAX:
        raise PermanentError(
            f"{HOPS_MAX} flows have started each other in a row; look for a loop of events",
            reason="event_loop",
        )
    return context.hops + 1


async def start_flow(context: StepContext, flow: str, payload: Any) -> dict[str, Any]:
    """Schedule a run of another flow for this event with ``payload``; give its name and run id.

    The run's id is made of this step, so a repeated step starts the same run (DESIGN 4).
    """
    check_output(payload, "payload", bytes_max=EVENT_BYTES_MAX)
    run_id = child_run_id(context.run_id, context.step_id, context.iteration)
    continuation = Continuation(
        run_id=run_id,
        flow=flow,
        event=replace(context.event, payload=payload, metadata=_metadata_of(context.event)),
        parent_run_id=context.run_id,
        hops=next_hop(context),
    )
    await context.world.continuations.schedule(context.tenant, continuation)
    return {"run_id": run_id, "flow": flow}


def _metadata_of(event: Event) -> dict[str, Any]:
    """Give the metadata of a run's event with what it has in common with the one it starts."""
    return {**(event.metadata or {}), CORRELATION_ID: handed_on(event)}
