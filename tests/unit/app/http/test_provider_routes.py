"""The other providers' routes over HTTP. In: requests as the services send them. Out: events."""

import base64
import json
from ipaddress import ip_network
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twilio.request_validator import RequestValidator

from actors.outcomes import Answer
from app.http.origin import PublicUrls
from tests.support.ingress import Ingress

SID, TOKEN = "AC" + "1" * 32, "quite-secret-token"
TWILIO = {"account_sid": SID, "auth_token": TOKEN, "from_number": "+15005550006"}
INCOMING = "/events/sms/twilio/demo/incoming"
FORM = {"content-type": "application/x-www-form-urlencoded"}
MESSAGE = {
    "AccountSid": SID,
    "MessageSid": "SM" + "2" * 32,
    "From": "+14155550123",
    "To": "+15005550006",
    "Body": " blanks & ümlauts ",
    "NumMedia": "0",
    "Empty": "",
}


def texting(urls: PublicUrls | None = None) -> Ingress:
    ingress = Ingress(env="prod", urls=urls)
    ingress.enable("events-sms-twilio", TWILIO)
    return ingress


def signed(url: str) -> dict[str, str]:
    signature = RequestValidator(TOKEN).compute_signature(url, MESSAGE)
    return FORM | {"x-twilio-signature": signature, "host": "pod:8080"}


# ── Twilio ───────────────────────────────────────────────────────────────────────────────────


async def test_a_text_message_is_an_event_and_the_answer_twiml() -> None:
    ingress = texting(PublicUrls(lambda _: "https://hooks.example"))
    body = urlencode(MESSAGE).encode()
    headers = signed(f"https://hooks.example{INCOMING}?a=b")
    reply = await ingress.client.post(body, path=INCOMING, headers=headers, query=b"a=b")
    assert (reply.status, reply.header("content-type")) == (200, "text/xml; charset=utf-8")
    assert b"<Response" in reply.body
    assert b"<Message" not in reply.body
    (event,) = ingress.door.events
    assert (event.event_type, event.source) == ("twilio.sms.incoming", "sms")
    assert event.payload["body"] == MESSAGE["Body"]
    assert TOKEN not in repr(event)


async def test_a_flows_answer_is_said_as_a_message() -> None:
    ingress = texting(PublicUrls(lambda _: "https://hooks.example"))
    ingress.door.flows = 1
    ingress.inbox.messages = [Answer(200, {}, "a < b")]
    headers = signed(f"https://hooks.example{INCOMING}")
    reply = await ingress.client.post(urlencode(MESSAGE).encode(), path=INCOMING, headers=headers)
    assert reply.status == 200
    assert b"<Message>a &lt; b</Message>" in reply.body


async def test_a_flow_that_fails_leaves_twilio_without_an_error() -> None:
    ingress = texting(PublicUrls(lambda _: "https://hooks.example"))
    ingress.door.flows = 1
    headers = signed(f"https://hooks.example{INCOMING}")
    reply = await ingress.client.post(urlencode(MESSAGE).encode(), path=INCOMING, headers=headers)
    assert (reply.status, reply.header("content-type")) == (200, "text/xml; charset=utf-8")


@pytest.mark.parametrize("proxies", [True, False])
async def test_forwarded_headers_count_from_trusted_proxies_only(proxies: bool) -> None:
    trusted = (ip_network("10.0.0.0/8"),) if proxies else ()
    ingress = texting(PublicUrls(trusted_proxies=trusted))
    ingress.client.peer = ("10.1.1.1", 5)
    forwarded = {"x-forwarded-proto": "https", "x-forwarded-host": "hooks.example"}
    headers = signed(f"https://hooks.example{INCOMING}") | forwarded
    reply = await ingress.client.post(urlencode(MESSAGE).encode(), path=INCOMING, headers=headers)
    assert reply.status == (200 if proxies else 401)


async def test_what_twilio_did_not_sign_is_refused() -> None:
    ingress = texting(PublicUrls(lambda _: "https://hooks.example"))
    body = urlencode(MESSAGE | {"Body": "send money"}).encode()
    headers = signed(f"https://hooks.example{INCOMING}")
    assert (await ingress.client.post(body, path=INCOMING, headers=headers)).status == 401
    assert (await ingress.client.post(body, path=INCOMING, headers=FORM)).status == 401
    assert ingress.door.events == []


# ── SendGrid ─────────────────────────────────────────────────────────────────────────────────


async def test_sendgrids_events_are_an_event_each() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    ingress = Ingress(env="prod")
    options = {"api_key": "SG.x", "from_email": "a@example.org"}
    options["event_webhook_public_key"] = base64.b64encode(public).decode()
    ingress.enable("events-email-sendgrid", options)
    events = [
        {"event": "delivered", "sg_event_id": "1", "email": "b@example.org", "timestamp": 1},
        {"event": "bounce", "sg_event_id": "2", "email": "c@example.org", "timestamp": 1},
    ]
    body = json.dumps(events).encode() + b"\r\n"
    timestamp = str(ingress.clock.now_ms() // 1000)
    signature = key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    headers = {
        "content-type": "application/json",
        "x-twilio-email-event-webhook-timestamp": timestamp,
        "x-twilio-email-event-webhook-signature": base64.b64encode(signature).decode(),
    }
    path = "/events/email/sendgrid/demo/events"
    reply = await ingress.client.post(body, path=path, headers=headers)
    assert 200 <= reply.status < 300
    assert [event.event_type for event in ingress.door.events] == [
        "email.delivered",
        "email.bounced",
    ]
    stripped = await ingress.client.post(body.strip(), path=path, headers=headers)
    assert stripped.status == 401


async def test_an_inbound_mails_attachments_are_stored_before_its_event() -> None:
    ingress = Ingress(env="prod")
    options = {"api_key": "SG.x", "from_email": "a@example.org"}
    ingress.enable(
        "events-email-sendgrid", options | {"inbound_parse": {"token": "t0k3n-of-ours-0123456789"}}
    )
    parts = [
        b'name="from"\r\n\r\nAda <ada@example.org>',
        b'name="to"\r\n\r\nus@example.org',
        b'name="subject"\r\n\r\nHelp',
        b'name="text"\r\n\r\nPlease',
        b'name="envelope"\r\n\r\n{"to":["us@example.org"],"from":"ada@example.org"}',
        b'name="attachments"\r\n\r\n1',
        b'name="attachment-info"\r\n\r\n{"attachment1":{"filename":"a.bin","type":"x/y"}}',
        b'name="attachment1"; filename="a.bin"\r\nContent-Type: x/y\r\n\r\n' + b"\0\xff" * 9,
    ]
    body = b"".join(b"--XX\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts)
    body += b"--XX--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=XX"}
    path = "/events/email/sendgrid/demo/inbound"
    refused = await ingress.client.post(body, path=path, headers=headers)
    assert refused.status == 401
    query = b"token=t0k3n-of-ours-0123456789"
    reply = await ingress.client.post(body, path=path, headers=headers, query=query)
    assert 200 <= reply.status < 300
    (event,) = ingress.door.events
    assert (event.event_type, event.payload["subject"]) == ("email.received", "Help")
    ((tenant, blob),) = ingress.blobs.stored
    assert (tenant, blob.content) == ("demo", b"\0\xff" * 9)
    (attachment,) = event.payload["attachments"]
    assert attachment["object"] == f"demo/{blob.name}"
    assert "t0k3n" not in json.dumps([event.payload, dict(event.metadata)])
