"""One evaluation's view of the state: what is loaded, and what it writes.

In: loaded entries. Out: values for the evaluation, and its writes afterwards. A key that is not
loaded stops the evaluation with `KeyWantedError`. Refuses, as PermanentError, more than 64 keys a
step (``state.keys``), keys that are none (``state.key``) and values that no node may have.
"""

from collections.abc import Mapping
from typing import Any, Final

from actors.errors import PermanentError
from actors.nodes.output import check_output
from actors.ports import STATE_KEY_BYTES_MAX, StateEntry
from grammar import HostMap

KEYS_MAX: Final = 64
"""Keys of state that one step may touch."""

REMOVED: Final = object()
"""Stands for a key that the evaluation removed."""


class KeyWantedError(Exception):
    """The evaluation read a key that is not loaded: load it and evaluate afresh."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class StateView(HostMap):
    """Loaded entries below the evaluation's own writes."""

    __slots__ = ("loaded", "writes")

    def __init__(self, loaded: Mapping[str, StateEntry]) -> None:
        self.loaded = loaded
        self.writes: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        """Give the value; None where there is none."""
        if key in self.writes:
            written = self.writes[key]
            return None if written is REMOVED else written
        entry = self.loaded.get(key)
        if entry is None:
            raise KeyWantedError(key)
        return entry.value

    def set(self, key: str, value: Any) -> None:
        """Keep a write until the evaluation has succeeded."""
        self.writes[check_key(key)] = check_output(value, f"state value {key!r}")
        self._check_count()

    def remove(self, key: str) -> None:
        """Keep a removal until the evaluation has succeeded."""
        self.writes[check_key(key)] = REMOVED
        self._check_count()

    def contains(self, key: str) -> bool:
        """Tell whether the key has a value."""
        return self.get(key) is not None

    def _check_count(self) -> None:
        if len(self.writes.keys() | self.loaded.keys()) > KEYS_MAX:
            raise too_many_keys()


def check_key(key: str) -> str:
    """Give a key of state back if it may be one; PermanentError (``state.key``) if not."""
    if not 0 < len(key.encode("utf-8", "replace")) <= STATE_KEY_BYTES_MAX:
        raise PermanentError(
            f"a key of state is a text of 1 to {STATE_KEY_BYTES_MAX} bytes", reason="state.key"
        )
    return key


def too_many_keys() -> PermanentError:
    """Build the failure of a step that touches too many keys."""
    return PermanentError(f"a step may touch {KEYS_MAX} keys of state", reason="state.keys")
