"""A real SMTP server (aiosmtpd) for tests, on a free loopback port, with a certificate of its own.

In: how it should behave. Out: its port and the mails it took. Handlers answer from tables that the
test fills in.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USERNAME = "postman"
PASSWORD = "rings-twice"


@dataclass
class TakenMail:
    sender: str
    recipients: list[str]
    content: bytes

    def parse(self) -> EmailMessage:
        parsed = message_from_bytes(self.content, policy=default)
        assert isinstance(parsed, EmailMessage)
        return parsed


@dataclass
class Postman:
    """The server's behaviour: replies by recipient, and to the data; connections are counted."""

    replies: dict[str, str] = field(default_factory=dict)
    data_reply: str = "250 OK queued as 1"
    drops_at_data: int = 0
    """How many more times to cut the connection instead of answering the data."""
    mails: list[TakenMail] = field(default_factory=list)
    sessions: set[int] = field(default_factory=set)
    logins: list[str] = field(default_factory=list)
    transports: list[Any] = field(default_factory=list)

    async def handle_EHLO(  # noqa: N802 - the library's name
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        if id(session) not in self.sessions:
            self.sessions.add(id(session))
            self.transports.append((session, server.transport))
        session.host_name = hostname
        return responses

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        reply = self.replies.get(address, "250 OK")
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.drops_at_data:
            self.drops_at_data -= 1
            server.transport.abort()
            return "250 nobody hears this"
        if self.data_reply.startswith("250"):
            self.mails.append(
                TakenMail(envelope.mail_from, list(envelope.rcpt_tos), envelope.content)
            )
        return self.data_reply

    def authenticate(self, server: Any, session: Any, envelope: Any, how: str, data: Any) -> Any:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login.decode())
        is_known = (data.login, data.password) == (USERNAME.encode(), PASSWORD.encode())
        return AuthResult(success=is_known, handled=False)


class _FreePort(Controller):
    """aiosmtpd connects to its own port to see that it is up; that needs the port's number."""

    @property
    def real_port(self) -> int:
        assert isinstance(self.server, asyncio.Server)
        return int(self.server.sockets[0].getsockname()[1])

    def _trigger_server(self) -> None:
        self.port = self.real_port
        super()._trigger_server()  # type: ignore[no-untyped-call]

    def factory(self) -> SMTP:
        session: SMTP = super().factory()  # type: ignore[no-untyped-call]
        # One method, so that a test knows what is sent.
        session._auth_methods = {
            name: method for name, method in session._auth_methods.items() if name == "PLAIN"
        }
        return session


@contextmanager
def smtp_server(postman: Postman, **options: Any) -> Iterator[int]:
    """Run a server in a thread; gives its port."""
    controller = _FreePort(
        postman, hostname="127.0.0.1", port=0, decode_data=False, ready_timeout=10, **options
    )
    controller.start()
    try:
        yield controller.real_port
    finally:
        controller.stop()


@dataclass(frozen=True)
class Certificate:
    path: Path
    context: ssl.SSLContext


def make_certificate(folder: Path) -> Certificate:
    """Make a certificate for 127.0.0.1 that nobody trusts but who is told to."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path, key_path = folder / "certificate.pem", folder / "key.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key_path)
    return Certificate(path, context)
