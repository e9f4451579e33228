"""The labelled children of a counter, looked up once each.

In: a counter and label values. Out: increments that cost one dictionary look-up: prometheus-client
takes a lock and builds a key of its own on every ``labels`` call.
"""

from prometheus_client import Counter


class CachedCounter:
    """A counter whose label values come from bounded sets (`app.observability.labels`)."""

    __slots__ = ("_children", "_counter")

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._children: dict[tuple[str, ...], Counter] = {}

    def count(self, *labels: str) -> None:
        """Add one for these label values, in the counter's order."""
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._counter.labels(*labels)
        child.inc()
