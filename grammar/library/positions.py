"""Positions in strings and arrays. In: numbers as scripts give them. Out: legal slices.

Negative positions count from the end; what lies outside is clamped. Refuses nothing.
"""

from __future__ import annotations

from grammar.values import Range


def clamp(position: int, length: int) -> int:
    """Clamp a position to 0 … length."""
    return max(0, length + position) if position < 0 else min(position, length)


def slice_of(length: int, start: int, count: int | None = None) -> tuple[int, int]:
    """Give the first and the last-but-one position of `start` and a count."""
    first = clamp(start, length)
    if count is None:
        return first, length
    return first, first + max(0, min(count, length - first))


def range_of(length: int, span: Range) -> tuple[int, int]:
    """Give the positions of a range."""
    first = clamp(span.first, length)
    last = length + span.last if span.last < 0 else span.last
    last = last + 1 if span.is_inclusive else last
    return first, max(first, min(last, length))
