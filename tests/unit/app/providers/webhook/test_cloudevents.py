"""CloudEvents in binary and structured mode, and what they are as events."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.http import (
    HTTPMessage,
    from_http_event,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.v1.event import CloudEvent

from actors.errors import InvalidEventError
from actors.ports import NormalizedEvent
from app.errors import MediaTypeError
from tests.support.webhooks import a_door, a_request, take

STRUCTURED = "application/cloudevents+json"
MARKS = {"specversion": "1.0", "id": "1", "source": "/s", "type": "order.created"}
SIGNED = {"orders": {"algorithm": "sha256", "header": "x-sig", "secret": "s"}}


def structured(env: str = "dev", event_type: str = "order.created", **more: Any) -> NormalizedEvent:
    document = {key: value for key, value in {**MARKS, **more}.items() if value is not ...}
    request = a_request(json.dumps(document).encode(), event_type, media=STRUCTURED)
    return take(a_door(env, allow_unsigned=True), request)


def binary(
    body: bytes = b"{}", media: str = "application/json", env: str = "dev", **more: Any
) -> NormalizedEvent:
    attributes = {key: value for key, value in {**MARKS, **more}.items() if value is not ...}
    headers = {f"ce-{name}": value for name, value in attributes.items()}
    request = a_request(body, media=media, headers=headers)
    return take(a_door(env, allow_unsigned=True), request)


BOTH: tuple[Any, ...] = (structured, binary)


# ── What an event of one is ──────────────────────────────────────────────────────────────────


def test_structured_mode() -> None:
    event = structured(
        data={"n": 2**63 + 1}, time="2018-04-05T03:56:24Z", subject="x", tries=3, urgent=True
    )
    assert event.payload == {"n": 2**63 + 1}
    assert (event.event_type, event.source) == ("order.created", "/s")
    assert event.metadata["cloudevent"] == {
        **MARKS, "time": "2018-04-05T03:56:24Z", "subject": "x", "tries": 3, "urgent": True
    }  # fmt: skip
    assert event.delivery_id == event.metadata["delivery_id"] == '["/s","1"]'


def test_binary_mode() -> None:
    event = binary(b'{"n": 9223372036854775809}', time="2018-04-05T03:56:24Z", tries="3")
    assert event.payload == {"n": 2**63 + 1}
    assert event.source == "/s"
    assert event.metadata["cloudevent"] == {
        **MARKS, "time": "2018-04-05T03:56:24Z", "tries": "3", "datacontenttype": "application/json"
    }  # fmt: skip
    assert event.delivery_id == '["/s","1"]'


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("/a", "b c"), ("/a b", "c")),
        (('/a","b', "c"), ("/a", 'b","c')),
        (("a", "bc"), ("ab", "c")),
    ],
)
def test_two_pairs_of_source_and_id_are_two_deliveries(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    ids = {structured(source=source, id=name).delivery_id for source, name in (one, other)}
    assert len(ids) == 2


def test_trace_of_the_extension_goes_before_that_of_the_request() -> None:
    headers = {"traceparent": "00-request-01"}
    for more, expected in (({"traceparent": "00-event-01"}, "00-event-01"), ({}, "00-request-01")):
        body = json.dumps({**MARKS, **more}).encode()
        event = take(a_door(), a_request(body, media=STRUCTURED, headers=headers))
        assert event.metadata["traceparent"] == expected
    assert "traceparent" not in structured(traceparent="é").metadata


def test_correlation_id_of_the_extension_goes_before_that_of_the_request() -> None:
    headers = {"x-correlation-id": "of-the-request"}
    wide = {"correlationid": "ä" * 65}
    for more, expected in (
        ({"correlationid": "Bestellung ä"}, "Bestellung ä"),
        ({}, "of-the-request"),
        (wide, "of-the-request"),
    ):
        body = json.dumps({**MARKS, **more}).encode()
        event = take(a_door(), a_request(body, media=STRUCTURED, headers=headers))
        assert event.metadata["correlation_id"] == expected
    assert "correlation_id" not in structured(correlationid=7).metadata


def test_extension_named_like_a_credential_is_left_out() -> None:
    assert "authtoken" not in structured(authtoken="hunter2").metadata["cloudevent"]
    event = binary(authtoken="hunter2")
    assert "hunter2" not in json.dumps(event.metadata)


# ── Data ─────────────────────────────────────────────────────────────────────────────────────

PNG = b"\x89PNG\r\n\xff"
BASE64 = base64.b64encode(PNG).decode()


@pytest.mark.parametrize(
    ("media", "body", "payload"),
    [
        ("application/json", b"[1]", [1]),
        ("application/vnd.x+json", b'"x"', "x"),
        ("text/json", b"1", 1),
        ("", b'{"a":1}', {"a": 1}),
        ("text/plain", "é".encode(), "é"),
        ("text/csv; charset=utf-8", b"a,b", "a,b"),
        ("application/xml; charset=utf-8", b"<a/>", "<a/>"),
        ("application/xml", b"<a/>", {"data_base64": "PGEvPg=="}),
        ("text/plain; charset=utf-16", PNG, {"data_base64": BASE64}),
        ("image/png", PNG, {"data_base64": BASE64}),
        ("application/x-www-form-urlencoded", b"a=1", {"data_base64": "YT0x"}),
        ("application/json", b"", None),
        ("image/png", b"", None),
    ],
)
def test_data_is_read_by_its_media_type_in_both_modes(
    media: str, body: bytes, payload: Any
) -> None:
    assert binary(body, media).payload == payload
    encoded = base64.b64encode(body).decode()
    event = structured(data_base64=encoded, datacontenttype=media or ...)
    assert event.payload == (payload if media else {"data_base64": encoded})


@pytest.mark.parametrize(
    ("more", "payload"),
    [
        ({}, None),
        ({"data": None}, None),
        ({"data": "<a/>", "datacontenttype": "application/xml"}, "<a/>"),
        ({"data": "text"}, "text"),
        ({"data": {"a": 1}, "datacontenttype": "text/plain"}, {"a": 1}),
        ({"data": 1, "data_base64": None}, 1),
    ],
)
def test_data_that_stands_in_the_document_is_taken_as_it_is(
    more: dict[str, Any], payload: Any
) -> None:
    assert structured(**more).payload == payload


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"data": 1, "data_base64": "AA=="}, "exclude each other"),
        ({"data_base64": "A"}, "no base64"),
        ({"data_base64": "A A="}, "no base64"),
        ({"data_base64": 5}, "must be a string"),
        ({"data_base64": "ew==", "datacontenttype": "application/json"}, "is not JSON"),
        ({"data_base64": "/w==", "datacontenttype": "text/plain"}, "not UTF-8"),
    ],
)
def test_data_that_cannot_be_read_is_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidEventError, match=words):
        structured(**more)


# ── Attributes ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["id", "source", "type", "specversion"])
def test_required_attribute_that_is_missing_is_named(name: str) -> None:
    absent: Any = {name: ...}
    empty: Any = {name: ""}
    null: Any = {name: None}
    for make in BOTH:
        with pytest.raises(InvalidEventError, match=f"^{name}: is missing"):
            make(**absent)
        with pytest.raises(InvalidEventError, match=f"^{name}: "):
            make(**empty)
    with pytest.raises(InvalidEventError, match=f"^{name}: is missing"):
        structured(**null)


@pytest.mark.parametrize("version", ["0.3", "1.1", "1", "1.0, 1.0"])
def test_other_versions_are_refused(version: str) -> None:
    for make in BOTH:
        with pytest.raises(InvalidEventError, match="specversion: is not supported"):
            make(specversion=version)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("id", 5, "id: must be a string"),
        ("time", True, "time: must be a string"),
        ("subject", "", "subject: must not be empty"),
        ("subject", "a\x00", "control characters"),
        ("subject", "\x85", "control characters"),
        ("subject", "\ufffe", "no Unicode"),
        ("subject", "\U0001ffff", "no Unicode"),
        ("subject", "x" * 4097, "longer than 4096"),
        ("source", "x" * 513, "source: is longer than 512"),
        ("ext", {"a": 1}, "ext: must be a string, a whole number"),
        ("ext", [1], "ext: must be a string, a whole number"),
        ("ext", 1.5, "ext: must be a string, a whole number"),
        ("ext", 2**31, "beyond 32 bits"),
        ("ext", -(2**31) - 1, "beyond 32 bits"),
        ("ext_x", "1", "lower-case letters and digits"),
        ("Ext", "1", "lower-case letters and digits"),
        ("", "1", "lower-case letters and digits"),
        ("e" * 65, "1", "lower-case letters and digits"),
    ],
)
def test_attribute_that_breaks_a_rule_is_refused(name: str, value: Any, words: str) -> None:
    with pytest.raises(InvalidEventError, match=words):
        structured(**{name: value})


def test_there_may_be_so_many_attributes() -> None:
    more: Any = {f"x{n}": n for n in range(60)}
    assert len(structured(**more).metadata["cloudevent"]) == 64
    more["x60"] = 60
    with pytest.raises(InvalidEventError, match="more than 64"):
        structured(**more)


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"null"])
def test_document_must_be_an_object(body: bytes) -> None:
    with pytest.raises(InvalidEventError, match="must be a JSON object"):
        take(a_door(), a_request(body, media=STRUCTURED))


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("%2541", "%41"),
        ("a+b", "a+b"),
        ('"a \\"b\\" \\\\ %20"', 'a "b" \\  '),
        ('"', '"'),
        ("100%", "100%"),
        ("%4", "%4"),
        ("é".encode().decode("latin-1"), "é"),
    ],
)
def test_header_is_percent_decoded_once(header: str, value: str) -> None:
    assert binary(subject=header).metadata["cloudevent"]["subject"] == value


@pytest.mark.parametrize(
    "header", ["%C0%A0", "%ED%A0%80", "%FF", "\xe9", "%00", "%7F", '""', "%C2"]
)
def test_header_that_decodes_to_no_text_is_refused(header: str) -> None:
    with pytest.raises(InvalidEventError, match="subject"):
        binary(subject=header)


def test_binary_mode_has_its_media_type_in_one_place() -> None:
    with pytest.raises(InvalidEventError, match="must not be there"):
        binary(datacontenttype="application/json")


@pytest.mark.parametrize("media", ["application/x-ndjson", "application/cloudevents-batch+json"])
def test_binary_mode_is_no_batch(media: str) -> None:
    with pytest.raises(MediaTypeError):
        binary(b"[]", media)


def test_structured_mode_goes_before_the_headers_of_binary_mode() -> None:
    body = json.dumps({**MARKS, "id": "body"}).encode()
    headers = {"ce-specversion": "1.0", "ce-id": "header"}
    event = take(a_door(), a_request(body, media=STRUCTURED, headers=headers))
    assert event.metadata["cloudevent"]["id"] == "body"


# ── The type ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("make", BOTH)
def test_type_of_the_event_counts_but_in_prod(make: Any) -> None:
    assert make(type="com.example.paid").event_type == "com.example.paid"
    with pytest.raises(InvalidEventError, match="not the event type of the URL"):
        make(env="prod", type="com.example.paid")
    assert make(env="prod").event_type == "order.created"


@pytest.mark.parametrize(
    "own", ["timer.a", "email.received", "x.result", "Com.Example", "a b", "ü"]
)
@pytest.mark.parametrize("env", ["dev", "prod"])
def test_type_that_is_not_the_senders_to_use_is_refused(env: str, own: str) -> None:
    with pytest.raises(InvalidEventError, match="type"):
        structured(env, type=own)


@pytest.mark.parametrize("event_type", ["timer.a", "x.result", "X"])
def test_url_must_have_a_type_of_its_own_too(event_type: str) -> None:
    with pytest.raises(InvalidEventError, match="event_type"):
        structured(event_type=event_type)


def test_type_with_a_signature_of_its_own_is_posted_to_its_own_url() -> None:
    door = a_door("dev", signatures=SIGNED)
    body = json.dumps({**MARKS, "type": "orders.paid"}).encode()
    with pytest.raises(InvalidEventError, match="signature of its own"):
        take(door, a_request(body, "other.x", media=STRUCTURED))
    (event,) = door.receive(a_request(body, "orders.x", media=STRUCTURED), "orders").events
    assert not isinstance(event, InvalidEventError)
    assert event.event_type == "orders.paid"


def test_signed_id_goes_before_headers_that_nobody_signed() -> None:
    entry = {"algorithm": "standard-webhooks", "secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZg=="}
    door = a_door("prod", signatures={"order": entry})
    headers = {**{f"ce-{name}": value for name, value in MARKS.items()},
               "webhook-id": "msg_1", "webhook-signature": "v1,x"}  # fmt: skip
    (event,) = door.receive(a_request(headers=headers), "order").events
    assert not isinstance(event, InvalidEventError)
    assert event.delivery_id == event.metadata["delivery_id"] == "msg_1"


# ── The official SDK as judge ────────────────────────────────────────────────────────────────

SDK_EVENTS = [
    CloudEvent({"source": "/s", "type": "order.created"}, {"a": [1, None, "ü"], "big": 2**70}),
    CloudEvent({"source": "https://x/?a=1%202", "type": "order.created", "subject": 'é "q" % 😀'}, "1"),
    CloudEvent({"source": "/s", "type": "order.created", "datacontenttype": "text/plain"}, "héllo"),
    CloudEvent({"source": "/s", "type": "order.created", "datacontenttype": "image/png"}, PNG),
    CloudEvent({"source": "/s", "type": "order.created", "datacontenttype": "application/json",
                "time": datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC), "ext1": "a b"}, {"x": {}}),
    CloudEvent({"source": "/s", "type": "order.created"}, None),
]  # fmt: skip


def as_sdk_sees(message: HTTPMessage) -> tuple[dict[str, Any], Any]:
    event = from_http_event(message)
    attributes = dict(event.get_attributes())
    if "time" in attributes:
        attributes["time"] = attributes["time"].isoformat().replace("+00:00", "Z")
    data: Any = event.get_data()
    return attributes, {"data_base64": base64.b64encode(data).decode()} if data == PNG else data


@pytest.mark.parametrize("write", [to_binary_event, to_structured_event])
@pytest.mark.parametrize("sent", SDK_EVENTS, ids=range(len(SDK_EVENTS)))
def test_what_the_sdk_writes_is_read_as_the_sdk_reads_it(write: Any, sent: CloudEvent) -> None:
    message = write(sent)
    headers = {name.lower(): value for name, value in message.headers.items()}
    event = take(a_door(), a_request(message.body, media="", headers=headers))
    attributes, data = as_sdk_sees(message)
    assert event.metadata["cloudevent"] == attributes
    assert event.payload == (data or None)
