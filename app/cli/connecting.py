"""How commands reach NATS: by an address that was given, or by the data folder's own ``nats.json``.

In: options and the environment. Out: `BusSettings`, a connected `Bus`. Refuses with a hint when no
server is known, or the known one does not run.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from actors.errors import UnavailableError
from app.bus.connection import Bus, BusSettings
from app.bus.server_folder import ServerFolder
from app.errors import CommandError

DATA_DIR_DEFAULT: Final = Path(".greentic")
CONNECT_SECONDS: Final = 5.0
DRAIN_SECONDS: Final = 2.0
ENV_DEFAULT: Final = "dev"


class SilentObserver:
    """Hears what the connection reports and keeps it: the command's own words are enough."""

    def observe(self, observation: object) -> None:
        """Take one observation."""


def bus_settings(
    nats_url: str | None, data: Path | None, environment: Mapping[str, str]
) -> BusSettings:
    """Choose the server: an option, ``GREENTIC_NATS_URL``, then the data folder's server."""
    url = nats_url or (None if data is not None else environment.get("GREENTIC_NATS_URL"))
    if url:
        return BusSettings(url, name="greentic-events-cli")
    folder = data or Path(environment.get("GREENTIC_DATA_DIR") or DATA_DIR_DEFAULT)
    endpoint = ServerFolder(folder).read_endpoint()
    hint = "name its data folder with --data BUNDLE/.greentic, or a server with --nats-url"
    if endpoint is None:
        raise CommandError(f"there is no nats.json in {folder}", hint=hint)
    if endpoint.pid == 0:
        raise UnavailableError(f"the nats-server of {folder} does not run")
    return BusSettings(endpoint.url, endpoint.user, endpoint.password, name="greentic-events-cli")


def chosen_env(option: str | None, environment: Mapping[str, str]) -> str:
    """Choose the env: the option, ``GREENTIC_ENV``, else ``dev`` (SPEC 12.8)."""
    return option or environment.get("GREENTIC_ENV") or ENV_DEFAULT


@asynccontextmanager
async def connected(settings: BusSettings) -> AsyncIterator[Bus]:
    """Connect for a while. Raises UnavailableError when nobody answers."""
    bus = await Bus.connect(settings, SilentObserver(), deadline_seconds=CONNECT_SECONDS)
    try:
        yield bus
    finally:
        await bus.drain_and_close(DRAIN_SECONDS)
