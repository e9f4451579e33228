"""What one evaluation may use. In: limits. Out: counters, and the text that was printed.

Refuses to go on once a limit is reached: every method that counts raises BudgetExceededError.
Counting is cheap because the operations are handed out in slices; the clock is read once a slice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from grammar.errors import BudgetExceededError

SLICE_OPERATIONS: Final = 2_000
"""Reading the clock costs as much as 50 cheap operations; 2,000 dear ones take 2 ms."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one evaluation, LANGUAGE.md section 11 and SPEC section 13.

    `None` switches a limit off; only trusted callers (the conformance runner) do that.
    """

    operations: int | None = 100_000
    """Statements, expression nodes, calls, loop turns; library work by the size of its input."""
    wall_ms: float | None = 5.0
    """Time on the event loop, milliseconds."""
    call_levels: int = 64
    """Nested calls of script functions and closures, library callbacks included."""
    expression_depth: int = 64
    """Nesting of the text at the top level; a chain `1+1+…` counts as depth, blocks count too."""
    function_expression_depth: int = 32
    """The same inside functions and closures."""
    string_bytes: int | None = 262_144
    """UTF-8 bytes of one string, and of all strings inside one value together."""
    array_elements: int | None = 10_000
    """Array elements of one value, through all levels."""
    map_entries: int | None = 10_000
    """Map entries of one value, through all levels."""
    data_depth: int = 64
    """Nesting of arrays and maps in one value."""
    output_bytes: int | None = 65_536
    """UTF-8 bytes that `print` and `debug` may write, and that a template may render."""
    source_bytes: int = 131_072
    """UTF-8 bytes of a source text."""
    variables: int = 256
    """Variables alive at once in one script."""
    functions: int = 256
    """Functions of one script."""


DEFAULT_LIMITS: Final = Limits()


class Budget:
    """The counters of ONE evaluation. Not for reuse, not for two threads.

    `left` is what remains of the current slice; compiled code subtracts from it in place and
    calls `refill` below zero. Everyone else calls `charge`.
    """

    __slots__ = (
        "_clock",
        "_deadline",
        "_granted",
        "grown",
        "left",
        "limits",
        "output",
        "output_bytes",
        "sizes",
    )

    def __init__(
        self, limits: Limits = DEFAULT_LIMITS, *, clock: Callable[[], float] = time.thread_time
    ) -> None:
        """Start at zero. `clock` counts this thread's CPU seconds.

        A script never waits, so that differs from wall time only while the machine runs
        something else, which is not the script's fault.
        """
        cap = limits.operations
        self.limits = limits
        self.left = self._granted = (
            SLICE_OPERATIONS if cap is None or cap > SLICE_OPERATIONS else cap
        )
        self._clock = clock
        self._deadline: float | None = None
        self.output: list[tuple[str, str]] | None = None
        self.output_bytes = 0
        self.grown = 0
        self.sizes: dict[int, tuple[object, int, int]] | None = None

    @property
    def operations(self) -> int:
        """Operations used so far."""
        return self._granted - self.left

    @property
    def printed(self) -> tuple[str, ...]:
        """What `print` and `debug` wrote, one item a call."""
        return tuple(text for _, text in self.output or ())

    def charge(self, operations: int) -> None:
        """Use operations. Raises BudgetExceededError: limit_operations, limit_time."""
        self.left -= operations
        if self.left < 0:
            self.refill()

    def refill(self) -> None:
        """Open the next slice. Raises BudgetExceededError: limit_operations, limit_time."""
        cap = self.limits.operations
        need = SLICE_OPERATIONS - self.left
        if cap is not None:
            if self._granted - self.left > cap:
                raise BudgetExceededError(
                    f"Too many operations: the limit is {cap}", kind="limit_operations"
                )
            need = min(need, cap - self._granted)
        self._granted += need
        self.left += need
        self._check_clock()

    def emit(self, text: str, channel: str = "print") -> None:
        """Collect what `print` or `debug` wrote. Raises BudgetExceededError: limit_output."""
        self.count_output(text)
        if self.output is None:
            self.output = []
        self.output.append((channel, text))

    def count_output(self, text: str) -> None:
        """Count text against the output limit without keeping it (a template keeps its own)."""
        self.output_bytes += utf8_bytes(text) + 1
        cap = self.limits.output_bytes
        if cap is not None and self.output_bytes > cap:
            raise BudgetExceededError(
                f"Too much output: the limit is {cap} bytes", kind="limit_output"
            )
        self.charge(1 + len(text) // 64)

    def _check_clock(self) -> None:
        if self.limits.wall_ms is None:
            return
        now = self._clock()
        if self._deadline is None:
            self._deadline = now + self.limits.wall_ms / 1_000
        elif now > self._deadline:
            raise BudgetExceededError(
                f"Took too long: the limit is {self.limits.wall_ms:g} ms", kind="limit_time"
            )


def utf8_bytes(text: str) -> int:
    """Return the length of a text in UTF-8 bytes, without encoding it when it is ASCII."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
