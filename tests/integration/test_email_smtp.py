"""The SMTP provider against a real server: encryption, login, refusals, lost connections."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from actors.errors import NodeError, PermanentError, TransientError
from actors.testing.clock import VirtualClock
from actors.testing.http import MemoryHttp
from app.providers.email_smtp.options import SmtpOptions
from app.providers.email_smtp.outbound import SmtpSender
from app.providers.email_smtp.pool import IDLE_SECONDS_MAX, MAILS_MAX
from app.providers.email_smtp.spec import SMTP, build_smtp
from app.providers.provider import ActionCall, Provider, ProviderContext
from tests.support.smtp_server import (
    PASSWORD,
    USERNAME,
    Certificate,
    Postman,
    make_certificate,
    smtp_server,
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def postman() -> Postman:
    return Postman()


@pytest.fixture
def plain_port(postman: Postman) -> Iterator[int]:
    with smtp_server(postman) as port:
        yield port


class Office:
    """Providers of a test, closed at its end."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.providers: list[Provider] = []

    def provider(self, port: int, *, env: str = "dev", **options: Any) -> Provider:
        document = {"host": "127.0.0.1", "port": port, "from_email": "shop@example.org", **options}
        context = ProviderContext(env, MemoryHttp(), self.clock, templates=TEMPLATES)
        found = build_smtp(SmtpOptions.model_validate(document), context)
        self.providers.append(found)
        return found

    def sender(self, port: int, **options: Any) -> SmtpSender:
        outbound = self.provider(port, **options).outbound
        assert isinstance(outbound, SmtpSender)
        return outbound


TEMPLATES = {
    "welcome.hbs": "Dear {{name}}",
    "welcome.html.hbs": "<p>Dear {{name}}{{> sign}}</p>",
    "sign.hbs": " - us",
}


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    found = Office()
    yield found
    for provider in found.providers:
        assert provider.outbound is not None
        await provider.outbound.close()


def call(key: str = "run:send:0", action: str = "send", **arguments: Any) -> ActionCall:
    document = {"to": "ada@example.org", "subject": "Hello", "content": "text\n", **arguments}
    if action == "send_template":
        del document["content"]
    model = next(spec.arguments for spec in SMTP.actions if spec.name == action)
    return ActionCall("demo", action, model.model_validate(document), key, timeout_seconds=10)


def lines_of(part: Any) -> str:
    """Give a part's text with the line ends it had before it travelled."""
    return str(part.get_content()).replace("\r\n", "\n")


# ── Handing over ─────────────────────────────────────────────────────────────────────────────


async def test_mail_arrives_with_all_its_parts(
    postman: Postman, plain_port: int, office: Office
) -> None:
    sender = office.sender(plain_port, tls="none", from_name="Täte's shop")
    receipt = await sender.perform(
        call(
            to=["Ada <ada@example.org>", {"email": "bob@example.org", "name": "Böb, Jr."}],
            cc="carl@example.org",
            bcc=["dan@example.org", "ADA@example.org"],
            reply_to="help@example.org",
            html="<b>text</b>",
            categories=["orders"],
            headers={"X-Order": "7"},
            attachments=[
                {"filename": "bill.pdf", "content": "JVBERg==", "type": "application/pdf"}
            ],
        )
    )
    taken = postman.mails[0]
    assert taken.sender == "shop@example.org"
    assert taken.recipients == [
        "ada@example.org",
        "bob@example.org",
        "carl@example.org",
        "dan@example.org",
    ]
    assert b"dan@" not in taken.content
    mail = taken.parse()
    assert str(mail["from"].addresses[0].display_name) == "Täte's shop"
    assert [a.display_name for a in mail["to"].addresses] == ["Ada", "Böb, Jr."]
    assert mail["reply-to"] == "help@example.org"
    assert mail["keywords"] == "orders"
    assert mail["x-order"] == "7"
    kinds = [part.get_content_type() for part in mail.walk()]
    assert kinds == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "application/pdf",
    ]
    assert next(iter(mail.iter_attachments())).get_content() == b"%PDF"
    assert receipt == {
        "message_id": mail["message-id"],
        "status": "accepted",
        "accepted": 4,
        "refused": [],
        "reply": "OK queued as 1",
    }


async def test_repeated_step_has_the_same_message_id(
    postman: Postman, plain_port: int, office: Office
) -> None:
    sender = office.sender(plain_port, tls="none")
    for key in ("a", "a", "b"):
        await sender.perform(call(key))
    ids = [taken.parse()["message-id"] for taken in postman.mails]
    assert ids[0] == ids[1] != ids[2]
    assert ids[0].endswith("@example.org>")


async def test_local_template_writes_text_and_escaped_html(
    postman: Postman, plain_port: int, office: Office
) -> None:
    sender = office.sender(plain_port, tls="none")
    data = {"name": "<Ada>"}
    await sender.perform(
        call(action="send_template", template_id="welcome", dynamic_data=data, subject="Hi")
    )
    mail = postman.mails[0].parse()
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert lines_of(text).rstrip() == "Dear <Ada>"
    assert html is not None
    assert lines_of(html).rstrip() == "<p>Dear &lt;Ada&gt; - us</p>"


async def test_lines_of_dots_arrive_as_written(
    postman: Postman, plain_port: int, office: Office
) -> None:
    text = ".\n..\nMAIL FROM:<x@y>\r\n.\r\nend\n"
    await office.sender(plain_port, tls="none").perform(call(content=text))
    body = postman.mails[0].parse().get_body()
    assert body is not None
    assert lines_of(body) == text.replace("\r\n", "\n")


# ── Encryption and login ─────────────────────────────────────────────────────────────────────


def guarded(postman: Postman, certificate: Certificate, tls: str) -> AbstractContextManager[int]:
    options: dict[str, Any] = {"authenticator": postman.authenticate}
    if tls == "starttls":
        context = certificate.context
        options |= {"tls_context": context, "require_starttls": True, "auth_required": True}
    else:
        options |= {"ssl_context": certificate.context, "auth_require_tls": False}
    return smtp_server(postman, **options)


LOGIN = {"username": USERNAME, "password": PASSWORD}


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_login_over_tls(
    postman: Postman, certificate: Certificate, office: Office, tls: str
) -> None:
    with guarded(postman, certificate, tls) as port:
        options = {"tls": tls, "ca_file": str(certificate.path), **LOGIN}
        provider = office.provider(port, env="prod", **options)
        assert provider.warnings == ()
        assert await provider.check() == ()
        assert provider.outbound is not None
        await provider.outbound.perform(call())
        assert len(postman.mails) == 1
        assert postman.logins == [USERNAME]
        await provider.outbound.close()


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_wrong_password_is_permanent_and_never_told(
    postman: Postman, certificate: Certificate, office: Office, tls: str
) -> None:
    with guarded(postman, certificate, tls) as port:
        login = {"username": USERNAME, "password": "open-sesame"}
        provider = office.provider(port, tls=tls, ca_file=str(certificate.path), **login)
        assert provider.outbound is not None
        with pytest.raises(PermanentError) as caught:
            await provider.outbound.perform(call())
        assert caught.value.reason == "email.unauthorized"
        problems = await provider.check()
        assert len(problems) == 1
        assert "open-sesame" not in f"{caught.value}{problems}{provider!r}"
        assert postman.mails == []


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_certificate_that_nobody_trusts_is_refused_before_the_login(
    postman: Postman, certificate: Certificate, office: Office, tls: str
) -> None:
    with guarded(postman, certificate, tls) as port, pytest.raises(PermanentError) as caught:
        await office.sender(port, tls=tls, **LOGIN).perform(call())
    assert caught.value.reason == "email.certificate"
    assert postman.logins == []


async def test_server_without_starttls_is_not_talked_to(
    postman: Postman, plain_port: int, office: Office
) -> None:
    with pytest.raises(PermanentError) as caught:
        await office.sender(plain_port, **LOGIN).perform(call())
    assert caught.value.reason == "email.not_supported"
    assert postman.mails == []


async def test_server_without_logins_is_a_permanent_failure(
    postman: Postman, plain_port: int, office: Office
) -> None:
    sender = office.sender(plain_port, tls="none", **LOGIN)
    with pytest.raises(PermanentError) as caught:
        await sender.perform(call())
    assert caught.value.reason == "email.not_supported"


# ── Refusals ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("450 mailbox busy", TransientError),
        ("552 too large", PermanentError),
        ("421 closing", TransientError),
    ],
)
async def test_reply_to_the_data_decides(
    postman: Postman, plain_port: int, office: Office, reply: str, kind: type[NodeError]
) -> None:
    sender = office.sender(plain_port, tls="none")
    postman.data_reply = reply
    with pytest.raises(kind) as caught:
        await sender.perform(call())
    assert reply[:3] in str(caught.value)
    postman.data_reply = "250 OK"
    await sender.perform(call())
    assert len(postman.mails) == 1


async def test_refused_recipients_are_reported_and_the_others_get_the_mail(
    postman: Postman, plain_port: int, office: Office
) -> None:
    postman.replies = {"bad@example.org": "550 no such user", "full@example.org": "452 full"}
    recipients = ["ada@example.org", "bad@example.org", "full@example.org"]
    receipt = await office.sender(plain_port, tls="none").perform(call(to=recipients))
    assert postman.mails[0].recipients == ["ada@example.org"]
    assert receipt["accepted"] == 1
    assert receipt["refused"] == [
        {
            "email": "bad@example.org",
            "code": 550,
            "message": "no such user",
            "is_transient": False,
        },
        {"email": "full@example.org", "code": 452, "message": "full", "is_transient": True},
    ]


@pytest.mark.parametrize(
    ("replies", "kind"),
    [
        (["550 no", "551 no"], PermanentError),
        (["550 no", "450 later"], TransientError),
    ],
)
async def test_mail_that_nobody_takes_fails(
    postman: Postman, plain_port: int, office: Office, replies: list[str], kind: type[NodeError]
) -> None:
    recipients = ["a@example.org", "b@example.org"]
    postman.replies = dict(zip(recipients, replies, strict=True))
    with pytest.raises(kind) as caught:
        await office.sender(plain_port, tls="none").perform(call(to=recipients))
    assert caught.value.reason == "email.recipients_refused"
    assert postman.mails == []


async def test_no_server_is_transient(office: Office, unused_tcp_port: int) -> None:
    provider = office.provider(unused_tcp_port, tls="none")
    assert provider.outbound is not None
    with pytest.raises(TransientError) as caught:
        await provider.outbound.perform(call())
    assert caught.value.reason == "email.connection"
    assert len(await provider.check()) == 1


async def test_server_that_says_nothing_is_given_up_in_time(office: Office) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    arguments = call().arguments
    quick = ActionCall("demo", "send", arguments, "k", timeout_seconds=0.1)
    with pytest.raises(TransientError) as caught:
        await office.sender(port, tls="none").perform(quick)
    assert caught.value.reason == "email.timeout"
    server.close()


# ── Connections ──────────────────────────────────────────────────────────────────────────────


async def test_connection_is_used_again(postman: Postman, plain_port: int, office: Office) -> None:
    sender = office.sender(plain_port, tls="none")
    for _ in range(5):
        await sender.perform(call())
    assert len(postman.mails) == 5
    assert len(postman.sessions) == 1


async def test_connection_that_died_while_it_waited_is_replaced(
    postman: Postman, plain_port: int, office: Office
) -> None:
    sender = office.sender(plain_port, tls="none")
    await sender.perform(call())
    session, transport = postman.transports[0]
    session.loop.call_soon_threadsafe(transport.abort)
    await sender.perform(call())
    assert len(postman.mails) == 2
    assert len(postman.transports) == 2


async def test_connection_lost_in_the_middle_is_transient_and_not_kept(
    postman: Postman, plain_port: int, office: Office
) -> None:
    sender = office.sender(plain_port, tls="none")
    postman.drops_at_data = 1
    with pytest.raises(TransientError) as caught:
        await sender.perform(call())
    assert caught.value.reason == "email.maybe_sent"
    assert sender.pool.idle == 0
    await sender.perform(call())
    assert len(postman.mails) == 1


async def test_old_connections_are_closed(
    postman: Postman, plain_port: int, office: Office
) -> None:
    sender = office.sender(plain_port, tls="none")
    await sender.perform(call())
    await office.clock.advance(IDLE_SECONDS_MAX + 1)
    await sender.perform(call())
    assert len(postman.transports) == 2
    assert sender.pool.idle == 1


async def test_connection_is_closed_after_its_share_of_mails(
    postman: Postman, plain_port: int, office: Office
) -> None:
    sender = office.sender(plain_port, tls="none")
    for _ in range(MAILS_MAX + 1):
        await sender.perform(call())
    assert len(postman.transports) == 2


async def test_connections_are_bounded(postman: Postman, plain_port: int, office: Office) -> None:
    sender = office.sender(plain_port, tls="none", connections=2)
    await asyncio.gather(*(sender.perform(call(str(number))) for number in range(20)))
    assert len(postman.mails) == 20
    assert len(postman.transports) == 2
    assert sender.pool.idle == 2


async def test_cancelled_mail_leaves_no_half_spoken_connection(office: Office) -> None:
    is_waiting, is_closed = asyncio.Event(), asyncio.Event()

    async def fall_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        while line := await reader.readline():
            if line.startswith(b"MAIL"):
                is_waiting.set()
            else:
                writer.write(b"250 OK\r\n")
        is_closed.set()
        writer.close()

    server = await asyncio.start_server(fall_silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sender = office.sender(port, tls="none", connections=1)
    task = asyncio.create_task(sender.perform(call()))
    await is_waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sender.pool.idle == 0
    await is_closed.wait()
    server.close()


async def test_nothing_is_kept_after_closing(
    postman: Postman, plain_port: int, office: Office
) -> None:
    sender = office.sender(plain_port, tls="none")
    await sender.perform(call())
    await sender.close()
    assert sender.pool.idle == 0


async def test_stand_in_gets_mails_without_a_login(
    postman: Postman, plain_port: int, office: Office, tmp_path: Path
) -> None:
    options = {"host": "mail.example.org", "from_email": "a@example.org", **LOGIN}
    endpoints = {"events-email-smtp": f"smtp://127.0.0.1:{plain_port}"}
    context = ProviderContext("dev", MemoryHttp(), office.clock, endpoints=endpoints)
    provider = build_smtp(SmtpOptions.model_validate(options), context)
    office.providers.append(provider)
    assert provider.warnings == ()
    assert provider.outbound is not None
    await provider.outbound.perform(call())
    assert len(postman.mails) == 1
    assert postman.logins == []
