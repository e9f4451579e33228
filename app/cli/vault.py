"""How commands reach the stores of secrets, API keys and logins to NATS.

In: the options that name a server, a data folder and an env; the environment. Out: the stores, for
a while. The buckets are made where there are none yet: `setup` comes before the first `start`.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.accounts.logins import KvBusLogins
from app.bus.connection import Bus, BusSettings
from app.cli.connecting import DATA_DIR_DEFAULT, bus_settings, chosen_env, connected
from app.control import names
from app.control.credentials import ensure_credential_buckets
from app.settings.loading import load_settings
from app.settings.secrets import SecretsSection
from app.stores.key_source import KeySource
from app.stores.kv import KvBucket
from app.stores.secrets import KvSecrets
from app.system import SystemClock

SETTINGS_FILE: Final = "greentic.toml"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Which server, and whose key."""

    bus: BusSettings
    env: str
    keys: KeySource


def find_whereabouts(
    nats_url: str | None, data: Path | None, env: str | None, environment: Mapping[str, str]
) -> Whereabouts:
    """Choose server, env and key as `start` would. CommandError, SettingsError, UnavailableError.

    The data folder of a bundle lies in it, so its ``greentic.toml`` is found from there.
    """
    folder = data or Path(environment.get("GREENTIC_DATA_DIR") or DATA_DIR_DEFAULT)
    chosen = chosen_env(env, environment)
    keys = KeySource(_secrets_section(folder, environment), chosen, folder)
    return Whereabouts(bus_settings(nats_url, data, environment), chosen, keys)


def _secrets_section(folder: Path, environment: Mapping[str, str]) -> SecretsSection:
    beside = folder.absolute().parent / SETTINGS_FILE
    return load_settings(beside if beside.is_file() else None, environment, {}).secrets


@asynccontextmanager
async def open_secret_records(where: Whereabouts) -> AsyncIterator[Bus]:
    """Give a connection on which the bucket of the sealed secrets is."""
    async with connected(where.bus) as bus:
        await ensure_credential_buckets(bus, where.env)
        yield bus


async def logins_on(bus: Bus, env: str) -> KvBusLogins:
    """Give the store of tenants' logins to NATS on an open connection."""
    await ensure_credential_buckets(bus, env)
    return KvBusLogins(KvBucket(bus, names.bus_logins_bucket(env)), SystemClock())


async def secrets_on(bus: Bus, env: str, keys: KeySource) -> KvSecrets:
    """Give the secret store on an open connection."""
    await ensure_credential_buckets(bus, env)
    return KvSecrets(KvBucket(bus, names.secrets_bucket(env)), env, keys)
