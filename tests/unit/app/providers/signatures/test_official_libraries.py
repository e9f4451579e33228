"""The senders' own libraries as judges: what we sign they accept, what they sign we accept."""

import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
import stripe
import svix.webhooks
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sendgrid.helpers.eventwebhook import EventWebhook
from slack_sdk.signature import Clock, SignatureVerifier
from twilio.request_validator import RequestValidator

from app.providers.provider import InboundRequest
from app.providers.signatures.catalog import build_scheme

BODIES = [
    b"{}",
    b'{"text": "\xc5\xbdu\xc4\xbc\xc4\x81ns \xe2\x99\xa5", "id": 9007199254740993}\r\n',
    b"payload=%7B%22a%22%3A1%7D&b=",
]
WHSEC = "whsec_" + b64encode(bytes(range(32))).decode()

bodies = pytest.mark.parametrize("body", BODIES, ids=["empty", "unicode", "form"])


def now() -> float:
    return float(int(time.time()))


def signed(algorithm: str, secret: str, body: bytes, **more: Any) -> dict[str, str]:
    request = InboundRequest({}, body, **more)
    return build_scheme(algorithm, [secret]).sign(request, now_seconds=now())


# ── Stripe ───────────────────────────────────────────────────────────────────────────────────


@bodies
def test_stripe_both_ways(body: bytes) -> None:
    secret = "whsec_of_stripe"
    judge = stripe.WebhookSignature
    ours = signed("stripe", secret, body)["stripe-signature"]
    assert judge.verify_header(body, ours, secret, 300)
    theirs = judge.generate_signature_header(body.decode(), secret)
    request = InboundRequest({"stripe-signature": theirs}, body)
    assert build_scheme("stripe", ["old", secret]).judge(request, now_seconds=now()).key == 1
    with pytest.raises(stripe.SignatureVerificationError):
        judge.verify_header(body + b" ", ours, secret, 300)


# ── Slack ────────────────────────────────────────────────────────────────────────────────────


class FixedClock(Clock):
    def now(self) -> float:
        return 1_700_000_000.0


@bodies
def test_slack_both_ways(body: bytes) -> None:
    judge = SignatureVerifier("signing secret", FixedClock())
    scheme = build_scheme("slack", ["signing secret"])
    ours = scheme.sign(InboundRequest({}, body), now_seconds=1_700_000_000.0)
    assert judge.is_valid_request(body, ours)
    assert not judge.is_valid_request(body + b"\n", ours)
    theirs = judge.generate_signature(timestamp="1699999900", body=body)
    assert theirs is not None
    headers = {"x-slack-signature": theirs, "x-slack-request-timestamp": "1699999900"}
    request = InboundRequest(headers, body)
    assert scheme.judge(request, now_seconds=1_700_000_000.0).key == 0


# ── Standard Webhooks and Svix ───────────────────────────────────────────────────────────────


@bodies
@pytest.mark.parametrize("secret", [WHSEC, WHSEC.rstrip("="), WHSEC.removeprefix("whsec_")])
@pytest.mark.parametrize(
    ("library", "family"),
    [(standardwebhooks.Webhook, "webhook"), (svix.webhooks.Webhook, "svix")],
)
def test_standard_webhooks_both_ways(
    body: bytes, secret: str, library: Callable[[str], Any], family: str
) -> None:
    judge = library(secret)
    scheme = build_scheme("standard-webhooks", [secret])
    unsigned = InboundRequest({f"{family}-id": "msg_2Kx"}, body)
    ours = scheme.sign(unsigned, now_seconds=now())
    assert set(ours) == {f"{family}-{part}" for part in ("id", "timestamp", "signature")}
    more: dict[str, Any] = {} if family == "svix" else {"json_parse": False}
    judge.verify(body, ours, **more)
    with pytest.raises(standardwebhooks.webhooks.WebhookVerificationError):
        judge.verify(body + b" ", ours, **more)

    moment = datetime.fromtimestamp(now(), UTC)
    theirs = {
        f"{family}-id": "msg_9",
        f"{family}-timestamp": str(int(moment.timestamp())),
        f"{family}-signature": judge.sign("msg_9", moment, body.decode()),
    }
    verdict = scheme.judge(InboundRequest(theirs, body), now_seconds=now())
    assert (verdict.key, verdict.signed_id) == (0, "msg_9")


# ── Twilio ───────────────────────────────────────────────────────────────────────────────────

FORM = "application/x-www-form-urlencoded"
FIELDS = {
    "Body": " Labdien, kā iet? 50% & more ",
    "From": "+37120000001",
    "MediaUrl0": "",
    "Sid": "SM1",
    "SidAccount": "AC1",
}
URLS = [
    "https://hooks.example.com/events/sms/twilio/demo/incoming",
    "https://hooks.example.com:8443/incoming?a=1&b=",
    "http://hooks.example.com/incoming?text=%C4%81+b",
]
SETTINGS = "x-twilio-webhooks-signature-settings"


def form_of(fields: dict[str, str]) -> bytes:
    from urllib.parse import urlencode

    return urlencode(fields).encode()


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("algorithm", ["HMAC_SHA1", "HMAC_SHA256"])
def test_twilio_forms_both_ways(url: str, algorithm: str) -> None:
    judge = RequestValidator("token")
    headers = {"content-type": FORM, SETTINGS: f"key=k1,algorithm={algorithm}"}
    body = form_of(FIELDS)
    scheme = build_scheme("twilio", ["token"])
    request = InboundRequest(headers, body, public_url=lambda: url)
    ours = scheme.sign(request, now_seconds=0)["x-twilio-signature"]
    assert judge.validate(url, FIELDS, ours, algorithm)
    assert not judge.validate(url, FIELDS | {"Sid": "SM2"}, ours, algorithm)

    theirs = judge.compute_signature(url, FIELDS, algorithm)
    signed_request = InboundRequest(
        headers | {"x-twilio-signature": theirs}, body, public_url=lambda: url
    )
    assert scheme.judge(signed_request, now_seconds=0).key == 0


@pytest.mark.parametrize(
    ("signed_url", "url"),
    [
        ("https://a.example:443/x?y=1", "https://a.example/x?y=1"),
        ("https://a.example/x?y=1", "https://a.example:443/x?y=1"),
        ("http://a.example:80/x", "http://a.example/x"),
        ("https://a.example/x", "https://a.example:8443/x"),
        ("https://user:pass@a.example:443/x", "https://user:pass@a.example/x"),
        ("https://[::1]:443/x", "https://[::1]/x"),
        ("https://a.example/x?q=a%20b%2Fc&e=", "https://a.example/x?q=a+b/c&e"),
        ("https://a.example:443/x?q=it's&q=2&r=1", "https://a.example/x?q=it%27s&r=1&q=2"),
    ],
)
def test_twilio_may_have_spelled_the_url_otherwise(signed_url: str, url: str) -> None:
    theirs = RequestValidator("token").compute_signature(signed_url, FIELDS)
    request = InboundRequest(
        {"content-type": FORM, "x-twilio-signature": theirs},
        form_of(FIELDS),
        public_url=lambda: url,
    )
    assert build_scheme("twilio", ["token"]).judge(request, now_seconds=0).key == 0


def test_twilio_json_both_ways() -> None:
    body = '{"CallSid": "CA1", "note": "ā"}'
    judge = RequestValidator("token")
    url = f"https://a.example/x?bodySHA256={judge.compute_hash(body)}"
    headers = {"content-type": "application/json"}
    scheme = build_scheme("twilio", ["token"])
    request = InboundRequest(headers, body.encode(), public_url=lambda: url)
    ours = scheme.sign(request, now_seconds=0)["x-twilio-signature"]
    assert judge.validate(url, body, ours)
    theirs = judge.compute_signature(url, {})
    headers["x-twilio-signature"] = theirs
    assert scheme.judge(request, now_seconds=0).key == 0
    changed = InboundRequest(headers, body.encode() + b" ", public_url=lambda: url)
    assert "not that of the body" in scheme.judge(changed, now_seconds=0).detail


# ── SendGrid ─────────────────────────────────────────────────────────────────────────────────


@bodies
def test_sendgrid_accepts_what_we_sign(body: bytes) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    public = b64encode(
        private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    ).decode()
    headers = signed("sendgrid", pem, body)
    signature = headers["x-twilio-email-event-webhook-signature"]
    timestamp = headers["x-twilio-email-event-webhook-timestamp"]
    judge = EventWebhook(public)
    assert judge.verify_signature(body.decode(), signature, timestamp)
    assert not judge.verify_signature(body.decode() + " ", signature, timestamp)
    scheme = build_scheme("sendgrid", [public])
    assert scheme.judge(InboundRequest(headers, body), now_seconds=now()).key == 0
