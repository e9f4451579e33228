"""Which bodies are read, and what becomes of JSON and forms."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from actors.errors import InvalidEventError
from app.errors import MediaTypeError
from app.providers.webhook.bodies import FORM_FIELDS_MAX
from tests.support.webhooks import a_batch, a_door, a_request, take

FORM = "application/x-www-form-urlencoded"


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────


def test_event_of_a_request() -> None:
    request = a_request(headers={"user-agent": "x", "traceparent": "00-a-b-01"}, query={"a": "1"})
    event = take(a_door(), request)
    assert (event.event_type, event.source, event.payload) == ("order.created", "webhook", {"a": 1})
    assert event.metadata == {
        "headers": {
            "content-type": "application/json",
            "user-agent": "x",
            "traceparent": "00-a-b-01",
        },
        "query": {"a": "1"},
        "provider": "events-webhook",
        "traceparent": "00-a-b-01",
    }
    assert event.delivery_id is None


def test_one_event_is_no_batch_and_has_no_answer_of_its_own() -> None:
    door = a_door()
    inbound = door.receive(a_request(), None)
    assert (inbound.is_batch, inbound.answer, inbound.blobs) == (False, None, ())
    assert door.answer("event", None) is None


@pytest.mark.parametrize(
    "media",
    ["application/json", "Application/JSON ; charset=UTF-8", 'application/json; charset="utf-8"',
     "application/json;x=1;charset=us-ascii", "application/vnd.api+json", "application/scim+json"],
)  # fmt: skip
def test_json_has_several_names(media: str) -> None:
    assert take(a_door(), a_request(media=media)).payload == {"a": 1}


@pytest.mark.parametrize(
    ("media", "words"),
    [
        ("", "Content-Type is missing"),
        ("text/plain", "not supported; send application/json"),
        ("text/json", "not supported"),
        ("application/xml", "not supported"),
        ("multipart/form-data; boundary=x", "not supported"),
        ("application/json; charset=utf-16", "charset is not utf-8"),
        ("application/json; charset=latin1; charset=utf-8", "charset is not utf-8"),
        (f"{FORM}; charset=iso-8859-1", "charset is not utf-8"),
        ("application/cloudevents+xml", "JSON format"),
        ("application/cloudevents", "JSON format"),
        ("application/x-ndjson", "does not take JSON lines"),
        ("application/cloudevents-batch+json", "does not take a batch"),
        ("+json", "not supported"),
        ("; charset=utf-8", "not supported"),
    ],
)
def test_other_media_types_are_refused_with_what_to_send(media: str, words: str) -> None:
    with pytest.raises(MediaTypeError, match=words):
        take(a_door(), a_request(media=media))


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "x"])
def test_compressed_bodies_are_refused(coding: str) -> None:
    for request in (
        a_request(headers={"content-encoding": coding}),
        a_batch(b"", headers={"content-encoding": coding}),
    ):
        with pytest.raises(MediaTypeError, match="uncompressed"):
            a_door().receive(request, None)


@pytest.mark.parametrize("coding", ["identity", "Identity", " ", ""])
def test_identity_is_no_coding(coding: str) -> None:
    assert take(a_door(), a_request(headers={"content-encoding": coding})).payload == {"a": 1}


@pytest.mark.parametrize("number", [2**53 + 1, -(2**63) - 1, 2**64, 10**40])
def test_integers_stay_exact(number: int) -> None:
    assert take(a_door(), a_request(str(number).encode())).payload == number


def test_deep_document_is_refused_and_a_wide_one_is_not() -> None:
    with pytest.raises(InvalidEventError, match="deeper"):
        take(a_door(), a_request(b"[" * 70 + b"1" + b"]" * 70))
    wide = b"[" + b",".join([b"[]"] * 1000) + b"]"
    assert len(take(a_door(), a_request(wide)).payload) == 1000


@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b"\xff", b'{"a":1}{"b":2}', b"\xef\xbb\xbf1"])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidEventError, match="payload"):
        take(a_door(), a_request(body))


@pytest.mark.parametrize(
    "event_type", ["timer.x", "email.received", "twilio.sms.incoming", "a.result", "A", "a..b", ""]
)
def test_types_that_are_not_ours_to_take_are_refused(event_type: str) -> None:
    for media, body in (("application/json", b"1"), (FORM, b"a=1")):
        with pytest.raises(InvalidEventError, match="event_type"):
            take(a_door(), a_request(body, event_type, media=media))


@pytest.mark.parametrize(
    "name",
    ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key",
     "x-auth-token", "x-gitlab-token", "x-amz-security-token", "x-goog-iap-jwt-assertion",
     "x-csrf-token", "x-forwarded-client-cert", "x-telegram-bot-api-secret-token", "x-our-sig",
     "stripe-signature"],
)  # fmt: skip
def test_header_that_carries_credentials_never_reaches_the_event(name: str) -> None:
    stripe = {"stripe": {"algorithm": "stripe", "secret": "s"}}
    door = a_door(secret_header="X-Our-Sig", secret_key="s", signatures=stripe)
    request = a_request(headers={name: "hunter2", "x-github-event": "push"})
    (event,) = door.receive(request, None).events
    assert not isinstance(event, InvalidEventError)
    assert event.metadata["headers"] == {
        "content-type": "application/json",
        "x-github-event": "push",
    }


@pytest.mark.parametrize("name", ["token", "API_KEY", "access_token", "password", "secret"])
def test_query_field_that_carries_credentials_never_reaches_the_event(name: str) -> None:
    event = take(a_door(), a_request(query={name: "hunter2", "page_token": "5"}))
    assert event.metadata["query"] == {"page_token": "5"}


@pytest.mark.parametrize("value", ["", "x" * 129, "é"])
def test_unusable_traceparent_is_ignored(value: str) -> None:
    event = take(a_door(), a_request(headers={"traceparent": value}))
    assert "traceparent" not in event.metadata


@pytest.mark.parametrize(
    ("value", "is_taken"),
    [
        ("order-7", True),
        ("x" * 128, True),
        ("", False),
        ("x" * 129, False),
        ("é", False),
        (" a", False),
        ("a\tb", False),
    ],
)
def test_correlation_id_of_the_header_is_taken_if_it_may_be_one(
    value: str, *, is_taken: bool
) -> None:
    event = take(a_door(), a_request(headers={"x-correlation-id": value}))
    assert event.metadata.get("correlation_id") == (value if is_taken else None)


# ── Forms ────────────────────────────────────────────────────────────────────────────────────


def form(body: bytes) -> Any:
    return take(a_door(), a_request(body, media=FORM)).payload


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"a=1&a=2&b=&a=1", {"a": ["1", "2", "1"], "b": ""}),
        (b"a", {"a": ""}),
        (b"=1", {"": "1"}),
        (b"a=%E2%82%AC+x%2By&%61=2", {"a": ["€ x+y", "2"]}),
        ("a=é".encode(), {"a": "é"}),
        (b"a=1;b=2", {"a": "1;b=2"}),
        (b"a=%zz", {"a": "%zz"}),
        (b"", {}),
        (b"payload=x", {"payload": "x"}),
        (b"payload=12", {"payload": "12"}),
        (b"payload=%7B%7D&x=1", {"payload": "{}", "x": "1"}),
        (b"payload=%7B%7D&payload=%7B%7D", {"payload": ["{}", "{}"]}),
        (b"payload=+%5B9007199254740993%5D", [9007199254740993]),
    ],
)
def test_form_is_an_object_of_its_fields(body: bytes, payload: Any) -> None:
    assert form(body) == payload


def test_form_with_one_payload_gives_the_document_in_it() -> None:
    document = {"action": "opened", "id": 2**63, "text": "ü & = +", "deep": [{"x": None}]}
    assert form(urlencode({"payload": json.dumps(document)}).encode()) == document


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"payload=%7Bno", "is not JSON"),
        (b"payload=" + b"%5B" * 70 + b"%5D" * 70, "deeper"),
        (b"a=%ff", "not UTF-8"),
        (b"a=\xff", "not UTF-8"),
        (b"a=%ed%a0%80", "not UTF-8"),
        (b"&".join([b"a=1"] * (FORM_FIELDS_MAX + 1)), "more than 1000 fields"),
        (b"&" * 100_000, "more than 1000 fields"),
    ],
)
def test_form_that_cannot_be_read_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(InvalidEventError, match=words):
        form(body)


def test_form_may_have_as_many_fields_as_the_limit() -> None:
    assert len(form(b"&".join([b"a=1"] * FORM_FIELDS_MAX))["a"]) == FORM_FIELDS_MAX
