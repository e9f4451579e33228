"""An Observer that remembers."""

from typing import TypeVar

T = TypeVar("T")


class RecordingObserver:
    """Keeps every observation in order."""

    def __init__(self) -> None:
        self.observations: list[object] = []

    def observe(self, observation: object) -> None:
        """Remember one observation."""
        self.observations.append(observation)

    def of(self, kind: type[T]) -> list[T]:
        """Give the observations of one kind."""
        return [seen for seen in self.observations if isinstance(seen, kind)]
