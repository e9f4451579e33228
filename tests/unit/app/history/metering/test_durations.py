"""How long runs took: every duration has a bucket, every percentile is near enough."""

import math

from hypothesis import given
from hypothesis import strategies as st

from app.history.metering.durations import (
    BOUNDS_MS,
    DURATION_MS_MAX,
    RELATIVE_ERROR,
    bucket_of,
    middle_of,
    percentile,
)

A_DURATION = st.one_of(st.integers(0, 100), st.integers(0, 10**6), st.integers(0, DURATION_MS_MAX))


def test_bounds_grow_and_are_few() -> None:
    assert list(BOUNDS_MS) == sorted(set(BOUNDS_MS))
    assert BOUNDS_MS[-1] >= DURATION_MS_MAX
    assert len(BOUNDS_MS) < 550


@given(A_DURATION)
def test_what_stands_for_a_bucket_is_near_all_in_it(duration_ms: int) -> None:
    middle = middle_of(bucket_of(duration_ms))
    assert abs(middle - duration_ms) <= RELATIVE_ERROR * duration_ms


@given(st.integers(0, 20))
def test_short_durations_are_exact(duration_ms: int) -> None:
    assert middle_of(bucket_of(duration_ms)) == duration_ms


@given(st.lists(A_DURATION, min_size=1, max_size=60), st.sampled_from([1, 500, 950, 990, 1000]))
def test_a_percentile_is_near_the_one_of_the_sorted_list(
    durations: list[int], per_mille: int
) -> None:
    counts: dict[int, int] = {}
    for each in durations:
        counts[bucket_of(each)] = counts.get(bucket_of(each), 0) + 1
    exact = sorted(durations)[max(1, math.ceil(len(durations) * per_mille / 1000)) - 1]
    found = percentile(counts, per_mille)
    assert found is not None
    assert abs(found - exact) <= RELATIVE_ERROR * exact


def test_no_runs_have_no_percentile() -> None:
    assert percentile({}, 500) is None


def test_what_is_out_of_bounds_is_in_the_first_or_the_last_bucket() -> None:
    assert bucket_of(-5) == 0
    assert bucket_of(1 << 70) == bucket_of(DURATION_MS_MAX) == len(BOUNDS_MS) - 1
