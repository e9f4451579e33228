"""The emulators' limits and refusals, over raw ASGI."""

import json
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import BaseModel

from actors.testing.clock import VirtualClock
from app.emulators import control, sendgrid, twilio
from app.emulators.access import read_access
from app.emulators.emulators import Emulators, EmulatorSettings
from app.providers.email_sendgrid.options import SendGridOptions
from tests.support.ingress import Client, Reply
from tests.support.twilio import ACCOUNT, THEIRS, TOKEN, options

KEY = "SG.a-key-for-tests"
MESSAGES = f"/twilio/2010-04-01/Accounts/{ACCOUNT}/Messages"
BASIC = {"authorization": f"Basic {b64encode(f'{ACCOUNT}:{TOKEN}'.encode()).decode()}"}
BEARER = {"authorization": f"Bearer {KEY}"}
MIB = b"x" * (1024 * 1024)


def build(data_dir: Path, in_force: Mapping[str, BaseModel] | None = None) -> Emulators:
    mail = SendGridOptions.model_validate({"api_key": KEY, "from_email": "dev@x.org"})
    known = {"events-sms-twilio": options(), "events-email-sendgrid": mail}
    chosen = known if in_force is None else in_force
    settings = EmulatorSettings(data_dir, lambda: None, lambda: None, lambda: chosen)
    return Emulators(settings, VirtualClock())


async def ask(emulators: Emulators, method: str, path: str, **how: object) -> Reply:
    return await Client(emulators.app).request(method, path, **how)  # type: ignore[arg-type]


async def control_headers(emulators: Emulators, data_dir: Path) -> dict[str, str]:
    await emulators.start("http://127.0.0.1:4711")
    access = read_access(data_dir)
    assert access is not None
    return {"authorization": f"Bearer {access.token}"}


async def test_bodies_are_bounded_while_they_are_read(tmp_path: Path) -> None:
    emulators = build(tmp_path)
    bearer = await control_headers(emulators, tmp_path)
    for path, headers, limit in [
        (f"{MESSAGES}.json", BASIC, twilio.BODY_BYTES_MAX),
        ("/sendgrid/v3/mail/send", BEARER, sendgrid.BODY_BYTES_MAX),
        ("/receive/email", bearer, control.BODY_BYTES_MAX),
    ]:
        client = Client(emulators.app)
        parts = [MIB] * (limit // len(MIB) + 50)
        reply = await client.request("POST", path, headers=headers, parts=parts)
        assert reply.status == 413, path
        assert client.messages_read <= limit // len(MIB) + 2
    await emulators.stop()


async def test_only_messages_that_were_sent_can_be_read(tmp_path: Path) -> None:
    emulators = build(tmp_path)
    assert (await ask(emulators, "GET", f"{MESSAGES}/SM1.json", headers=BASIC)).status == 404
    for path in (f"{MESSAGES}/SM1.json", f"/twilio/2010-04-01/Accounts/{ACCOUNT}.json"):
        reply = await ask(emulators, "GET", path)
        assert (reply.status, reply.json["code"]) == (401, 20003)
    assert (await ask(emulators, "GET", "/sendgrid/v3/scopes")).status == 401
    assert (await ask(emulators, "DELETE", f"{MESSAGES}.json", headers=BASIC)).status == 404
    await emulators.stop()


async def test_a_provider_that_is_off_is_not_emulated(tmp_path: Path) -> None:
    emulators = build(tmp_path, {})
    bearer = await control_headers(emulators, tmp_path)
    assert (await ask(emulators, "POST", f"{MESSAGES}.json", headers=BASIC)).status == 401
    assert (await ask(emulators, "POST", "/sendgrid/v3/mail/send", headers=BEARER)).status == 401
    sms = json.dumps({"tenant": "demo", "from": THEIRS}).encode()
    reply = await ask(emulators, "POST", "/receive/sms", headers=bearer, parts=[sms])
    assert reply.json["accepted"] is False
    assert "not enabled" in reply.json["body"]
    await emulators.stop()


@pytest.mark.parametrize("url", ["http://0.0.0.0:80", "http://localhost:80", "http://[::]:80", "x"])
async def test_only_loopback_addresses_serve(tmp_path: Path, url: str) -> None:
    emulators = build(tmp_path)
    with pytest.raises(Exception, match="loopback only"):
        await emulators.start(url)
    assert (emulators.endpoints, emulators.grants) == ({}, frozenset())
    assert list(tmp_path.iterdir()) == []
    await emulators.stop()
