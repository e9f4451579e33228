"""How long runs took, counted in buckets whose width grows with the duration.

In: durations in whole milliseconds. Out: the number of a bucket; percentiles. Refuses nothing: what
is negative is 0, what is beyond the last bucket is in it.

Bounds are whole numbers made by whole arithmetic: a logarithm is rounded differently by different
machines, and a recount elsewhere has to fall into the same buckets. Up to 20 ms each millisecond
has its own; above, a bucket ends a twentieth above its beginning. The value that stands for a
bucket is at most `RELATIVE_ERROR` from each in it.
"""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

RELATIVE_ERROR: Final = 0.025
"""Of a percentile: 1/41 by the arithmetic below, rounded up."""
DURATION_MS_MAX: Final = 1 << 40
"""34 years: no run takes longer."""


def _bounds() -> tuple[int, ...]:
    bounds = [0]
    while bounds[-1] < DURATION_MS_MAX:
        first = bounds[-1] + 1
        bounds.append((first * 21 - 1) // 20)
    return tuple(bounds)


BOUNDS_MS: Final = _bounds()
"""The largest duration of each bucket; the first one holds 0 alone."""


def bucket_of(duration_ms: int) -> int:
    """Give the bucket of a duration."""
    return bisect_left(BOUNDS_MS, min(max(duration_ms, 0), DURATION_MS_MAX))


def middle_of(bucket: int) -> float:
    """Give the duration that stands for a bucket, in ms: as far from both ends, relatively."""
    last = BOUNDS_MS[bucket]
    first = BOUNDS_MS[bucket - 1] + 1 if bucket else 0
    return float(last) if first == last else 2 * first * last / (first + last)


def percentile(counts: Mapping[int, int], per_mille: int) -> float | None:
    """Give the duration in ms that so many of a thousand runs did not exceed; None: no runs.

    The nearest rank: of 10 runs p99 is the longest.
    """
    total = sum(counts.values())
    if not total:
        return None
    rank = max(1, -(-total * per_mille // 1000))
    seen = 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= rank:
            return middle_of(bucket)
    raise AssertionError("a rank is no larger than the total")
