"""Label values that strangers cannot multiply.

In: names of tenants and flows. Out: the same names, up to a limit; every further one is ``other``.
A metric costs memory per combination of labels for ever, so the number must have a bound.
"""

from typing import Final

OTHER: Final = "other"
TENANTS_MAX: Final = 200
FLOWS_MAX: Final = 1000


class BoundedLabels:
    """Remembers the first ``names_max`` names it sees."""

    __slots__ = ("_known", "_names_max")

    def __init__(self, names_max: int) -> None:
        self._names_max = names_max
        self._known: set[str] = set()

    def bound(self, name: str) -> str:
        """Give ``name`` if it is known or there is room, else ``other``."""
        if name in self._known:
            return name
        if len(self._known) >= self._names_max:
            return OTHER
        self._known.add(name)
        return name
