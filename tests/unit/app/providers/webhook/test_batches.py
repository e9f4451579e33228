"""Batches: an outcome for each item, in order, and none for what is no batch."""

import json
from typing import Any

import pytest

from actors.errors import InvalidEventError
from app.errors import MediaTypeError
from app.providers.webhook.batch import ITEMS_MAX, LINES_MAX
from tests.support.webhooks import a_batch, a_door, lines, take_all

ONE = {"event_type": "order.created", "payload": {"n": 2**64}}
MARKS = {"specversion": "1.0", "id": "1", "source": "/s", "type": "order.paid"}
ARRAY = "application/cloudevents-batch+json"


def taken(body: bytes, env: str = "dev", **more: Any) -> list[Any]:
    return take_all(a_door(env), a_batch(body, **more))


@pytest.mark.parametrize(
    "media", ["application/x-ndjson", "application/ndjson", "application/jsonl; charset=utf-8"]
)
def test_each_line_is_an_event(media: str) -> None:
    first, second, third = taken(
        lines(ONE, {**ONE, "id": "d-1"}, {**MARKS, "data": 5}), media=media
    )
    assert (first.event_type, first.source, first.payload) == (
        "order.created", "webhook", {"n": 2**64}
    )  # fmt: skip
    assert first.delivery_id is None
    assert "delivery_id" not in first.metadata
    assert second.delivery_id == second.metadata["delivery_id"] == "d-1"
    assert (third.event_type, third.source, third.payload) == ("order.paid", "/s", 5)
    assert third.delivery_id == '["/s","1"]'
    assert third.metadata["cloudevent"] == MARKS


def test_items_share_what_the_request_says_but_not_its_delivery_id() -> None:
    headers = {"idempotency-key": "k", "traceparent": "00-a-b-01", "x-note": "n"}
    for event in taken(lines(ONE, MARKS), headers=headers):
        assert event.metadata["provider"] == "events-webhook"
        assert event.metadata["traceparent"] == "00-a-b-01"
        assert event.metadata["headers"]["x-note"] == "n"
        assert event.delivery_id != "k"


@pytest.mark.parametrize("media", [ARRAY, "application/cloudevents+batch+json"])
def test_each_element_of_a_cloudevents_batch_is_an_event(media: str) -> None:
    one, two = taken(json.dumps([MARKS, {**MARKS, "id": "2"}]).encode(), media=media)
    assert (one.delivery_id, two.delivery_id) == ('["/s","1"]', '["/s","2"]')
    assert one.event_type == two.event_type == "order.paid"


def test_type_of_an_item_is_its_own_in_prod_too() -> None:
    door = a_door("prod", secret_header="x-sig", secret_key="s")
    (event,) = door.receive(a_batch(lines(MARKS)), "secret_header").events
    assert not isinstance(event, InvalidEventError)
    assert (event.event_type, event.metadata["signature"]) == ("order.paid", "secret_header")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "payload: the body is not JSON"),
        ("[" * 70 + "]" * 70, "nests deeper"),
        ("1", "event: must be a JSON object"),
        ('{"payload":1}', "event_type: must be a string"),
        ('{"event_type":5,"payload":1}', "event_type: must be a string"),
        ('{"event_type":"a"}', "payload: is missing"),
        ('{"event_type":"A","payload":1}', "lower-case tokens"),
        ('{"event_type":"timer.a","payload":1}', "its own provider"),
        ('{"event_type":"a.result","payload":1}', "must not end in"),
        ('{"event_type":"a","payload":1,"source":"x"}', "has more than event_type, payload and id"),
        ('{"event_type":"a","payload":1,"id":""}', "id: must be printable"),
        ('{"event_type":"a","payload":1,"id":5}', "id: must be printable"),
        ('{"event_type":"a","payload":1,"id":"\u00e9"}', "id: must be printable"),
        (f'{{"event_type":"a","payload":1,"id":"{"x" * 257}"}}', "id: must be printable"),
        ('{"specversion":"1.0"}', "id: is missing"),
        ('{"specversion":"1.0","id":"1","source":"s","type":"email.x"}', "its own provider"),
        ('{"specversion":"0.3","id":"1","source":"s","type":"a"}', "specversion: is not supported"),
    ],
)
def test_bad_line_is_told_at_its_place_and_stops_no_other(line: str, words: str) -> None:
    before, error, after = taken(lines(ONE) + b"\n" + line.encode() + b"\r\n" + lines(ONE))
    assert isinstance(error, InvalidEventError)
    assert str(error).startswith("line 3: ")
    assert words in str(error)
    assert before.payload == after.payload == ONE["payload"]


def test_bad_element_is_told_at_its_place() -> None:
    one, error, two = taken(json.dumps([MARKS, {"id": "1"}, MARKS]).encode(), media=ARRAY)
    assert str(error).startswith("item 2: specversion: is missing")
    assert one.payload is two.payload is None


@pytest.mark.parametrize("body", [b"", b"\n", b" \r\n\t\n", b"\n" * (LINES_MAX - 1)])
def test_empty_lines_are_passed_over(body: bytes) -> None:
    assert taken(body) == []
    assert len(taken(body[:100] + lines(ONE)[:-1])) == 1


def test_empty_array_is_a_batch_of_none() -> None:
    assert taken(b"[]", media=ARRAY) == []


def test_batch_may_have_so_many_items() -> None:
    line = lines({"event_type": "a", "payload": 1})
    assert len(taken(line * ITEMS_MAX + b"\n\n")) == ITEMS_MAX
    with pytest.raises(InvalidEventError, match="has 1001 items"):
        taken(line * (ITEMS_MAX + 1))
    with pytest.raises(InvalidEventError, match="has 1001 items"):
        taken(b"[" + b",".join([b"1"] * (ITEMS_MAX + 1)) + b"]", media=ARRAY)
    with pytest.raises(InvalidEventError, match="more than 10000 lines"):
        taken(b"\n" * LINES_MAX)


@pytest.mark.parametrize("body", [b"{}", b"", b"1", b"[", json.dumps(MARKS).encode()])
def test_cloudevents_batch_must_be_an_array(body: bytes) -> None:
    with pytest.raises(InvalidEventError):
        taken(body, media=ARRAY)


@pytest.mark.parametrize(
    "media",
    ["application/json", "application/cloudevents+json", "text/plain", "multipart/form-data",
     "application/x-www-form-urlencoded", ""],
)  # fmt: skip
def test_other_media_types_are_refused_with_what_to_send(media: str) -> None:
    with pytest.raises(MediaTypeError, match="send application/x-ndjson or"):
        taken(b"[]", media=media)
    with pytest.raises(MediaTypeError, match="charset"):
        taken(b"[]", media="application/x-ndjson; charset=utf-16")
