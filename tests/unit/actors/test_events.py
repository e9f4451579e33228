"""Events: six fields in, six fields out, and a refusal that names what is wrong."""

from typing import Any

import pytest

from actors.errors import InvalidEventError
from actors.events import (
    EVENT_ID_CHARS_MAX,
    EVENT_TYPE_BYTES_MAX,
    JSON_DEPTH_MAX,
    SOURCE_CHARS_MAX,
    check_event_type,
    is_reserved,
    json_depth_exceeds,
    parse_event,
)


def document(**fields: Any) -> dict[str, Any]:
    """A right one; a field given as ``...`` is left out."""
    right = {
        "id": "evt-1",
        "event_type": "order.created",
        "source": "webhook",
        "timestamp": 1_700_000_000_000,
        "payload": {"total": 2**60},
        **fields,
    }
    return {name: value for name, value in right.items() if value is not ...}


def refusal(found: object) -> str:
    with pytest.raises(InvalidEventError) as caught:
        parse_event(found)
    assert str(caught.value).startswith(caught.value.field + ": ")
    return caught.value.field


@pytest.mark.parametrize("payload", [None, 0, 2**64, "x", [], {"a": [1, {"b": None}]}])
def test_a_right_document_becomes_an_event_and_back(payload: Any) -> None:
    given = document(payload=payload, metadata={"headers": {"a": "b"}})
    assert parse_event(given).as_mapping() == given


@pytest.mark.parametrize("metadata", [..., None])
def test_absent_metadata_is_left_out(metadata: Any) -> None:
    event = parse_event(document(metadata=metadata))
    assert event.metadata is None
    assert event.as_mapping() == document()


@pytest.mark.parametrize("found", [None, [], "event", 7])
def test_what_is_no_object_is_no_event(found: object) -> None:
    assert refusal(found) == "event"


@pytest.mark.parametrize("field", ["id", "event_type", "source", "timestamp", "payload"])
def test_every_field_but_metadata_must_be_there(field: str) -> None:
    assert refusal(document(**{field: ...})) == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""), ("id", 7), ("id", None), ("id", "with blank"), ("id", "é"), ("id", "a\n"),
        ("id", "x" * (EVENT_ID_CHARS_MAX + 1)),
        ("event_type", ""), ("event_type", 7), ("event_type", "Order.Created"),
        ("event_type", "\ud800"), ("event_type", "order.created.result"),
        ("event_type", "x" * (EVENT_TYPE_BYTES_MAX + 1)),
        ("source", ""), ("source", None), ("source", "\udfff"), ("source", ["webhook"]),
        ("source", "x" * (SOURCE_CHARS_MAX + 1)),
        ("timestamp", -1), ("timestamp", 1.5), ("timestamp", True), ("timestamp", "1"),
        ("timestamp", 2**63), ("timestamp", None),
        ("metadata", []), ("metadata", "x"), ("metadata", 0),
    ],
)  # fmt: skip
def test_a_value_that_breaks_a_rule_is_refused_by_its_field(field: str, value: Any) -> None:
    assert refusal(document(**{field: value})) == field


def test_a_misspelt_field_does_not_vanish() -> None:
    assert refusal(document(metdata={})) == "metdata"
    strange: dict[Any, Any] = {**document(), 7: 1, "8": 2}
    assert refusal(strange) == "7"


@pytest.mark.parametrize(
    "event_type",
    ["a", "order.created", "a.b.c.d.e.f.g.h", "x-1_y.z", "result.created", "x" * 128],
)
def test_dotted_lower_case_tokens_are_event_types(event_type: str) -> None:
    check_event_type(event_type)


@pytest.mark.parametrize(
    ("event_type", "why"),
    [
        ("", "dotted lower-case"), (".", "dotted"), ("a.", "dotted"), (".a", "dotted"),
        ("a..b", "dotted"), ("A", "dotted"), ("a b", "dotted"), ("a.*", "dotted"),
        ("a.>", "dotted"), ("a\n", "dotted"), ("é", "dotted"), ("a/b", "dotted"),
        ("a.b.c.d.e.f.g.h.i", "more than 8 tokens"), ("x" * 129, "longer than 128"),
        ("result", "must not end in '.result'"), ("a.result", "must not end in '.result'"),
    ],
)  # fmt: skip
def test_other_names_are_no_event_types(event_type: str, why: str) -> None:
    with pytest.raises(InvalidEventError, match=why):
        check_event_type(event_type)


def test_some_types_belong_to_their_provider() -> None:
    assert all(map(is_reserved, ("timer.orders.1", "email.bounced", "twilio.sms.incoming")))
    assert not any(map(is_reserved, ("timer", "order.timer.1", "emails.x")))


@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: {"a": x}, lambda x: [0, {"b": x}]])
def test_depth_counts_containers_and_does_not_recurse(wrap: Any) -> None:
    def nested(times: int) -> Any:
        value: Any = 1
        for _ in range(times):
            value = wrap(value)
        return value

    per_wrap = 1 if wrap(1) in ([1], {"a": 1}) else 2
    fits = JSON_DEPTH_MAX // per_wrap
    assert not json_depth_exceeds(nested(fits))
    assert json_depth_exceeds(nested(fits + 1))
    assert json_depth_exceeds(nested(100_000 // per_wrap))


def test_scalars_have_no_depth_and_empty_containers_have_one() -> None:
    assert not json_depth_exceeds("x", 1)
    assert not json_depth_exceeds([], 1)
    assert json_depth_exceeds([{}], 1)
