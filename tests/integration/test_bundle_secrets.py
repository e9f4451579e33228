"""What a bundle's answers refer to, read from the store: complete, or an error that says why."""

import asyncio
import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.bootstrap.credentials import Credentials
from app.bundle.reading import read_bundle
from app.bus.connection import Bus
from app.errors import BundleError, BusError, SettingsError
from app.settings.sealing_key import format_key
from app.settings.secrets import SecretsSection
from app.stores.key_source import KeySource
from app.stores.secrets import BUNDLE_SCOPE
from app.system import SystemClock
from tests.support.bus import DeafObserver, connected
from tests.support.nats_server import KillableServer

NAME = "events-webhook.secret_key"
CANARY = "canary-7f3a-9c"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "greentic.demo.yaml").write_text('name: t\nversion: "1"\n')
    options = {"secret_header": "x-sig", "secret_key": {"$secret": NAME}}
    (tmp_path / "answers.json").write_text(json.dumps({"events-webhook": options}))
    return tmp_path


async def credentials(bus: Bus, env: str, folder: Path, key: int = 0) -> Credentials:
    section = SecretsSection(key=SecretStr(format_key(bytes(range(key, key + 32)))))
    return await Credentials.open(
        bus, KeySource(section, env, folder), SystemClock(), DeafObserver()
    )


async def come_back(server: KillableServer, bus: Bus) -> None:
    await server.start()
    async with asyncio.timeout(20):
        while not bus.is_connected:
            await asyncio.sleep(0.05)


async def test_secret_is_in_the_options_and_each_write_makes_another_revision(
    killable_server: KillableServer, fresh_env: str, bundle: Path
) -> None:
    async with connected(killable_server.endpoint) as bus:
        found = await credentials(bus, fresh_env, bundle)
        revisions = []
        for _ in range(2):
            await found.secrets.set(BUNDLE_SCOPE, NAME, CANARY)
            read = read_bundle(bundle, secrets=await found.read_referenced(bundle))
            assert read.webhook is not None
            assert read.webhook.secret_key is not None
            assert read.webhook.secret_key.get_secret_value() == CANARY
            revisions.append(read.revision)
        assert len(set(revisions)) == 2
        again = read_bundle(bundle, secrets=await found.read_referenced(bundle))
        assert again.revision == revisions[1]
        await found.close()


async def test_secret_of_a_tenant_does_not_stand_in_for_the_bundles(
    killable_server: KillableServer, fresh_env: str, bundle: Path
) -> None:
    async with connected(killable_server.endpoint) as bus:
        found = await credentials(bus, fresh_env, bundle)
        await found.secrets.set("demo", NAME, CANARY)
        secrets = await found.read_referenced(bundle)
        assert secrets == {}
        with pytest.raises(BundleError):
            read_bundle(bundle, secrets=secrets)
        await found.close()


async def test_wrong_key_and_dead_bus_are_errors_that_a_reload_survives(
    killable_server: KillableServer, fresh_env: str, bundle: Path
) -> None:
    async with connected(killable_server.endpoint) as bus:
        found = await credentials(bus, fresh_env, bundle)
        await found.secrets.set(BUNDLE_SCOPE, NAME, CANARY)
        other = await credentials(bus, fresh_env, bundle, key=1)
        with pytest.raises(SettingsError, match="was sealed with key") as caught:
            await other.read_referenced(bundle)
        assert CANARY not in str(caught.value)
        await killable_server.kill()
        with pytest.raises(BusError):
            await found.read_referenced(bundle)
        await come_back(killable_server, bus)
        await found.close()
        await other.close()


async def test_bundle_without_references_asks_nothing(
    killable_server: KillableServer, fresh_env: str, tmp_path: Path
) -> None:
    async with connected(killable_server.endpoint) as bus:
        found = await credentials(bus, fresh_env, tmp_path)
        await killable_server.kill()
        assert await found.read_referenced(tmp_path) == {}
        assert await found.read_referenced(tmp_path / "nowhere") == {}
        # Nor does leaving a bus whose server is gone fail.
        await found.close()
