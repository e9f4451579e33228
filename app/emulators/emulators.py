"""The emulators of one process, from start to stop.

In: where our ingress is, the options of the bundle in force, a data folder, a clock. Out: an ASGI
application for the composition root to serve on loopback, base URLs for the providers, and
``emulators.json`` for the command line. Refuses to be served anywhere but on loopback.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from actors.ports import Clock
from app.emulators import sendgrid, twilio
from app.emulators.access import LOOPBACK, EmulatorAccess, new_token, remove_access, write_access
from app.emulators.accounts import SENDGRID_NAME, SMTP_NAME, TWILIO_NAME, Accounts, accounts_of
from app.emulators.control import ControlRoutes
from app.emulators.ingress_client import IngressClient
from app.emulators.outbox import Outbox
from app.emulators.receiving import Receiver
from app.emulators.requests import respond
from app.emulators.smtp_sink import SmtpSink
from app.emulators.status_reports import StatusReports
from app.errors import SettingsError

HOST: Final = "127.0.0.1"
Endpoint = tuple[IPv4Address | IPv6Address, int]


@dataclass(frozen=True, slots=True)
class EmulatorSettings:
    """What the emulators need of the program around them. The functions are asked each time."""

    data_dir: Path
    ingress_url: Callable[[], str | None]
    """Where this process's public server is, without a slash at the end; None: it has none."""
    public_url: Callable[[], str | None]
    """`public_base_url`: what senders call it, and so what signatures cover."""
    options: Callable[[], Mapping[str, BaseModel]]
    """The checked options of the enabled providers, by provider."""


class Emulators:
    """SendGrid, Twilio and a mail server, with one outbox.

    Serve `app` on `HOST`, any port, then call `start` with the URL. Providers built after that with
    `endpoints` in their context send to the emulators.
    """

    def __init__(self, settings: EmulatorSettings, clock: Clock) -> None:
        self._settings = settings
        self._token = new_token()
        self._access: EmulatorAccess | None = None
        self.outbox = Outbox()

        def accounts() -> Accounts:
            return accounts_of(settings.options())

        self._ingress = IngressClient(
            settings.ingress_url, settings.public_url, clock, self._aliases
        )
        self._reports = StatusReports(self._ingress, self.outbox, clock)
        self._smtp = SmtpSink(self.outbox, clock)
        receiver = Receiver(self._ingress, accounts, clock)
        self.app = Starlette(
            routes=[
                *sendgrid.SendGridEmulator(accounts, self.outbox, clock).routes(),
                *twilio.TwilioEmulator(accounts, self.outbox, self._reports, clock).routes(),
                *ControlRoutes(self._token, self.outbox, receiver).routes(),
            ],
            exception_handlers={404: _not_emulated, 405: _not_emulated},
        )

    @property
    def endpoints(self) -> Mapping[str, str]:
        """Give the base URLs for `ProviderContext.endpoints`; none before the start."""
        if self._access is None:
            return {}
        url = self._access.url
        return {
            SENDGRID_NAME: f"{url}{sendgrid.PATH}",
            TWILIO_NAME: f"{url}{twilio.PATH}",
            SMTP_NAME: self._smtp.url,
        }

    @property
    def grants(self) -> frozenset[Endpoint]:
        """Give the one private address that calls must be allowed to reach; none before start."""
        if self._access is None:
            return frozenset()
        parts = urlsplit(self._access.url)
        return frozenset({(ip_address(parts.hostname or HOST), parts.port or 80)})

    async def start(self, url: str) -> None:
        """Begin to take mails, and tell the command line where `app` is served."""
        if urlsplit(url).hostname not in LOOPBACK:
            raise SettingsError([f"emulators are served on loopback only, not on {url}"])
        await self._smtp.start()
        access = EmulatorAccess(url.rstrip("/"), self._token, self._smtp.url)
        write_access(self._settings.data_dir, access)
        self._access = access

    async def stop(self) -> None:
        """End what runs in the background. Stopping twice, or before the start, does nothing."""
        access, self._access = self._access, None
        if access is not None:
            remove_access(self._settings.data_dir, access)
        await self._reports.close()
        await self._smtp.stop()
        await self._ingress.close()

    def _aliases(self) -> list[str]:
        """Give what our ingress is called in callback URLs, if it has no public name."""
        return [self.endpoints[TWILIO_NAME]] if self._access is not None else []


async def _not_emulated(request: Request, _error: Exception) -> Response:
    text = f"{request.method} {request.url.path} is not emulated"
    return respond({"error": text, "message": text, "status": 404}, 404)
