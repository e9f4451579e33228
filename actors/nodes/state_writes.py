"""Writes to the state as a step intends them: kept in the journal, then applied (DESIGN 4).

In: what an evaluation wrote and what it had read. Out: writes with the revisions they go by. Each
is applied under an id made of the step: one that was applied before is not applied again. Refuses
nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from actors.ids import effect_key
from actors.nodes.state_view import REMOVED
from actors.nodes.state_write import BLIND, StateWrite
from actors.nodes.step import StepContext
from actors.ports import StateEntry


def plan_writes(
    written: Mapping[str, Any], loaded: Mapping[str, StateEntry]
) -> tuple[StateWrite, ...]:
    """Turn an evaluation's writes into such that hold only over what it had read."""
    return tuple(
        StateWrite(
            key,
            None if value is REMOVED else value,
            is_removed=value is REMOVED,
            revision=loaded[key].revision if key in loaded else BLIND,
        )
        for key, value in written.items()
    )


async def apply_writes(
    context: StepContext, writes: Sequence[StateWrite], race: int
) -> StateWrite | None:
    """Apply them in order and give the first that somebody else's write came before, or None.

    ``race`` numbers the step's evaluations: another evaluation's writes are other writes.
    """
    for index, write in enumerate(writes):
        if not await _apply(context, write, f"{race}:{index}"):
            return write
    return None


async def _apply(context: StepContext, write: StateWrite, place: str) -> bool:
    store, scope = context.world.state, context.state_scope
    step = effect_key(context.run_id, context.step_id, context.iteration)
    write_id = f"{step}:{place}"
    if write.is_removed:
        await store.delete(scope, write.key, write_id=write_id)
        return True
    return await store.put(
        scope,
        write.key,
        write.value,
        revision=write.revision,
        ttl_seconds=write.ttl_seconds,
        write_id=write_id,
    )
