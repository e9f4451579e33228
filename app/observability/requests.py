"""Counting HTTP requests, cheaply enough for the hot path.

In: a route's name and a status. Out: one increment of ``greentic_http_requests_total``. Routes are
names of ours, never paths: a stranger cannot make labels.
"""

from prometheus_client import CollectorRegistry, Counter


class RequestMeter:
    """Counts requests by route and status."""

    __slots__ = ("_children", "_counter")

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counter = Counter(
            "greentic_http_requests_total",
            "HTTP requests answered, by route and status (499: the client left first).",
            ("route", "status"),
            registry=registry,
        )
        self._children: dict[tuple[str, int], Counter] = {}

    def count(self, route: str, status: int) -> None:
        """Count one request. ``status`` is three digits, so there are few children."""
        key = (route, status)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._counter.labels(route, str(status))
        child.inc()
