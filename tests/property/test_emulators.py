"""Emulated APIs under chance: whatever a client sends is answered, and never breaks them."""

import asyncio
import json
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as st

from actors.testing.clock import VirtualClock
from app.emulators.emulators import Emulators, EmulatorSettings
from app.providers.email_sendgrid.options import SendGridOptions
from tests.support.ingress import Client
from tests.support.twilio import ACCOUNT, FORM, OURS, THEIRS, TOKEN, options

KEY = "SG.a-key-for-tests"
MAIL: dict[str, Any] = {
    "personalizations": [{"to": [{"email": "a@x.org"}]}],
    "from": {"email": "b@x.org"},
    "subject": "s",
    "content": [{"type": "text/plain", "value": "v"}],
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
mail_keys = st.sampled_from([*MAIL, "attachments", "categories", "mail_settings", "template_id"])
mails = st.dictionaries(mail_keys, json_values, max_size=3).map(lambda change: MAIL | change)
bodies = st.one_of(
    st.binary(max_size=200),
    json_values.map(lambda value: json.dumps(value).encode()),
    mails.map(lambda value: json.dumps(value).encode()),
    st.integers(10, 30_000).map(lambda depth: b'{"a":' * depth),
)
form_names = st.sampled_from(
    ["To", "From", "Body", "MediaUrl", "StatusCallback", "MessagingServiceSid", "X"]
)
forms = st.lists(st.tuples(form_names, st.text(st.characters(codec="utf-8"), max_size=20)))


@cache
def emulators() -> Emulators:
    mail = SendGridOptions.model_validate({"api_key": KEY, "from_email": "dev@x.org"})
    both = {"events-sms-twilio": options(), "events-email-sendgrid": mail}
    nowhere = Path("/dev/null/nowhere")
    settings = EmulatorSettings(nowhere, lambda: None, lambda: None, lambda: both)
    return Emulators(settings, VirtualClock())


def status_of(path: str, body: bytes, authorization: str, media: str) -> int:
    headers = {"authorization": authorization, "content-type": media}
    client = Client(emulators().app)
    reply = asyncio.run(client.request("POST", path, headers=headers, parts=[body]))
    if reply.body:
        assert json.loads(reply.body)
    return reply.status


@given(bodies)
def test_any_mail_is_taken_or_refused(body: bytes) -> None:
    status = status_of("/sendgrid/v3/mail/send", body, f"Bearer {KEY}", "application/json")
    assert status in {200, 202, 400}


@given(forms, st.binary(max_size=50))
def test_any_message_is_taken_or_refused(fields: list[tuple[str, str]], tail: bytes) -> None:
    pair = b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    path = f"/twilio/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    whole = [("To", THEIRS), ("From", OURS), ("Body", "hi"), *fields]
    status = status_of(path, urlencode(whole).encode() + b"&" + tail, f"Basic {pair}", FORM)
    assert status in {201, 400, 404}


@given(st.text(st.characters(max_codepoint=126, min_codepoint=32), max_size=40))
def test_no_other_credentials_open_anything(authorization: str) -> None:
    for path in (
        "/sendgrid/v3/mail/send",
        f"/twilio/2010-04-01/Accounts/{ACCOUNT}/Messages.json",
        "/receive/sms",
        "/receive/email",
    ):
        assert status_of(path, b"{}", authorization, "application/json") == 401
