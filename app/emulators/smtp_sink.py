"""A mail server that keeps what it is given and delivers nothing.

In: SMTP on loopback, any port that is free, any login. Out: mails in the outbox. Refuses mails over
30 MB and more connections than it has room for.
"""

import asyncio
import secrets
from typing import Any, Final

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from actors.ports import Clock
from app.emulators.mime import RAW_CHARS_MAX, read_mail
from app.emulators.outbox import EMAIL, Outbox, OutboxMessage

HOST: Final = "127.0.0.1"
MAIL_BYTES_MAX: Final = 30 * 1024 * 1024
RECIPIENTS_MAX: Final = 1000
CONNECTIONS_MAX: Final = 50
IDLE_SECONDS_MAX: Final = 60.0


class SmtpSink:
    """Listens from `start` to `stop`."""

    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self._handler = _Handler(outbox, clock)
        self._server: asyncio.Server | None = None
        self._transports: set[asyncio.BaseTransport] = set()

    @property
    def url(self) -> str:
        """Give ``smtp://host:port``."""
        if self._server is None:
            return ""
        port = self._server.sockets[0].getsockname()[1]
        return f"smtp://{HOST}:{port}"

    async def start(self) -> None:
        """Listen on a free port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._build_protocol, HOST, 0)

    async def stop(self) -> None:
        """Close the door and all connections."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for transport in list(self._transports):
            transport.close()
        await server.wait_closed()

    def _build_protocol(self) -> SMTP:
        return _Connection(
            self._handler,
            transports=self._transports,
            data_size_limit=MAIL_BYTES_MAX,
            enable_SMTPUTF8=True,
            hostname="emulator.localhost",
            ident="greentic-events emulator",
            timeout=IDLE_SECONDS_MAX,
            auth_require_tls=False,
            authenticator=_let_in,
            loop=asyncio.get_running_loop(),
        )


class _Connection(SMTP):
    """A connection that is counted."""

    def __init__(
        self, handler: "_Handler", *, transports: set[asyncio.BaseTransport], **settings: Any
    ) -> None:
        super().__init__(handler, **settings)
        self._all_transports = transports
        self._own_transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take it in, or close it where there is no room."""
        if len(self._all_transports) >= CONNECTIONS_MAX:
            transport.close()
            return
        self._own_transport = transport
        self._all_transports.add(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget it."""
        if self._own_transport is not None:
            self._all_transports.discard(self._own_transport)
            super().connection_lost(error)


class _Handler:
    """Keeps mails; the names of its methods are aiosmtpd's."""

    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient."""
        if len(envelope.rcpt_tos) >= RECIPIENTS_MAX:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep a mail."""
        message_id = secrets.token_hex(12)
        self._outbox.add(self._kept(message_id, session, envelope))
        return f"250 OK: kept as {message_id}"

    def _kept(self, message_id: str, session: Session, envelope: Envelope) -> OutboxMessage:
        content = envelope.content
        raw = content if isinstance(content, bytes) else (content or "").encode()
        mail = read_mail(raw)
        source = raw[:RAW_CHARS_MAX].decode("utf-8", "replace")
        return OutboxMessage(
            id=message_id,
            kind=EMAIL,
            via="smtp",
            at_ms=self._clock.now_ms(),
            sender=envelope.mail_from or "",
            to=tuple(envelope.rcpt_tos),
            subject=mail.subject,
            body=mail.text,
            html=mail.html,
            attachments=mail.attachments,
            raw={
                "helo": session.host_name,
                "has_login": bool(session.authenticated),
                "headers": mail.headers,
                "source": source,
            },
            size_bytes=len(source) + len(mail.text) + len(mail.html) + _size(mail.headers),
        )


def _size(headers: list[list[str]]) -> int:
    return sum(len(name) + len(value) for name, value in headers)


def _let_in(*_login: Any) -> AuthResult:
    return AuthResult(success=True)
