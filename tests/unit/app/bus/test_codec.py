"""JSON is exact both ways, and what JSON cannot say is refused and never rewritten."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import InvalidEventError
from actors.events import JSON_DEPTH_MAX, Event
from app.bus.codec import (
    DOCUMENT_DEPTH_MAX,
    EVENT_BYTES_MAX,
    decode_event,
    decode_json,
    encode_event,
    encode_json,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab"), inner, max_size=4),
    max_leaves=20,
)


def an_event(payload: Any = None, **fields: Any) -> Event:
    return Event("e1", "order.created", "webhook", 1, payload, **fields)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@given(JSON)
def test_value_comes_back_as_it_went(value: Any) -> None:
    assert decode_json(encode_json(value, "v"), "v") == value


@given(JSON)
def test_event_comes_back_as_it_went(payload: Any) -> None:
    event = an_event(payload, metadata={"headers": {"a": "b"}})
    assert decode_event(encode_event(event)) == event


@pytest.mark.parametrize("number", [2**53 + 1, 2**64, -(2**63) - 1, 10**300])
def test_integers_stay_exact(number: int) -> None:
    read = decode_json(encode_json([number], "v"), "v")
    assert read == [number]
    assert type(read[0]) is int


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [None, v], lambda v: {"a": ({"b": v},)}])
def test_number_that_json_lacks_is_refused(value: float, wrap: Any) -> None:
    with pytest.raises(InvalidEventError, match="NaN"):
        encode_json(wrap(value), "v")


def test_known_nulls_do_not_hide_a_nan() -> None:
    assert encode_json([None, None], "v", nulls=2) == b"[null,null]"
    with pytest.raises(InvalidEventError, match="NaN"):
        encode_json([None, math.nan], "v", nulls=1)


def test_nulls_and_the_word_null_are_no_nan() -> None:
    assert encode_json({"a": None, "b": "null", "c": [1.5]}, "v")


def test_half_a_character_is_refused_both_ways() -> None:
    with pytest.raises(InvalidEventError, match="half a character"):
        encode_json(["\ud800"], "v")
    with pytest.raises(InvalidEventError):
        decode_json(b'["\\ud800"]', "v")


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"NaN", b"[Infinity]", b"[1e999]", b"\xff", b'"\xff"', b"'a'", b"{} x", b"[01]"],
)
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidEventError, match="v:"):
        decode_json(data, "v")


def test_absurdly_long_number_is_refused_or_exact() -> None:
    with pytest.raises(InvalidEventError):
        decode_json(b"9" * 5000, "v")


@pytest.mark.parametrize("value", [object(), {1j: 2}, [2j]])
def test_value_of_a_foreign_type_is_refused(value: Any) -> None:
    with pytest.raises(InvalidEventError):
        encode_json(value, "v")


def test_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(InvalidEventError, match="nests deeper"):
        encode_json(loop, "v")


def test_depth_is_exact_at_its_limit() -> None:
    assert decode_json(encode_json(nested(DOCUMENT_DEPTH_MAX), "v"), "v")
    with pytest.raises(InvalidEventError, match="nests deeper"):
        encode_json(nested(DOCUMENT_DEPTH_MAX + 1), "v")
    with pytest.raises(InvalidEventError, match="nests deeper"):
        decode_json(b"[" * (DOCUMENT_DEPTH_MAX + 1) + b"]" * (DOCUMENT_DEPTH_MAX + 1), "v")


def test_many_shallow_brackets_are_not_deep() -> None:
    assert decode_json(b"[" + b",".join([b"[]"] * 500) + b"]", "v") == [[]] * 500
    assert decode_json(b'"' + b"[" * 500 + b'"', "v") == "[" * 500


def test_bottomless_document_is_refused() -> None:
    with pytest.raises(InvalidEventError, match="nests deeper"):
        decode_json(b"[" * 100_000, "v")


def test_payload_of_full_depth_travels_and_one_level_more_does_not() -> None:
    event = an_event(nested(JSON_DEPTH_MAX))
    assert decode_event(encode_event(event)) == event
    with pytest.raises(InvalidEventError, match="nests deeper"):
        encode_event(an_event(nested(JSON_DEPTH_MAX + 1)))


def test_event_of_full_size_travels_and_one_byte_more_does_not() -> None:
    empty = len(encode_event(an_event("")))
    assert encode_event(an_event("x" * (EVENT_BYTES_MAX - empty)))
    with pytest.raises(InvalidEventError, match="larger"):
        encode_event(an_event("x" * (EVENT_BYTES_MAX - empty + 1)))


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"[]", "event"),
        (b'{"id":"e","event_type":"a","source":"s","timestamp":1.5,"payload":1}', "timestamp"),
        (b'{"id":"e","event_type":"A","source":"s","timestamp":1,"payload":1}', "event_type"),
        (b'{"id":"e","event_type":"a","source":"s","timestamp":1}', "payload"),
        (b'{"id":"e","event_type":"a","source":"s","timestamp":1,"payload":1,"x":1}', "x"),
    ],
)
def test_document_that_is_no_event_names_its_field(data: bytes, field: str) -> None:
    with pytest.raises(InvalidEventError) as refused:
        decode_event(data)
    assert refused.value.field == field
