"""Emulators, and an ingress of fakes behind real sockets, for tests that use official clients.

In: nothing. Out: `EmulatorRig`: both servers on loopback, providers with fresh credentials.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from actors.ports import NormalizedEvent
from app.emulators.accounts import dev_options
from app.emulators.emulators import HOST, Emulators, EmulatorSettings
from app.http.server import HttpServer
from app.outbound import EgressPolicy, GuardedCaller
from app.outbound.policy import PrivateGrants
from app.providers.catalog import find_provider
from app.system import SystemClock
from tests.support.ingress import Ingress

TENANT = "demo"
STOP_SECONDS = 2.0


@dataclass
class EmulatorRig:
    """What a test looks at."""

    emulators: Emulators
    url: str
    ingress: Ingress
    ingress_url: str
    options: dict[str, dict[str, Any]]
    data_dir: Path

    @property
    def events(self) -> list[NormalizedEvent]:
        """What the tenant's door took."""
        return self.ingress.door.events

    @property
    def account(self) -> tuple[str, str]:
        """Twilio's account SID and auth token."""
        twilio = self.options["events-sms-twilio"]
        return twilio["account_sid"], twilio["auth_token"]

    async def wait(self, holds: Callable[[], bool], seconds: float = 5.0) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def emulator_rig(data_dir: Path) -> AsyncIterator[EmulatorRig]:
    """Start it all and stop it again."""
    ingress, options = Ingress(), dev_options()
    public = HttpServer(ingress.app, HOST, 0)
    await public.start()
    checked = {}
    for name, raw in options.items():
        spec = find_provider(name)
        assert spec is not None
        checked[name] = spec.options_model.model_validate(raw)
    settings = EmulatorSettings(
        data_dir=data_dir,
        ingress_url=lambda: public.url,
        public_url=lambda: None,
        options=lambda: checked,
    )
    emulators = Emulators(settings, SystemClock())
    server = HttpServer(emulators.app, HOST, 0)
    await server.start()
    await emulators.start(server.url)
    policy = EgressPolicy(private=PrivateGrants(endpoints=emulators.grants))
    http = GuardedCaller(policy, clock=SystemClock())
    ingress.context = replace(
        ingress.context, http=http, clock=SystemClock(), endpoints=emulators.endpoints
    )
    for name, raw in options.items():
        ingress.enable(name, raw)
    try:
        yield EmulatorRig(emulators, server.url, ingress, public.url, options, data_dir)
    finally:
        for provider in ingress.providers.values():
            if provider.outbound is not None:
                await provider.outbound.close()
        await emulators.stop()
        await server.stop(STOP_SECONDS)
        await public.stop(STOP_SECONDS)
        await http.close()
