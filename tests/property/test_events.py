"""Events: reading is the inverse of writing, and nothing else than an event is ever read."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors.errors import InvalidEventError
from actors.events import Event, json_depth_exceeds, parse_event

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
TOKENS = st.from_regex(r"[a-z0-9_-]{1,12}", fullmatch=True)
TYPES = (
    st.lists(TOKENS, min_size=1, max_size=8)
    .filter(lambda tokens: tokens[-1] != "result")
    .map(".".join)
)
EVENTS = st.builds(
    Event,
    id=st.from_regex(r"[\x21-\x7e]{1,128}", fullmatch=True),
    event_type=TYPES,
    source=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
    timestamp=st.integers(0, 2**63 - 1),
    payload=JSON,
    metadata=st.none() | st.dictionaries(st.text(), JSON, max_size=3),
)
FIELDS = st.sampled_from(["id", "event_type", "source", "timestamp", "payload", "metadata", "x"])


@given(EVENTS)
def test_an_event_read_back_is_the_same(event: Event) -> None:
    assert parse_event(event.as_mapping()) == event


@given(EVENTS, st.dictionaries(FIELDS, JSON, max_size=3), st.sets(FIELDS, max_size=2))
def test_a_changed_document_is_an_event_or_names_a_field(
    event: Event, changes: dict[str, Any], missing: set[str]
) -> None:
    document = {**event.as_mapping(), **changes}
    for field in missing:
        document.pop(field, None)
    try:
        read = parse_event(document)
    except InvalidEventError as error:
        assert error.field in {*document, *missing}  # noqa: PT017 - a refusal is allowed
    else:
        document = {
            name: value
            for name, value in document.items()
            if value is not None or name == "payload"
        }
        assert read.as_mapping() == document


def depth(value: Any) -> int:
    if not isinstance(value, dict | list):
        return 0
    children = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth, children), default=0)


@given(JSON, st.integers(1, 6))
def test_depth_is_the_longest_way_through_containers(value: Any, depth_max: int) -> None:
    assert json_depth_exceeds(value, depth_max) == (depth(value) > depth_max)
