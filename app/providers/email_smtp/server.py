"""Which mail server, and how a connection to it is made.

In: checked options, the bundle's stand-in for the server if there is one. Out: connections that are
greeted, encrypted and logged in. Refuses, with SettingsError, a login that would travel in the
clear in env ``prod``, and a file of certificates that cannot be read.
"""

import ssl
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit

import aiosmtplib

from app.errors import SettingsError
from app.providers.email.sender import PROD_ENV
from app.providers.email_smtp.options import PORTS, SmtpOptions

Tls = Literal["starttls", "implicit", "none"]

_LOGIN_IN_THE_CLEAR: Final = "username and password would travel unencrypted: tls is none"


@dataclass(frozen=True, slots=True)
class MailServer:
    """A server and how to talk to it."""

    host: str
    port: int
    tls: Tls
    client_name: str
    timeout_seconds: float
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    context: ssl.SSLContext | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """Give host and port, for texts."""
        return f"{self.host}:{self.port}"

    async def connect(self) -> aiosmtplib.SMTP:
        """Open a connection, ready for mails; raises aiosmtplib's and the system's errors."""
        client = aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            use_tls=self.tls == "implicit",
            start_tls=self.tls == "starttls",
            tls_context=self.context,
            username=self.username,
            password=self.password,
            local_hostname=self.client_name,
            timeout=self.timeout_seconds,
        )
        is_ready = False
        try:
            await client.connect()
            is_ready = True
        finally:
            if not is_ready:
                client.close()
        return client


def server_of(options: SmtpOptions, endpoint: str | None, env: str) -> MailServer:
    """Make the server of its options; ``smtp://host:port`` stands in for it, without a login."""
    if options.host is None or options.from_email is None:
        raise SettingsError(["events-email-smtp: host and from_email are missing"])
    client_name = options.client_name or options.from_email.rpartition("@")[2]
    if endpoint is not None:
        parts = urlsplit(endpoint)
        if parts.scheme != "smtp" or parts.hostname is None:
            raise SettingsError(["events-email-smtp: the stand-in must be smtp://host:port"])
        port = parts.port or PORTS["none"]
        return MailServer(parts.hostname, port, "none", client_name, float(options.timeout))
    if env == PROD_ENV and clear_login_problem(options) is not None:
        raise SettingsError([f"events-email-smtp.tls: {_LOGIN_IN_THE_CLEAR}"])
    password = options.password
    return MailServer(
        host=options.host,
        port=options.port or PORTS[options.tls],
        tls=options.tls,
        client_name=client_name,
        timeout_seconds=float(options.timeout),
        username=options.username,
        password=None if password is None else password.get_secret_value(),
        context=None if options.tls == "none" else _context(options.ca_file),
    )


def clear_login_problem(options: SmtpOptions) -> str | None:
    """Say that a login would travel in the clear, if it would."""
    return _LOGIN_IN_THE_CLEAR if options.tls == "none" and options.password is not None else None


def _context(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise SettingsError(
            ["events-email-smtp.ca_file: cannot be read, or holds no certificates in PEM"]
        ) from None
