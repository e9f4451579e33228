"""`state` in scripts, conditions and templates: read on demand, written after success only.

In: an evaluation that is plain and synchronous, and a store that is neither. Out: the evaluation's
result. A read of a key that is not loaded yet stops the evaluation, the key is loaded, and the
evaluation starts afresh; so it must be pure. Refuses more than 64 keys a step.

Writes are compare-and-set against what was read. When somebody else wrote in between, the step is
evaluated afresh. Keys it had already written count as read with the value from before its own
write, so that `n + 1` over two keys does not add twice.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from actors.errors import PermanentError, TransientError
from actors.nodes.output import check_output
from actors.nodes.site import STATE
from actors.nodes.step import InlineNode, StepContext
from actors.outcomes import StepOutcome
from actors.ports import STATE_KEY_BYTES_MAX, StateEntry
from grammar import HostMap

KEYS_MAX: Final = 64
"""Keys of state that one step may touch."""

RACES_MAX: Final = 16
"""How often a step starts afresh because another run wrote the same keys meanwhile."""

Result = TypeVar("Result")

_REMOVED: Final = object()
"""Stands for a key that the evaluation removed."""


class _KeyWantedError(Exception):
    """The evaluation read a key that is not loaded. Never leaves this module."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class StateView(HostMap):
    """One evaluation's view of the state: loaded entries below its own writes."""

    __slots__ = ("_loaded", "writes")

    def __init__(self, loaded: dict[str, StateEntry]) -> None:
        self._loaded = loaded
        self.writes: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        """Give the value; None where there is none."""
        if key in self.writes:
            written = self.writes[key]
            return None if written is _REMOVED else written
        entry = self._loaded.get(key)
        if entry is None:
            raise _KeyWantedError(key)
        return entry.value

    def set(self, key: str, value: Any) -> None:
        """Keep a write until the evaluation has succeeded."""
        self.writes[check_key(key)] = check_output(value, f"state value {key!r}")
        self._check_count()

    def remove(self, key: str) -> None:
        """Keep a removal until the evaluation has succeeded."""
        self.writes[check_key(key)] = _REMOVED
        self._check_count()

    def contains(self, key: str) -> bool:
        """Tell whether the key has a value."""
        return self.get(key) is not None

    def _check_count(self) -> None:
        if len(self.writes.keys() | self._loaded.keys()) > KEYS_MAX:
            raise _too_many()


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
    loaded: dict[str, StateEntry] = {}
    for _ in range(RACES_MAX):
        view, result = await _evaluate_loading(context, evaluate, loaded)
        lost = await _store(context, view.writes, loaded)
        if lost is None:
            return result
        loaded = lost
    raise TransientError("other runs keep writing the same state", reason="state.conflict")


async def _evaluate_loading(
    context: StepContext, evaluate: Callable[[], Result], loaded: dict[str, StateEntry]
) -> tuple[StateView, Result]:
    """Evaluate until every key that is read is loaded."""
    while True:
        view = StateView(loaded)
        context.scope[STATE] = view
        try:
            return view, evaluate()
        except _KeyWantedError as wanted:
            key = check_key(wanted.key)
        finally:
            del context.scope[STATE]
        if len(loaded) >= KEYS_MAX:
            raise _too_many()
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
    if value is _REMOVED:
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
        ours = None if writes[key] is _REMOVED else writes[key]
        entries[key] = StateEntry(before.value, now.revision) if now.value == ours else now
    return entries


def check_key(key: str) -> str:
    """Give a key of state back if it may be one; PermanentError (``state.key``) if not."""
    if not 0 < len(key.encode("utf-8", "replace")) <= STATE_KEY_BYTES_MAX:
        raise PermanentError(
            f"a key of state is a text of 1 to {STATE_KEY_BYTES_MAX} bytes", reason="state.key"
        )
    return key


def _too_many() -> PermanentError:
    return PermanentError(f"a step may touch {KEYS_MAX} keys of state", reason="state.keys")
