"""`state` in scripts, conditions and templates: read on demand, written after success only.

In: an evaluation that is plain and synchronous, and a store that is neither. Out: the evaluation's
result. A read of a key that is not loaded yet stops the evaluation, the key is loaded, and the
evaluation starts afresh; so it must be pure. Refuses more than 64 keys a step.

Writes are compare-and-set against what was read, and stand in the journal before they are applied.
When somebody else wrote in between, the step is evaluated afresh. Keys it had already written count
as read with the value from before its own write, so that `n + 1` over two keys does not add twice.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar, cast

from actors.errors import PermanentError, TransientError
from actors.nodes.site import STATE
from actors.nodes.state_view import (
    KEYS_MAX,
    KeyWantedError,
    StateView,
    check_key,
    too_many_keys,
)
from actors.nodes.state_write import StateWrite
from actors.nodes.state_writes import apply_writes, plan_writes
from actors.nodes.step import InlineNode, StepContext
from actors.outcomes import Advance, StepOutcome
from actors.ports import StateEntry

RACES_MAX: Final = 16
"""How often a step starts afresh because another run wrote the same keys meanwhile."""

Result = TypeVar("Result")
Outcome = TypeVar("Outcome", bound=StepOutcome)


class StatefulNode:
    """A node whose step is plain and quick but reads or writes `state`, so it must wait."""

    __slots__ = ("_inner",)

    def __init__(self, inner: InlineNode) -> None:
        self._inner = inner

    async def step_waiting(self, context: StepContext) -> StepOutcome:
        """Take the inner node's step, with the state at hand."""

        async def attempt(view: StateView) -> StepOutcome:
            return _with_view(context, view, lambda: self._inner.step(context))

        return await step_on_state(context, attempt)


async def read_with_state(context: StepContext, evaluate: Callable[[], Result]) -> Result:
    """Evaluate over the run's names and `state`; PermanentError if it writes any."""

    async def attempt(view: StateView) -> Result:
        return _with_view(context, view, evaluate)

    view, result = await _attempt_loading(context, attempt, {})
    if view.writes:
        raise PermanentError("the state cannot be written here", reason="state.read_only")
    return result


async def step_on_state(
    context: StepContext, attempt: Callable[[StateView], Awaitable[Outcome]]
) -> Outcome:
    """Take a step over the state and apply what it wrote, against races with other runs."""
    loaded: dict[str, StateEntry] = {}
    while context.race < RACES_MAX:
        view, outcome = await _attempt_loading(context, attempt, loaded)
        writes = plan_writes(view.writes, loaded)
        if not writes:
            return outcome
        operations = context.step_operations
        await context.journal.intend(
            cast("Advance", outcome), writes, context.race, operations=operations
        )
        refused = await apply_writes(context, writes, context.race)
        if refused is None:
            return outcome
        loaded = await _entries_before(context, writes, refused, loaded)
        context.race += 1
    raise TransientError("other runs keep writing the same state", reason="state.conflict")


def _with_view(context: StepContext, view: StateView, evaluate: Callable[[], Result]) -> Result:
    context.scope[STATE] = view
    try:
        return evaluate()
    finally:
        context.scope.pop(STATE, None)


async def _attempt_loading(
    context: StepContext,
    attempt: Callable[[StateView], Awaitable[Result]],
    loaded: dict[str, StateEntry],
) -> tuple[StateView, Result]:
    """Evaluate until every key that is read is loaded."""
    while True:
        view = StateView(loaded)
        try:
            return view, await attempt(view)
        except KeyWantedError as wanted:
            key = check_key(wanted.key)
        if len(loaded) >= KEYS_MAX:
            raise too_many_keys()
        loaded[key] = await context.world.state.get(context.state_scope, key)


async def _entries_before(
    context: StepContext,
    writes: Sequence[StateWrite],
    refused: StateWrite,
    loaded: dict[str, StateEntry],
) -> dict[str, StateEntry]:
    """Give what to evaluate from after a lost race.

    Keys already written have their old values under their new revisions, unless others wrote them.
    """
    entries: dict[str, StateEntry] = {}
    for write in writes:
        if write is refused:
            break
        before = loaded.get(write.key)
        if before is None:
            continue
        now = await context.world.state.get(context.state_scope, write.key)
        ours: Any = None if write.is_removed else write.value
        is_ours = now.value == ours
        entries[write.key] = StateEntry(before.value, now.revision) if is_ours else now
    return entries
