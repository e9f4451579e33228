"""Bytes between two places of a stream, learnt from looks at its ends."""

from hypothesis import given
from hypothesis import strategies as st

from app.bus.stream_sizes import POINTS_MAX, StreamSizes


def test_stream_never_looked_at_has_nothing() -> None:
    assert StreamSizes().between(0, 10) == 0


def test_first_look_gives_the_average() -> None:
    sizes = StreamSizes()
    sizes.look(1, 100, 5000)
    assert sizes.between(50, 100) == 2500


def test_large_events_behind_small_ones_are_seen() -> None:
    sizes = StreamSizes()
    sizes.look(1, 1_000_000, 100_000_000)
    sizes.look(1, 1_000_300, 400_000_000)
    assert sizes.between(1_000_000, 1_000_300) == 300_000_000


def test_what_the_stream_let_go_is_not_taken_for_a_smaller_stream() -> None:
    sizes = StreamSizes()
    sizes.look(1, 100, 1000)
    sizes.look(51, 150, 1500)
    assert sizes.between(100, 150) == 1000
    assert sizes.between(50, 150) == 1500


def test_stream_made_anew_is_begun_anew() -> None:
    sizes = StreamSizes()
    sizes.look(1, 1000, 1_000_000)
    sizes.look(1, 10, 50)
    assert sizes.between(0, 10) == 50


def test_empty_stream_is_no_error() -> None:
    sizes = StreamSizes()
    sizes.look(0, 0, 0)
    sizes.look(1, 4, 400)
    assert sizes.between(0, 4) == 400


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 1000)), min_size=1, max_size=300),
    st.data(),
)
def test_stretches_between_looks_are_exact_whatever_was_let_go(
    batches: list[tuple[int, int]], data: st.DataObject
) -> None:
    """A model: messages with sizes, looked at after each batch; the oldest may go."""
    sizes = StreamSizes()
    stored: list[int] = []
    first, ends = 1, [0]
    for count, size in batches:
        stored += [size] * count
        first = data.draw(st.integers(first, len(stored)), label="first") if count > 40 else first
        sizes.look(first, len(stored), sum(stored[first - 1 :]))
        ends.append(len(stored))
    recent = ends[-min(len(ends), POINTS_MAX // 2) :]
    after = data.draw(st.sampled_from(recent), label="after")
    if first == 1:
        assert abs(sizes.between(after, len(stored)) - sum(stored[after:])) < 0.01
    assert 0 <= sizes.between(after, len(stored)) <= sum(stored) * 1.01
