"""Which events a tail shows: source, correlation, text, and conditions with their limits."""

from typing import Any

import pytest

from app.cli.event_filter import EventFilter, Where
from app.errors import CommandError

PLACE = Where("dev", "demo")


def an_event(payload: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": "e1", "event_type": "order.created", "source": "webhook",
        "timestamp": 1_700_000_000_000, "payload": payload, **more,
    }  # fmt: skip


EVENT = an_event(
    {"total": 120, "name": "Ann Straße", "items": [1, 2]},
    metadata={"correlation_id": "c-1", "headers": {"x-a": "1"}},
)


def test_nothing_asked_for_is_everything() -> None:
    everything = EventFilter(PLACE)
    assert not everything.is_set
    assert everything.wants("what is no event")


@pytest.mark.parametrize(
    ("asked", "is_wanted"),
    [
        ({"source": "webhook"}, True),
        ({"source": "api"}, False),
        ({"correlation": "c-1"}, True),
        ({"correlation": "c-2"}, False),
        ({"grep": "ann strasse"}, True),
        ({"grep": "order.CREATED"}, True),
        ({"grep": "bob"}, False),
        ({"condition": "payload.total > 100"}, True),
        ({"condition": 'total > 100 && event.source == "webhook"'}, True),
        ({"condition": "payload.items.len() == 2"}, True),
        ({"condition": 'headers["x-a"] == "1"'}, True),
        ({"condition": 'tenant_id == "demo" && env == "dev" && now == 1700000000'}, True),
        ({"condition": "payload.total > 200"}, False),
        ({"condition": "payload.nothing > 1"}, False),
        ({"condition": "payload.total > 100", "source": "api"}, False),
    ],
    ids=str,
)  # fmt: skip
def test_events_match_every_part(asked: dict[str, str], is_wanted: bool) -> None:
    wanted = EventFilter(PLACE, **asked)
    assert wanted.is_set
    assert wanted.wants(EVENT) is is_wanted
    assert wanted.unanswered == 0


def test_what_is_no_event_is_not_wanted_where_something_is_asked_for() -> None:
    documents: tuple[Any, ...] = (None, [], {}, {**EVENT, "more": 1})
    for document in documents:
        assert not EventFilter(PLACE, grep="a").wants(document)


def test_a_condition_without_an_answer_leaves_the_event_out_and_is_counted() -> None:
    wanted = EventFilter(PLACE, condition="payload.name.x > 2")
    assert not wanted.wants(EVENT)
    assert not wanted.wants(EVENT)
    assert wanted.wants(an_event({"name": {"x": 3}}))
    assert wanted.unanswered == 2
    assert wanted.first_fault is not None
    assert "position 14" in wanted.first_fault


def test_a_condition_has_limits() -> None:
    text = "payload.map(|x| payload.map(|y| x + y).len()).len() > 0"
    wanted = EventFilter(PLACE, condition=text)
    assert wanted.wants(an_event([1, 2, 3]))
    assert not wanted.wants(an_event(list(range(1000))))
    assert wanted.first_fault is not None
    assert "limit" in wanted.first_fault


@pytest.mark.parametrize("text", ["payload.total >", "1 +* 2", "let x = 1; x > 0", ""])
def test_what_is_no_condition_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(CommandError) as caught:
        EventFilter(PLACE, condition=text)
    assert "--where:1:" in str(caught.value)
    assert "^" in str(caught.value)


def test_a_condition_is_of_bounded_length() -> None:
    with pytest.raises(CommandError, match="4096"):
        EventFilter(PLACE, condition="1" * 5000)
