"""Names of actors that others look up.

In: refs under a name. Out: the ref of a name. It refuses a name that is taken; a name is free again
once it was released.
"""

from typing import Any

from actors.kernel.ref import ActorRef


class Registry:
    """A table of refs. It owns nobody: the one who registers also releases."""

    def __init__(self) -> None:
        self._refs: dict[str, ActorRef[Any]] = {}

    def __len__(self) -> int:
        return len(self._refs)

    def register(self, name: str, ref: ActorRef[Any]) -> None:
        """Make ``ref`` known as ``name``; ValueError if the name is taken."""
        if name in self._refs:
            raise ValueError(f"{name} is taken by {self._refs[name].name}")
        self._refs[name] = ref

    def release(self, name: str) -> None:
        """Free the name; LookupError if nobody has it."""
        if self._refs.pop(name, None) is None:
            raise LookupError(f"nobody is called {name}")

    def find(self, name: str) -> ActorRef[Any] | None:
        """Give the ref of ``name``, or None."""
        return self._refs.get(name)

    def names(self) -> tuple[str, ...]:
        """Give all names, sorted."""
        return tuple(sorted(self._refs))
