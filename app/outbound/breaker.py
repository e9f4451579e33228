"""A circuit breaker per tenant and host: who does not answer is left alone for a while.

In: how calls ended. Out: whether the next one may be tried. A tenant's calls never open another
tenant's circuit. After `OPEN_SECONDS` one call is let through; its end decides for the others.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

FAILURES_MAX: Final = 5
"""In a row; an answer of any status but 502, 503 and 504 ends the row."""

OPEN_SECONDS: Final = 30.0
CIRCUITS_MAX: Final = 10_000
"""Circuits that are remembered; past it the one least used is forgotten."""

Key = tuple[str, str, int]
"""Tenant, host, port."""


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    opened_at: float = 0.0
    is_probing: bool = False


class CircuitBreaker:
    """The circuits of a process. Only failing hosts take memory."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._circuits: OrderedDict[Key, _Circuit] = OrderedDict()
        self._open = 0

    @property
    def open_circuits(self) -> int:
        """How many have opened and were not closed by an answer since."""
        return self._open

    def seconds_left(self, key: Key) -> float:
        """Tell for how long calls are to be left out; 0 lets this one through."""
        circuit = self._circuits.get(key)
        if circuit is None or circuit.failures < FAILURES_MAX:
            return 0.0
        left = circuit.opened_at + OPEN_SECONDS - self._monotonic()
        if left > 0:
            return left
        if circuit.is_probing:
            return 1.0
        circuit.is_probing = True
        return 0.0

    def succeeded(self, key: Key) -> None:
        """Close the circuit."""
        self._forget(self._circuits.pop(key, None))

    def failed(self, key: Key) -> bool:
        """Count a failure, and tell whether it was the one that opened the circuit.

        A failed probe opens it again.
        """
        circuit = self._circuits.setdefault(key, _Circuit())
        self._circuits.move_to_end(key)
        circuit.failures += 1
        circuit.is_probing = False
        circuit.opened_at = self._monotonic()
        has_opened = circuit.failures == FAILURES_MAX
        self._open += has_opened
        if len(self._circuits) > CIRCUITS_MAX:
            self._forget(self._circuits.popitem(last=False)[1])
        return has_opened

    def abandoned(self, key: Key) -> None:
        """Forget a call that came to no end: it says nothing about the host."""
        circuit = self._circuits.get(key)
        if circuit is not None:
            circuit.is_probing = False

    def _forget(self, circuit: _Circuit | None) -> None:
        if circuit is not None and circuit.failures >= FAILURES_MAX:
            self._open -= 1
