"""Which activation a trigger gets as deployments change."""

from hypothesis import given
from hypothesis import strategies as st

from app.control.activations import Activation, next_activations

RECORDS = st.dictionaries(
    st.text(max_size=20), st.builds(Activation, st.text(max_size=20), st.integers(0, 2**63))
)


def test_new_trigger_starts_after_the_streams_end() -> None:
    assert next_activations({}, {"a": "x"}, 7) == {"a": Activation("x", 7)}


def test_unchanged_trigger_keeps_its_start() -> None:
    before = {"a": Activation("x", 3)}
    assert next_activations(before, {"a": "x"}, 7) == before


def test_changed_pattern_starts_again() -> None:
    assert next_activations({"a": Activation("x", 3)}, {"a": "y"}, 7) == {"a": Activation("y", 7)}


def test_removed_trigger_is_forgotten() -> None:
    assert next_activations({"a": Activation("x", 3)}, {}, 7) == {}


def test_start_beyond_the_streams_end_is_pulled_back() -> None:
    assert next_activations({"a": Activation("x", 9)}, {"a": "x"}, 7) == {"a": Activation("x", 7)}


@given(RECORDS, st.dictionaries(st.text(max_size=5), st.text(max_size=5)), st.integers(0, 2**63))
def test_no_trigger_starts_beyond_the_streams_end(
    before: dict[str, Activation], patterns: dict[str, str], last: int
) -> None:
    after = next_activations(before, patterns, last)
    assert {trigger: activation.pattern for trigger, activation in after.items()} == patterns
    assert all(activation.sequence <= last for activation in after.values())
    assert next_activations(after, patterns, last) == after
