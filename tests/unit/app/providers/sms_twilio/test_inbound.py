"""Twilio's posts: signatures by the official library, fields, deliveries, statuses, TwiML."""

import hashlib
import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import pytest
from twilio.request_validator import RequestValidator
from twilio.twiml.messaging_response import MessagingResponse

from actors.errors import InvalidEventError
from actors.outcomes import Answer
from actors.ports import NormalizedEvent
from app.errors import AppError, MediaTypeError, SignatureError, WrongTenantError
from app.providers.provider import HttpAnswer, InboundProvider, InboundRequest
from app.providers.signatures.catalog import build_scheme
from app.providers.sms_twilio.messages import RANKS
from app.providers.sms_twilio.twiml import DOCUMENT_BYTES_MAX
from tests.support.twilio import (
    ACCOUNT,
    BASE,
    INCOMING,
    OURS,
    SID,
    STATUS,
    THEIRS,
    TOKEN,
    MultiFields,
    a_provider,
    a_request,
)


def the_inbound(env: str = "dev") -> InboundProvider:
    inbound = a_provider(env=env).inbound
    assert inbound is not None
    return inbound


def received(request: InboundRequest, env: str = "dev") -> NormalizedEvent:
    inbound = the_inbound(env)
    (event,) = inbound.receive(request, inbound.verify(request)).events
    assert isinstance(event, NormalizedEvent)
    return event


def told(reply: Answer | None, route: str = "incoming") -> HttpAnswer:
    answer = the_inbound().answer(route, reply)
    assert answer is not None
    return answer


def texts(answer: HttpAnswer) -> list[str | None]:
    assert answer.status == 200
    assert answer.media_type.startswith("text/xml")
    return [each.text for each in ET.fromstring(answer.body).iter("Message")]  # noqa: S314


# ── Events ───────────────────────────────────────────────────────────────────────────────────


def test_a_message_becomes_an_event_with_all_its_fields() -> None:
    event = received(a_request())
    assert (event.event_type, event.source) == ("twilio.sms.incoming", "sms")
    assert event.delivery_id == SID
    assert INCOMING.items() <= event.payload.items()
    assert event.payload["from"] == THEIRS
    assert event.payload["to"] == OURS
    assert event.payload["body"] == "Où est ma commande?  ", "nothing is trimmed"
    assert event.payload["FromCity"] == "", "blank fields are kept"
    assert (event.payload["num_media"], event.payload["media"]) == (0, [])


def test_media_are_listed_with_their_types() -> None:
    fields = INCOMING | {
        "NumMedia": "2",
        "MediaUrl0": "https://api.twilio.com/m/0",
        "MediaContentType0": "image/png",
        "MediaUrl1": "https://api.twilio.com/m/1",
        "MediaUrl2": "https://api.twilio.com/m/2",
    }
    payload = received(a_request(fields)).payload
    assert payload["num_media"] == 2
    assert payload["media"] == [
        {"url": "https://api.twilio.com/m/0", "type": "image/png"},
        {"url": "https://api.twilio.com/m/1", "type": None},
    ]


@pytest.mark.parametrize("count", ["", "x", "-1", "9" * 30, "٣"])
def test_a_strange_count_of_media_is_none(count: str) -> None:
    assert received(a_request(INCOMING | {"NumMedia": count})).payload["num_media"] == 0


def test_a_repeated_field_is_a_list() -> None:
    payload = received(a_request(INCOMING | {"Tag": ["b", "a"], "Body": ["one", "two"]})).payload
    assert payload["Tag"] == ["b", "a"]
    assert payload["body"] == "two"


def test_metadata_keeps_no_credentials() -> None:
    request = a_request(
        cookie="a=b", i_twilio_idempotency_token="retry-1", traceparent="00-ab-cd-01"
    )
    request = replace(request, query={"token": "secret", "shop": "7"})
    metadata = received(request).metadata
    assert metadata["provider"] == "events-sms-twilio"
    assert metadata["signature"] == "auth_token"
    assert metadata["delivery_id"] == SID
    assert metadata["traceparent"] == "00-ab-cd-01"
    assert metadata["query"] == {"shop": "7"}
    assert set(metadata["headers"]) == {"content-type", "user-agent", "traceparent"}


def test_a_status_tells_how_far_the_message_is() -> None:
    event = received(a_request(route="status"))
    assert (event.event_type, event.source) == ("twilio.sms.status", "sms")
    assert event.delivery_id == f"{SID}:sent"
    assert event.payload["status"] == "sent"
    assert event.payload["error_code"] is None
    assert event.payload["is_final"] is False


def test_callbacks_out_of_order_are_told_apart_by_rank() -> None:
    came = ["delivered", "queued", "sent", "delivered", "read", "sending"]
    latest, seen = 0, []
    for status in came:
        payload = received(a_request(STATUS | {"MessageStatus": status}, route="status")).payload
        if payload["rank"] > latest:
            latest = payload["rank"]
            seen.append(status)
    assert seen == ["delivered", "read"]


def test_every_status_of_twilios_api_has_a_rank() -> None:
    statuses = "queued sending sent failed delivered undelivered receiving received accepted"
    known = {*statuses.split(), "scheduled", "read", "partially_delivered", "canceled"}
    assert set(RANKS) == known
    assert RANKS["accepted"] < RANKS["queued"] < RANKS["sending"] < RANKS["sent"]
    assert RANKS["sent"] < min(RANKS[end] for end in ("delivered", "undelivered", "failed"))


def test_an_unknown_status_ranks_below_all() -> None:
    payload = received(a_request(STATUS | {"MessageStatus": "teleported"}, route="status")).payload
    assert (payload["rank"], payload["is_final"]) == (0, False)


@pytest.mark.parametrize(
    ("code", "kind"),
    [("30008", "transient"), ("30006", "permanent"), ("39999", None), ("0", None)],
)
def test_an_error_code_is_sorted(code: str, kind: str | None) -> None:
    fields = STATUS | {"MessageStatus": "undelivered", "ErrorCode": code}
    event = received(a_request(fields, route="status"))
    assert event.payload["error_kind"] == kind
    assert event.payload["error_code"] == (int(code) or None)
    assert event.delivery_id == f"{SID}:undelivered" + ("" if code == "0" else f":{code}")


def test_the_unsigned_retry_token_does_not_make_a_new_delivery() -> None:
    ids = {received(a_request(i_twilio_idempotency_token=str(n))).delivery_id for n in range(3)}
    assert ids == {SID}


def test_a_json_body_is_read_as_well() -> None:
    fields = {**STATUS, "ErrorCode": 30003, "Big": 2**70}
    body = json.dumps(fields).encode()
    query = f"?bodySHA256={hashlib.sha256(body).hexdigest()}"
    signed = a_request({}, route="status", query=query)
    assert RequestValidator(TOKEN).validate(
        signed.public_url(), body.decode(), signed.headers["x-twilio-signature"]
    )
    request = replace(
        signed, body=body, headers={**signed.headers, "content-type": "application/json"}
    )
    payload = received(request).payload
    assert (payload["error_code"], payload["error_kind"]) == (30003, "permanent")
    assert payload["Big"] == 2**70


# ── Refusals ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("env", ["dev", "prod"])
def test_nothing_unsigned_is_taken_in_any_env(env: str) -> None:
    request = a_request()
    bare = {k: v for k, v in request.headers.items() if k != "x-twilio-signature"}
    with pytest.raises(SignatureError, match="missing"):
        the_inbound(env).verify(replace(request, headers=bare))


def test_another_token_is_refused() -> None:
    with pytest.raises(SignatureError, match="mismatch") as refusal:
        the_inbound().verify(a_request(token="another"))
    assert TOKEN not in str(refusal.value)


def test_a_changed_field_or_tenant_is_refused() -> None:
    request = a_request()
    with pytest.raises(SignatureError):
        the_inbound().verify(replace(request, body=request.body + b"&Extra=1"))
    elsewhere = f"{BASE}/events/sms/twilio/other/incoming"
    with pytest.raises(SignatureError):
        the_inbound().verify(replace(request, public_url=lambda: elsewhere))


def test_another_account_is_refused() -> None:
    inbound = the_inbound()
    for account in ("AC" + "f" * 32, None, [ACCOUNT, ACCOUNT]):
        fields: dict[str, Any] = {**INCOMING, "AccountSid": account}
        if account is None:
            del fields["AccountSid"]
        with pytest.raises(WrongTenantError):
            inbound.receive(a_request(fields), None)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"content-type": "text/plain"}, MediaTypeError),
        ({"content-type": ""}, MediaTypeError),
        ({"content-type": "application/x-www-form-urlencoded; charset=utf-16"}, MediaTypeError),
        ({"content-encoding": "gzip"}, MediaTypeError),
        ({"content-type": "application/json"}, InvalidEventError),
    ],
)
def test_other_bodies_are_refused(change: dict[str, str], error: type[Exception]) -> None:
    request = a_request()
    with pytest.raises(error):
        the_inbound().receive(replace(request, headers={**request.headers, **change}), None)


@pytest.mark.parametrize("body", [b"Body=%ff", b"%c3%28=1", b"a&" * 1000, b"[]"])
def test_malformed_fields_are_refused(body: bytes) -> None:
    request = replace(a_request(), body=f"AccountSid={ACCOUNT}&MessageSid=SM1&".encode() + body)
    if body == b"[]":
        request = replace(request, body=body, headers={"content-type": "application/json"})
    with pytest.raises(InvalidEventError):
        the_inbound().receive(request, None)


@pytest.mark.parametrize("sid", [None, "", "SM 1", "S" * 65, "SM:1", "é"])
def test_what_names_no_message_is_refused(sid: str | None) -> None:
    fields = {"AccountSid": ACCOUNT, "MessageStatus": "sent"}
    if sid is not None:
        fields["MessageSid"] = sid
    with pytest.raises(InvalidEventError, match="MessageSid"):
        the_inbound().receive(a_request(fields, route="status"), None)


def test_a_callback_without_a_status_is_refused() -> None:
    fields = {"AccountSid": ACCOUNT, "MessageSid": SID}
    with pytest.raises(InvalidEventError, match="MessageStatus"):
        the_inbound().receive(a_request(fields, route="status"), None)


# ── Signatures, the other way round ──────────────────────────────────────────────────────────


def test_twilios_library_accepts_what_we_sign() -> None:
    request = a_request(INCOMING | {"Tag": ["b", "a", "b"]})
    ours = build_scheme("twilio", [TOKEN]).sign(request, now_seconds=0)["x-twilio-signature"]
    fields = MultiFields(INCOMING | {"Tag": ["b", "a", "b"]})
    assert RequestValidator(TOKEN).validate(request.public_url(), fields, ours)
    assert not RequestValidator("other").validate(request.public_url(), fields, ours)


# ── Answers ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("reply", [None, Answer(200), Answer(200, body=""), Answer(202, body=" ")])
def test_no_reply_is_an_empty_response(reply: Answer | None) -> None:
    answer = told(reply)
    assert answer.body == b'<?xml version="1.0" encoding="UTF-8"?><Response></Response>'
    assert answer.media_type == "text/xml; charset=utf-8"


def test_a_text_becomes_a_message_as_twilios_library_writes_it() -> None:
    text = 'Say <hi> & "bye" — ça va 👍]]>'
    judge = MessagingResponse()
    judge.message(text)
    answer = told(Answer(200, body=text))
    assert texts(answer) == [text]
    canonical = [ET.canonicalize(doc) for doc in (answer.body.decode(), str(judge))]
    assert canonical[0] == canonical[1]


def test_text_that_xml_cannot_hold_is_left_out() -> None:
    assert texts(told(Answer(200, body="a\x00b\x0bc\ud800d\ufffee\nf"))) == ["abcde\nf"]


def test_a_long_text_is_cut_to_what_twilio_takes() -> None:
    (text,) = texts(told(Answer(200, body="ä" * 5000)))
    assert text is not None
    assert len(text) == 1600
    assert text.endswith("…")


def test_objects_and_numbers() -> None:
    assert texts(told(Answer(200, body=42))) == ["42"]
    assert texts(told(Answer(200, body={"a": "\ud800"}))) == []
    assert texts(told(Answer(200, body={"order": 7}))) == ['{"order":7}']
    answer = told(Answer(200, body={"body": "see", "media_url": ["https://x.org/a?b&c", "u2"]}))
    (message,) = ET.fromstring(answer.body)  # noqa: S314
    assert [(each.tag, each.text) for each in message] == [
        ("Body", "see"),
        ("Media", "https://x.org/a?b&c"),
        ("Media", "u2"),
    ]
    too_long = Answer(200, body={"media_url": ["https://x.org/" + "a" * DOCUMENT_BYTES_MAX]})
    assert texts(told(too_long)) == []


def test_twiml_of_a_flow_is_passed_on() -> None:
    twiml = "<Response><Redirect>https://x.org</Redirect></Response>"
    for header in ("Content-Type", "content-type"):
        reply = Answer(200, {header: "application/xml; charset=utf-8"}, twiml)
        assert told(reply).body == twiml.encode()
    assert texts(told(Answer(200, {"content-type": "text/plain"}, twiml))) == [twiml]
    huge = Answer(200, {"content-type": "text/xml"}, "x" * (DOCUMENT_BYTES_MAX + 1))
    assert texts(told(huge)) == []


def test_an_error_of_a_flow_is_not_made_a_message() -> None:
    assert the_inbound().answer("incoming", Answer(500, body="stack trace")) is None


def test_a_status_callback_hears_nothing() -> None:
    assert texts(told(Answer(200, body="hello"), "status")) == []
    assert texts(told(None, "status")) == []


def test_limits() -> None:
    inbound = the_inbound()
    assert inbound.body_bytes_max("incoming") == 128 * 1024
    assert inbound.sync_timeout_seconds < 15, "Twilio waits no longer"
    assert issubclass(WrongTenantError, AppError)
