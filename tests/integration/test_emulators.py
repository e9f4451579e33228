"""Emulators on real sockets: official clients as judges, and our own providers round and round."""

import asyncio
import base64
import json
import smtplib
import stat
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import sendgrid
from python_http_client.exceptions import (  # type: ignore[import-untyped]
    BadRequestsError,
    HTTPError,
)
from sendgrid.helpers.mail import Attachment, Mail, MailSettings, SandBoxMode
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from actors.errors import PermanentError
from actors.outcomes import Answer
from actors.ports import HttpRequest
from app.emulators.access import read_access
from app.emulators.emulators import Emulators, EmulatorSettings
from app.emulators.smtp_sink import CONNECTIONS_MAX
from app.errors import SettingsError
from app.outbound import EgressPolicy, GuardedCaller
from app.outbound.policy import PrivateGrants
from app.providers.provider import ActionCall, Provider
from app.system import SystemClock
from tests.support.emulators import TENANT, EmulatorRig, emulator_rig

THEIRS = "+14155550123"
OURS = "+15005550006"
SERVICE = "MG" + "7b" * 16


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[EmulatorRig]:
    async with emulator_rig(tmp_path / "data") as started:
        yield started


def twilio_client(rig: EmulatorRig, token: str | None = None) -> Client:
    account, right = rig.account
    client = Client(account, right if token is None else token)
    client.api.base_url = f"{rig.url}/twilio"
    return client


async def control(
    rig: EmulatorRig, method: str, path: str, *, token: str | None = None, **content: Any
) -> httpx.Response:
    access = read_access(rig.data_dir)
    assert access is not None
    bearer = access.token if token is None else token
    async with httpx.AsyncClient(base_url=access.url, trust_env=False) as client:
        headers = {"authorization": f"Bearer {bearer}"}
        return await client.request(method, path, headers=headers, **content)


async def act(provider: Provider, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
    from app.providers.catalog import find_provider

    spec = find_provider(provider.name)
    assert spec is not None
    assert provider.outbound is not None
    model = next(item.arguments for item in spec.actions if item.name == action)
    call = ActionCall(TENANT, action, model.model_validate(arguments), "key")
    return dict(await provider.outbound.perform(call))


# ── Twilio ───────────────────────────────────────────────────────────────────────────────────


async def test_twilios_client_sends_and_hears_callbacks(rig: EmulatorRig) -> None:
    callback = f"{rig.ingress_url}/events/sms/twilio/{TENANT}/status"

    def send() -> Any:
        return twilio_client(rig).messages.create(
            to=THEIRS, messaging_service_sid=SERVICE, body="Ça va? 👍", status_callback=callback
        )

    message = await asyncio.to_thread(send)
    assert message.status == "accepted"
    assert (message.to, message.body, message.num_segments) == (THEIRS, "Ça va? 👍", "1")
    assert message.date_created is not None
    await rig.wait(lambda: len(rig.events) == 3)
    statuses = [event.payload["status"] for event in rig.events]
    assert statuses == ["queued", "sent", "delivered"]
    assert {event.payload["message_sid"] for event in rig.events} == {message.sid}
    ranks = [event.payload["rank"] for event in rig.events]
    assert ranks == sorted(set(ranks))
    fetched = await asyncio.to_thread(lambda: twilio_client(rig).messages(message.sid).fetch())
    assert fetched.body == "Ça va? 👍"
    account = await asyncio.to_thread(
        lambda: twilio_client(rig).api.accounts(rig.account[0]).fetch()
    )
    assert account.status == "active"


REFUSED: list[tuple[dict[str, Any], int]] = [
    ({"to": "12345"}, 21211),
    ({"to": "+15005550001"}, 21211),
    ({"to": "+15005550002"}, 21612),
    ({"to": "+15005550003"}, 21408),
    ({"to": "+15005550004"}, 21610),
    ({"to": "+15005550009"}, 21614),
    ({"from_": "+15005550001"}, 21212),
    ({"from_": "+15005550007"}, 21606),
    ({"from_": "+15005550008"}, 21611),
    ({"from_": "?"}, 21212),
    ({"from_": None}, 21603),
    ({"body": None}, 21602),
    ({"body": "x" * 1601}, 21617),
    ({"media_url": ["https://x.org"] * 11}, 21623),
    ({"media_url": ["nowhere"]}, 21620),
    ({"status_callback": "nowhere"}, 21609),
    ({"messaging_service_sid": "MG1"}, 20404),
]


async def test_twilios_client_hears_errors(rig: EmulatorRig) -> None:
    client = twilio_client(rig)

    def send(more: dict[str, Any]) -> None:
        client.messages.create(**{"to": THEIRS, "from_": OURS, "body": "hi", **more})

    for more, code in REFUSED:
        with pytest.raises(TwilioRestException) as caught:
            await asyncio.to_thread(send, more)
        assert caught.value.code == code, more
    assert len(rig.emulators.outbox) == 0


async def test_wrong_credentials_open_nothing(rig: EmulatorRig) -> None:
    with pytest.raises(TwilioRestException) as caught:
        await asyncio.to_thread(
            lambda: twilio_client(rig, "wrong").messages.create(to=THEIRS, from_=OURS, body="x")
        )
    assert (caught.value.status, caught.value.code) == (401, 20003)
    account, token = rig.account
    other = "AC" + "0" * 32
    async with httpx.AsyncClient(base_url=rig.url, trust_env=False) as client:
        path = f"/twilio/2010-04-01/Accounts/{other}/Messages.json"
        assert (await client.post(path, auth=(account, token))).status_code == 401
        for value in ("Basic !", "Basic e30=", "Bearer x", "Basic \u00ff"):
            raw = value.encode("latin-1")
            answer = await client.post(path, headers=[(b"authorization", raw)])
            assert answer.status_code == 401


async def test_our_provider_sends_and_its_status_events_come_back(rig: EmulatorRig) -> None:
    provider = rig.ingress.providers["events-sms-twilio"]
    receipt = await act(
        provider, "send", {"to": THEIRS, "body": "hello", "media_url": "https://x.org/a.png"}
    )
    assert receipt["status"] == "queued"
    await rig.wait(lambda: len(rig.events) == 2)
    assert [event.payload["status"] for event in rig.events] == ["sent", "delivered"]
    assert rig.events[0].metadata["signature"] == "auth_token"
    kept = rig.emulators.outbox.find(receipt["sid"])
    assert kept is not None
    await rig.wait(lambda: kept.notes == ["sent: answered 200", "delivered: answered 200"])
    assert await provider.check() == ()
    with pytest.raises(PermanentError, match="21610"):
        await act(provider, "send", {"to": "+15005550004", "body": "hello"})


async def test_emulators_are_reached_by_their_grant_alone(rig: EmulatorRig) -> None:
    """Calls of flows go through the same guard: without the grant loopback stays closed."""
    request = HttpRequest("GET", f"{rig.url}/sendgrid/v3/scopes")
    async with GuardedCaller(EgressPolicy(), clock=SystemClock()) as closed:
        with pytest.raises(PermanentError):
            await closed.call(TENANT, request)
    private = PrivateGrants(endpoints=rig.emulators.grants)
    async with GuardedCaller(EgressPolicy(private=private), clock=SystemClock()) as open_:
        assert (await open_.call(TENANT, request)).status == 401
        with pytest.raises(PermanentError):
            await open_.call(TENANT, HttpRequest("GET", f"{rig.ingress_url}/health"))


async def test_a_message_can_fail_on_its_way(rig: EmulatorRig) -> None:
    provider = rig.ingress.providers["events-sms-twilio"]
    await act(provider, "send", {"to": "+15005553005", "body": "hello"})
    await rig.wait(lambda: len(rig.events) == 2)
    last = rig.events[-1].payload
    assert (last["status"], last["error_code"], last["error_kind"]) == (
        "undelivered", 30005, "permanent",
    )  # fmt: skip


async def test_no_callback_leaves_this_machine(rig: EmulatorRig) -> None:
    urls = ["https://example.org/events/sms/twilio/demo/status", f"{rig.ingress_url}/metrics"]
    client = twilio_client(rig)

    def send(url: str) -> None:
        client.messages.create(to=THEIRS, from_=OURS, body="x", status_callback=url)

    for url in urls:
        await asyncio.to_thread(send, url)
    notes = [message.notes for message in rig.emulators.outbox.newest()]
    assert notes == [["no callbacks: the URL is none of our routes"]] * 2


# ── Messages from outside ────────────────────────────────────────────────────────────────────


async def test_an_incoming_message_is_answered_in_twiml(rig: EmulatorRig) -> None:
    rig.ingress.door.flows = 1
    rig.ingress.inbox.messages.append(Answer(200, body="Thanks & bye <3"))
    sms = {
        "tenant": TENANT,
        "from": THEIRS,
        "body": "STATUS é",
        "media": ["https://x.org/a.PNG?x=1"],
    }
    answer = (await control(rig, "POST", "/receive/sms", json=sms)).json()
    assert (answer["status"], answer["accepted"]) == (200, True)
    assert answer["messages"] == ["Thanks & bye <3"]
    (event,) = rig.events
    assert event.event_type == "twilio.sms.incoming"
    assert (event.payload["from"], event.payload["to"]) == (THEIRS, OURS)
    assert event.payload["body"] == "STATUS é"
    assert event.payload["media"] == [{"url": "https://x.org/a.PNG?x=1", "type": "image/png"}]
    assert event.delivery_id == answer["message_sid"]


async def test_an_incoming_message_nobody_answers(rig: EmulatorRig) -> None:
    sms = {"tenant": TENANT, "from": THEIRS, "to": "+15005550999", "body": "hi"}
    answer = (await control(rig, "POST", "/receive/sms", json=sms)).json()
    assert (answer["status"], answer["messages"]) == (200, [])
    assert rig.events[0].payload["to"] == "+15005550999"
    nobody = (await control(rig, "POST", "/receive/sms", json={**sms, "tenant": "x"})).json()
    assert (nobody["status"], nobody["accepted"]) == (404, False)


async def test_an_incoming_mail_becomes_an_event(rig: EmulatorRig) -> None:
    mail = {
        "tenant": TENANT,
        "from": "Zoë <zoe@example.com>",
        "subject": "Größe",
        "text": "plain ✓",
        "html": "<p>✓</p>",
        "attachments": [
            {
                "filename": "a b.txt",
                "type": "text/plain",
                "content": base64.b64encode(b"hello").decode(),
            }
        ],
    }
    answer = (await control(rig, "POST", "/receive/email", json=mail)).json()
    assert answer["accepted"], answer
    assert answer["event_id"]
    (event,) = rig.events
    assert event.event_type == "email.received"
    assert event.metadata["signature"] == "inbound_parse.token"
    told = json.dumps(event.payload, ensure_ascii=False)
    for part in ("Größe", "plain ✓", "zoe@example.com", "a b.txt", "dev@example.org"):
        assert part in told
    token = rig.options["events-email-sendgrid"]["inbound_parse"]["token"]
    assert token not in told + json.dumps(dict(event.metadata))
    (stored,) = rig.ingress.blobs.stored
    assert stored[1].content == b"hello"


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/receive/sms", {"tenant": "demo", "from": "?", "body": "x"}),
        ("/receive/sms", {"tenant": "../x", "from": THEIRS}),
        ("/receive/sms", {"tenant": "demo", "from": THEIRS, "body": 1}),
        ("/receive/sms", []),
        ("/receive/email", {"tenant": "demo", "from": "a@b\r\nBcc: c@d"}),
        ("/receive/email", {"tenant": "demo", "from": "a@b", "subject": "a\nb"}),
        ("/receive/email", {"tenant": "demo", "from": "a@b", "attachments": [
            {"filename": "a", "content": "?", "type": "text/plain"}]}),
    ],
)  # fmt: skip
async def test_malformed_messages_are_refused(rig: EmulatorRig, path: str, document: Any) -> None:
    answer = await control(rig, "POST", path, json=document)
    assert answer.status_code == 422
    assert answer.json()["error"]
    assert rig.events == []


# ── SendGrid ─────────────────────────────────────────────────────────────────────────────────


def sendgrid_client(rig: EmulatorRig, key: str | None = None) -> Any:
    right = rig.options["events-email-sendgrid"]["api_key"]
    return sendgrid.SendGridAPIClient(key or right, host=f"{rig.url}/sendgrid")


def a_mail() -> Mail:
    mail = Mail("dev@example.org", "zoe@example.com", "Größe", "plain ✓", "<p>✓</p>")
    mail.add_attachment(Attachment(base64.b64encode(b"hello").decode(), "a.txt", "text/plain"))
    return mail


async def test_sendgrids_client_sends(rig: EmulatorRig) -> None:
    answer = await asyncio.to_thread(lambda: sendgrid_client(rig).send(a_mail()))
    assert (answer.status_code, answer.body) == (202, b"")
    kept = rig.emulators.outbox.find(answer.headers["X-Message-Id"])
    assert kept is not None
    assert (kept.kind, kept.via, kept.subject) == ("email", "sendgrid", "Größe")
    assert (kept.sender, list(kept.to)) == ("dev@example.org", ["zoe@example.com"])
    assert (kept.body, kept.html) == ("plain ✓", "<p>✓</p>")
    assert kept.attachments == [{"filename": "a.txt", "type": "text/plain", "bytes": 5}]
    scopes = await asyncio.to_thread(sendgrid_client(rig).client.scopes.get)
    assert "mail.send" in json.loads(scopes.body)["scopes"]


async def test_sendgrids_client_hears_errors(rig: EmulatorRig) -> None:
    document = a_mail().get()
    document["content"].reverse()
    document["personalizations"][0]["to"].append({"email": "ZOE@example.com"})
    with pytest.raises(BadRequestsError) as caught:
        await asyncio.to_thread(
            lambda: sendgrid_client(rig).client.mail.send.post(request_body=document)
        )
    errors = caught.value.to_dict["errors"]
    assert {"message", "field", "help"} == set(errors[0])
    assert [error["field"] for error in errors] == ["personalizations.0.to.1.email", "content"]
    with pytest.raises(HTTPError) as refused:
        await asyncio.to_thread(lambda: sendgrid_client(rig, "SG.wrong").send(a_mail()))
    assert refused.value.status_code == 401


async def test_a_sandboxed_mail_is_checked_and_not_kept(rig: EmulatorRig) -> None:
    mail = a_mail()
    mail.mail_settings = MailSettings(sandbox_mode=SandBoxMode(enable=True))
    answer = await asyncio.to_thread(lambda: sendgrid_client(rig).send(mail))
    assert answer.status_code == 200
    assert len(rig.emulators.outbox) == 0


async def test_our_provider_mails_by_sendgrid(rig: EmulatorRig) -> None:
    provider = rig.ingress.providers["events-email-sendgrid"]
    receipt = await act(provider, "send", {
        "to": "Zoë <zoe@example.com>", "subject": "Hi", "content": "c", "html": "<p>h</p>",
        "attachments": [{"filename": "a.txt", "content": "aGVsbG8=", "type": "text/plain"}],
    })  # fmt: skip
    kept = rig.emulators.outbox.find(receipt["message_id"])
    assert kept is not None
    assert (kept.body, kept.html) == ("c", "<p>h</p>")
    templated = await act(
        provider,
        "send_template",
        {"to": "zoe@example.com", "template_id": "d-1", "dynamic_data": {"a": 1}},
    )
    kept = rig.emulators.outbox.find(templated["message_id"])
    assert kept is not None
    assert kept.raw["personalizations"][0]["dynamic_template_data"] == {"a": 1}
    assert await provider.check() == ()


# ── Mail server ──────────────────────────────────────────────────────────────────────────────


async def test_smtplib_sends_with_any_login(rig: EmulatorRig) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "dev@example.org", "zoe@example.com", "Größe"
    mail.set_content("plain ✓\n")
    mail.add_alternative("<p>✓</p>", subtype="html")
    mail.add_attachment(b"hello", maintype="text", subtype="csv", filename="a b.csv")
    url = httpx.URL(rig.emulators.endpoints["events-email-smtp"])

    def send() -> None:
        with smtplib.SMTP(url.host, url.port or 0, timeout=5) as client:
            client.login("anybody", "anything")
            client.send_message(mail, to_addrs=["zoe@example.com", "hidden@example.com"])

    await asyncio.to_thread(send)
    (kept,) = rig.emulators.outbox.newest(kind="email")
    assert kept.via == "smtp"
    assert (kept.sender, list(kept.to)) == (
        "dev@example.org",
        ["zoe@example.com", "hidden@example.com"],
    )
    assert (kept.subject, kept.body.strip(), kept.html.strip()) == ("Größe", "plain ✓", "<p>✓</p>")
    assert kept.attachments == [{"filename": "a b.csv", "type": "text/csv", "bytes": 5}]
    assert kept.raw["has_login"]
    assert "anything" not in json.dumps(kept.as_document())


async def test_our_provider_mails_by_smtp(rig: EmulatorRig) -> None:
    provider = rig.ingress.providers["events-email-smtp"]
    await act(provider, "send", {"to": "zoe@example.com", "subject": "Hi", "content": "c"})
    (kept,) = rig.emulators.outbox.newest()
    assert (kept.subject, kept.body.strip()) == ("Hi", "c")


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\r\n", b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n", b"Subject: =?x?q?=ff?=\r\n\r\nb",
     b"Content-Type: text/plain; charset=klingon\r\n\r\nb", b'From: (((((\r\nTo: "\r\n\r\n', b"\r\n"],
)  # fmt: skip
async def test_any_mail_is_kept(rig: EmulatorRig, content: bytes) -> None:
    url = httpx.URL(rig.emulators.endpoints["events-email-smtp"])

    def send() -> None:
        with smtplib.SMTP(url.host, url.port or 0, timeout=5) as client:
            client.sendmail("a@example.org", ["b@example.org"], content)

    await asyncio.to_thread(send)
    assert len(rig.emulators.outbox) == 1
    shown = await control(rig, "GET", f"/outbox/{rig.emulators.outbox.newest()[0].id}")
    assert shown.status_code == 200


async def test_the_mail_server_has_room_for_so_many_connections(rig: EmulatorRig) -> None:
    url = httpx.URL(rig.emulators.endpoints["events-email-smtp"])
    writers = []
    for _ in range(CONNECTIONS_MAX):
        reader, writer = await asyncio.open_connection(url.host, url.port)
        assert (await reader.readline()).startswith(b"220 ")
        writers.append(writer)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    assert await reader.read() == b"", "closed without a word"
    writer.close()
    writers.pop().close()
    await asyncio.sleep(0.05)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    assert (await reader.readline()).startswith(b"220 ")
    for each in (*writers, writer):
        each.close()


# ── Control, start and stop ──────────────────────────────────────────────────────────────────


async def test_the_outbox_is_listed_and_shown(rig: EmulatorRig) -> None:
    provider = rig.ingress.providers["events-sms-twilio"]
    for number in range(3):
        await act(provider, "send", {"to": THEIRS, "body": f"text {number}"})
    listed = (await control(rig, "GET", "/outbox", params={"kind": "sms", "count": "2"})).json()
    assert [each["excerpt"] for each in listed["messages"]] == ["text 2", "text 1"]
    assert (listed["kept"], listed["dropped"]) == (3, 0)
    assert (await control(rig, "GET", "/outbox?kind=email")).json()["messages"] == []
    shown = (await control(rig, "GET", f"/outbox/{listed['messages'][0]['id']}")).json()
    assert shown["body"] == "text 2"
    assert shown["raw"]["form"]["Body"] == ["text 2"]
    assert (await control(rig, "GET", "/outbox/none")).status_code == 404
    assert (await control(rig, "GET", "/outbox?kind=fax")).status_code == 422


async def test_control_needs_the_token(rig: EmulatorRig) -> None:
    for method, path in [("GET", "/outbox"), ("GET", "/outbox/x"), ("POST", "/receive/sms"),
                         ("POST", "/receive/email")]:  # fmt: skip
        assert (await control(rig, method, path, token="wrong")).status_code == 401
    async with httpx.AsyncClient(base_url=rig.url, trust_env=False) as client:
        assert (await client.get("/outbox")).status_code == 401
        assert (await client.get("/nothing")).status_code == 404


async def test_the_file_is_private_and_goes_at_the_end(tmp_path: Path) -> None:
    async with emulator_rig(tmp_path) as rig:
        path = rig.data_dir / "emulators.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        document = json.loads(path.read_text())
        assert document["url"] == rig.url
        assert document["smtp"] == rig.emulators.endpoints["events-email-smtp"]
        assert rig.account[1] not in path.read_text()
    assert not path.exists()
    assert list(tmp_path.iterdir()) == []
    assert rig.emulators.endpoints == {}


async def test_emulators_are_served_on_loopback_only(tmp_path: Path) -> None:
    settings = EmulatorSettings(tmp_path, lambda: None, lambda: None, dict)
    emulators = Emulators(settings, SystemClock())
    with pytest.raises(SettingsError, match="loopback"):
        await emulators.start("http://192.0.2.1:80")
    await emulators.stop()
    await emulators.stop()


async def test_what_is_signed_has_the_public_name(tmp_path: Path) -> None:
    """Behind a proxy, signatures cover the public URL, while the post goes to loopback."""
    seen: list[tuple[str, str]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        headers = dict(scope["headers"])
        seen.append((headers[b"x-twilio-signature"].decode(), body.decode()))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    from app.http.server import HttpServer
    from tests.support.twilio import BASE, TOKEN, options

    server = HttpServer(app, "127.0.0.1", 0)
    await server.start()
    settings = EmulatorSettings(
        tmp_path, lambda: server.url, lambda: BASE, lambda: {"events-sms-twilio": options()}
    )
    emulators = Emulators(settings, SystemClock())
    own = HttpServer(emulators.app, "127.0.0.1", 0)
    await own.start()
    await emulators.start(own.url)
    access = read_access(tmp_path)
    assert access is not None
    async with httpx.AsyncClient(base_url=own.url, trust_env=False) as client:
        headers = {"authorization": f"Bearer {access.token}"}
        sms = {"tenant": TENANT, "from": THEIRS, "body": "a&b=c"}
        await client.post("/receive/sms", json=sms, headers=headers)
    await emulators.stop()
    await own.stop(1)
    await server.stop(1)
    ((signature, body),) = seen
    fields = dict(httpx.QueryParams(body))
    url = f"{BASE}/events/sms/twilio/{TENANT}/incoming"
    assert RequestValidator(TOKEN).validate(url, fields, signature)
