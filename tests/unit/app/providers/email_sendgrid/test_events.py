"""SendGrid's Event Webhook: signatures, and an event for each entry."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError
from sendgrid.helpers.eventwebhook import EventWebhook

from actors.errors import InvalidEventError
from actors.events import JSON_DEPTH_MAX, json_depth_exceeds
from actors.ports import NormalizedEvent
from actors.testing.clock import VirtualClock
from app.errors import SignatureError
from app.providers.email_sendgrid.events import ENTRIES_MAX, EVENT_TYPES
from app.providers.provider import Inbound, InboundRequest
from tests.support.mailing import sendgrid, sendgrid_door, take

VECTORS = Path(__file__).parents[6] / "shared" / "vectors" / "sig_sendgrid.json"
SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"
KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
ENTRY = {"event": "delivered", "sg_event_id": "e1", "email": "ada@example.org", "timestamp": 1}


def public(key: ec.EllipticCurvePrivateKey) -> str:
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(der).decode()


def post(body: bytes, headers: dict[str, str] | None = None) -> InboundRequest:
    return InboundRequest(headers=headers or {}, body=body, tenant="demo", route="events")


def signed(body: bytes, key: ec.EllipticCurvePrivateKey = KEY) -> InboundRequest:
    timestamp = str(VirtualClock().now_ms() // 1000)
    signature = key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    return post(body, {SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: timestamp})


def read(entries: Any) -> Inbound:
    return take(sendgrid_door(), post(json.dumps(entries).encode() + b"\r\n"))


def only(inbound: Inbound) -> NormalizedEvent:
    (event,) = inbound.events
    assert isinstance(event, NormalizedEvent)
    return event


# ── Where a post comes from ──────────────────────────────────────────────────────────────────


def test_signed_post_is_taken_with_its_last_line_break() -> None:
    body = json.dumps([ENTRY]).encode() + b"\r\n"
    request = signed(body)
    assert EventWebhook().verify_signature(
        body.decode(),
        request.headers[SIGNATURE],
        request.headers[TIMESTAMP],
        EventWebhook().convert_public_key_to_ecdsa(public(KEY)),
    )
    door = sendgrid_door(env="prod", event_webhook_public_key=public(KEY))
    event = only(take(door, request))
    assert event.metadata["signature"] == "event_webhook_public_key"
    assert event.metadata["headers"] == {}
    with pytest.raises(SignatureError):
        door.verify(InboundRequest(headers=request.headers, body=body.rstrip(), route="events"))


def test_either_of_two_keys_will_do_and_is_named() -> None:
    door = sendgrid_door(event_webhook_public_key=[public(OTHER_KEY), public(KEY)])
    body = b"[]\r\n"
    assert door.verify(signed(body, OTHER_KEY)) == "event_webhook_public_key"
    assert door.verify(signed(body, KEY)) == "event_webhook_public_key[1]"


@pytest.mark.parametrize("value", ["", "=", "é", "AAAA", "A" * 100_000, "not base64!"])
@pytest.mark.parametrize("name", [SIGNATURE, TIMESTAMP])
def test_hostile_header_is_refused(name: str, value: str) -> None:
    request = signed(b"[]")
    door = sendgrid_door(event_webhook_public_key=public(KEY))
    with pytest.raises(SignatureError):
        door.verify(post(request.body, {**request.headers, name: value}))
    with pytest.raises(SignatureError):
        door.verify(post(request.body))


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not beside the checkout")
def test_shared_vectors() -> None:
    cases = json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]
    assert cases
    for case in cases:
        headers = {SIGNATURE: case["signature"], TIMESTAMP: case["timestamp"]}
        door = sendgrid_door(event_webhook_public_key=case["public_key_der_b64"])
        request = post(case["body"].encode(), headers)
        try:
            is_valid = door.verify(request) is not None
        except SignatureError:
            is_valid = False
        assert is_valid == case["valid"], case["id"]


def test_unsigned_posts_are_taken_in_dev_with_a_warning_and_refused_in_prod() -> None:
    assert "anybody" in sendgrid().warnings[0]
    assert sendgrid_door().verify(post(b"[]")) is None
    assert "prod" in sendgrid(env="prod").warnings[0]
    with pytest.raises(SignatureError):
        sendgrid_door(env="prod").verify(post(b"[]"))
    assert sendgrid(env="prod", event_webhook_public_key=public(KEY)).warnings == []


def test_private_key_is_refused_where_the_public_one_belongs() -> None:
    pem = KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    with pytest.raises(ValidationError, match="must be a public key") as caught:
        sendgrid(event_webhook_public_key=pem)
    assert pem not in str(caught.value)


@pytest.mark.parametrize("key", ["", "key", "MFkw", "-----BEGIN", [], ["x"], 7])
def test_key_that_is_none_is_refused_at_start(key: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        sendgrid(event_webhook_public_key=key)
    assert "event_webhook_public_key" in str(caught.value)


# ── Entries ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("name", "event_type"), sorted(EVENT_TYPES.items()))
def test_known_event_has_our_name(name: str, event_type: str) -> None:
    entry = {**ENTRY, "event": name}
    event = only(read([entry]))
    assert event.event_type == event_type
    assert event.source == "email"
    assert event.payload == entry
    assert event.delivery_id == "e1"
    assert event.metadata["delivery_id"] == "e1"
    assert event.metadata["provider"] == "events-email-sendgrid"


def test_unknown_event_keeps_its_name() -> None:
    event = only(read([{**ENTRY, "event": "account_status_change"}]))
    assert event.event_type == "email.account_status_change"


def test_big_integers_stay_exact() -> None:
    body = b'[{"event":"open","sg_event_id":"e","n":820982911946154508123}]'
    event = only(take(sendgrid_door(), post(body)))
    assert event.payload["n"] == 820982911946154508123


@pytest.mark.parametrize(
    "entry",
    [
        1,
        None,
        [],
        "delivered",
        {},
        {"event": None},
        {"event": ""},
        {"event": "Delivered"},
        {"event": "a.b"},
        {"event": "a b"},
        {"event": "result"},
        {"event": "received"},
        {"event": "x" * 65},
        {"event": "é"},
    ],
)
def test_odd_entry_does_not_spoil_the_others(entry: Any) -> None:
    inbound = read([ENTRY, entry, {**ENTRY, "sg_event_id": "e2"}])
    assert inbound.is_batch
    first, odd, last = inbound.events
    assert isinstance(first, NormalizedEvent)
    assert isinstance(last, NormalizedEvent)
    assert [first.event_type, last.event_type] == ["email.delivered"] * 2
    assert isinstance(odd, NormalizedEvent)
    assert odd.event_type == "email.unrecognized"
    assert odd.payload["entry"] == entry
    assert odd.payload["problem"]


def test_odd_entry_may_nest_as_deep_as_any() -> None:
    entry: Any = 1
    for _ in range(JSON_DEPTH_MAX - 1):
        entry = [entry]
    event = only(read([entry]))
    assert event.event_type == "email.unrecognized"
    assert not json_depth_exceeds(event.payload)


@pytest.mark.parametrize("delivery_id", [None, 1, "", "a\nb", "é", "x" * 257])
def test_unusable_delivery_id_is_none(delivery_id: Any) -> None:
    event = only(read([{**ENTRY, "sg_event_id": delivery_id}]))
    assert event.delivery_id is None
    assert "delivery_id" not in event.metadata


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"[", b"\xff", b"[NaN]", b"[" * 100_000])
def test_body_that_is_no_array_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidEventError):
        take(sendgrid_door(), post(body))


def test_entries_are_bounded() -> None:
    with pytest.raises(InvalidEventError, match="more than"):
        read([0] * (ENTRIES_MAX + 1))


def test_empty_array_is_no_event() -> None:
    assert list(read([]).events) == []


def test_credentials_do_not_reach_the_event() -> None:
    headers = {"authorization": "Bearer x", "user-agent": "SendGrid", "traceparent": "00-1"}
    request = InboundRequest(
        headers=headers,
        body=json.dumps([ENTRY]).encode(),
        query={"token": "x", "a": "1"},
        route="events",
    )
    event = only(take(sendgrid_door(), request))
    assert event.metadata["headers"] == {"user-agent": "SendGrid", "traceparent": "00-1"}
    assert event.metadata["query"] == {"a": "1"}
    assert event.metadata["traceparent"] == "00-1"


def test_answers_and_limits() -> None:
    door = sendgrid_door()
    assert door.sync_timeout_seconds == 0
    assert door.answer("events", None) is None
    assert door.body_bytes_max("events") == 1024 * 1024
    assert door.body_bytes_max("inbound") == 30 * 1024 * 1024
