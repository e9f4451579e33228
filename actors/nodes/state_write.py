"""One write to the state, as a step intends it and as the journal keeps it.

In: a key, its new value, what the write goes by. Out: the same as JSON, so that a repeated run
applies the very same write.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

BLIND: Final = None
"""Revision of a write to a key that was never read: the last writer wins."""


@dataclass(frozen=True, slots=True)
class StateWrite:
    """One key's new value, or its removal."""

    key: str
    value: Any = None
    is_removed: bool = False
    revision: int | None = BLIND
    ttl_seconds: float | None = None

    def as_document(self) -> dict[str, Any]:
        """Give it as the journal keeps it; `from_document` is the inverse."""
        return {
            "key": self.key,
            "value": self.value,
            "is_removed": self.is_removed,
            "revision": self.revision,
            "ttl_seconds": self.ttl_seconds,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read what `as_document` wrote."""
        return cls(**document)
