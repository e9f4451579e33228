"""What ``start --dev`` adds: emulators of the providers' services, and a way for calls to them.

In: a serving function, the options in force. Out: running emulators whose base URLs stand in for
the real ones. Refuses env ``prod``, and that before anything is started.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from actors.ports import Clock
from app.emulators.emulators import HOST, Emulators, EmulatorSettings
from app.errors import SettingsError
from app.http.asgi import AsgiApp
from app.http.server import HttpServer
from app.outbound import GuardedCaller

Serve = Callable[[AsgiApp, str, int], Awaitable[HttpServer]]
PROD_ENV: Final = "prod"


def refuse_prod(env: str) -> None:
    """Raise SettingsError where emulators must not stand in for anything."""
    if env == PROD_ENV:
        raise SettingsError(["--dev emulates SendGrid, Twilio and SMTP: not in env prod"])


class DevSide:
    """The emulators of one process."""

    def __init__(self, serve: Serve, http: GuardedCaller, clock: Clock) -> None:
        self._serve = serve
        self._http = http
        self._clock = clock
        self.url: str | None = None

    async def start(
        self,
        stack: AsyncExitStack,
        *,
        data_dir: Path,
        ingress_url: Callable[[], str | None],
        public_url: Callable[[], str | None],
        options: Callable[[], Mapping[str, BaseModel]],
    ) -> Mapping[str, str]:
        """Start them and open the way to them; gives their base URLs by provider."""
        settings = EmulatorSettings(data_dir, ingress_url, public_url, options)
        emulators = Emulators(settings, self._clock)
        server = await self._serve(emulators.app, HOST, 0)
        stack.push_async_callback(emulators.stop)
        await emulators.start(server.url)
        self.url = server.url
        private = self._http.policy.private
        granted = replace(private, endpoints=private.endpoints | emulators.grants)
        self._http.policy = replace(self._http.policy, private=granted)
        return emulators.endpoints
