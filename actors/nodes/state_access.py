"""`state` in scripts, conditions and templates: read on demand, written after success only.

In: an evaluation that is plain and synchronous, and a store that is neither. Out: the evaluation's
result. A read of a key that is not loaded yet stops the evaluation, the key is loaded, and the
evaluation starts afresh; so it must be pure. Refuses more than 64 keys a step.

Writes are compare-and-set against what was read. When somebody else wrote in between, the step is
evaluated afresh. Keys it had already written count as read with the value from before its own
write, so that `n + 1` over two keys does not add twice.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from actors.errors import TransientError
from actors.nodes.site import STATE
from actors.nodes.state_view import (
    KEYS_MAX,
    REMOVED,
    KeyWantedError,
    StateView,
    check_key,
    too_many_keys,
)
from actors.nodes.step import InlineNode, StepContext
from actors.outcomes import StepOutcome
from actors.ports import StateEntry

RACES_MAX: Final = 16
"""How often a step starts afresh because another run wrote the same keys meanwhile."""

Result = TypeVar("Result")


class StatefulNode:
    """A node whose step is plain and quick but reads or writes `state`, so it must wait."""

    __slots__ = ("_inner",)

    def __init__(self, inner: InlineNode) -> None:
        self._inner = inner

    async def step_waiting(self, context: StepContext) -> StepOutcome:
        """Take the inner node's step, with the state at hand."""
        return await evaluate_with_state(context, lambda: self._inner.step(context))


async def evaluate_with_state(context: StepContext, evaluate: Callable[[], Result]) -> Result:
    """Run ``evaluate`` with `state` bound in the context's scope; then store what it wrote.

    TransientError (``state.conflict``) when others keep writing the same keys.
    """

    async def attempt(view: StateView) -> Result:
        context.scope[STATE] = view
        try:
            return evaluate()
        finally:
            del context.scope[STATE]

    return await evaluate_on_state(context, attempt)


async def evaluate_on_state(
    context: StepContext, attempt: Callable[[StateView], Awaitable[Result]]
) -> Result:
    """Attempt an evaluation on one view of the state after the other until it is stored.

    ``attempt`` raises KeyWantedError for a key that its view has not loaded.
    """
    loaded: dict[str, StateEntry] = {}
    for _ in range(RACES_MAX):
        view, result = await _attempt_loading(context, attempt, loaded)
        lost = await _store(context, view.writes, loaded)
        if lost is None:
            return result
        loaded = lost
    raise TransientError("other runs keep writing the same state", reason="state.conflict")


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


async def _store(
    context: StepContext, writes: dict[str, Any], loaded: dict[str, StateEntry]
) -> dict[str, StateEntry] | None:
    """Write everything; None when all is stored, else what to evaluate from after a lost race."""
    stored: dict[str, StateEntry] = {}
    for key, value in writes.items():
        before = loaded.get(key)
        if not await _store_one(context, key, value, before):
            return await _entries_before(context, writes, stored)
        if before is not None:
            stored[key] = before
    return None


async def _store_one(context: StepContext, key: str, value: Any, before: StateEntry | None) -> bool:
    """Write one key. A key that was never read is written blindly: the last writer wins."""
    store, scope = context.world.state, context.state_scope
    if value is REMOVED:
        await store.delete(scope, key)
        return True
    return await store.put(scope, key, value, revision=None if before is None else before.revision)


async def _entries_before(
    context: StepContext, writes: dict[str, Any], stored: dict[str, StateEntry]
) -> dict[str, StateEntry]:
    """Give the stored keys their old values under their new revisions, unless others wrote them."""
    entries: dict[str, StateEntry] = {}
    for key, before in stored.items():
        now = await context.world.state.get(context.state_scope, key)
        ours = None if writes[key] is REMOVED else writes[key]
        entries[key] = StateEntry(before.value, now.revision) if now.value == ours else now
    return entries
