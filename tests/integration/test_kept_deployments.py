"""Versions of flows in a real object store: kept once, found by whoever needs them."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from actors.errors import UnavailableError
from actors.flows.compiled import CompiledFlow
from actors.flows.compiler import compile_flow
from actors.nodes.resources import FlowResources
from actors.tenants.deployment import Deployment
from actors.testing.clock import VirtualClock
from app.bootstrap import past
from app.bootstrap.past import SHARED, KeptDeployments
from app.bus.connection import Bus
from app.bus.server_folder import Endpoint
from app.control.control import Control
from app.control.names import object_stream, versions_bucket
from app.errors import StoreError
from app.providers.provider import Blob
from app.stores.blobs import STORED_MS, ObjectBlobs
from tests.support.builders import by_name
from tests.support.bus import connected

pytestmark = pytest.mark.server


@dataclass
class Vault:
    """The versions of one env, and ways to look behind."""

    bus: Bus
    env: str

    @property
    def blobs(self) -> ObjectBlobs:
        return ObjectBlobs(self.bus.client, versions_bucket(self.env))

    def opened(self) -> KeptDeployments:
        """As another process, which remembers nothing."""
        return KeptDeployments(self.blobs, {})

    async def put(self, owner: str, version: str, content: bytes) -> None:
        await self.blobs.put(owner, Blob(version, content, "application/zlib"))

    async def last_sequence(self) -> int:
        stream = object_stream(versions_bucket(self.env))
        info = await self.bus.client.jetstream().stream_info(stream)
        return int(info.state.last_seq)


@asynccontextmanager
async def a_vault(endpoint: Endpoint, env: str) -> AsyncIterator[Vault]:
    async with connected(endpoint) as bus:
        await Control(bus, env).ensure([])
        yield Vault(bus, env)


@pytest.fixture
async def vault(nats_server: Endpoint, fresh_env: str) -> AsyncIterator[Vault]:
    async with a_vault(nats_server, fresh_env) as vault:
        yield vault


def a_flow(name: str, *nodes: dict[str, Any], version: str = "1") -> CompiledFlow:
    document = {
        "name": name,
        "version": version,
        "triggers": [{"type": "event", "event_type": "a.b", "target": nodes[0]["id"]}],
        "nodes": list(nodes),
    }
    return compile_flow(document, FlowResources())


def nap(**fields: Any) -> dict[str, Any]:
    return {"id": "nap", "type": "wait", "config": {"for": "1h"}, **fields}


def calls(target: str) -> dict[str, Any]:
    return {"id": "call", "type": "flow2flow", "config": {"target_flow": target, "input": {}}}


PURE = a_flow("pure", {"id": "say", "type": "template", "config": {"template": "hello"}})
SLEEPER = a_flow("sleeper", nap())
CALLER = a_flow("caller", calls("sleeper"))
ANY = a_flow("any", calls("{{payload.flow}}"))


def deployed(*flows: CompiledFlow, tenant: str = "demo", revision: str = "r1") -> Deployment:
    return Deployment(tenant, revision, by_name(*flows))


async def test_what_is_kept_is_found_by_another_process(vault: Vault) -> None:
    one = deployed(SLEEPER, CALLER)
    await vault.opened().keep(one)
    for name in one.flows:
        version = one.version_of(name)
        found = await vault.opened().find("demo", name, version)
        assert found is not None
        assert found.version_of(name) == version
        assert found.flows[name].digest == one.flows[name].digest
        assert found.has_effects(name)
    caller = await vault.opened().find("demo", "caller", one.version_of("caller"))
    assert caller is not None
    assert sorted(caller.flows) == ["caller", "sleeper"]


async def test_an_earlier_version_is_found_beside_the_present_one(vault: Vault) -> None:
    old, new = deployed(SLEEPER), deployed(a_flow("sleeper", nap(), version="2"), revision="r2")
    await vault.opened().keep(old)
    await vault.opened().keep(new)
    found = await vault.opened().find("demo", "sleeper", old.version_of("sleeper"))
    assert found is not None
    assert found.flows["sleeper"].version == "1"


async def test_what_was_never_kept_is_not_found(vault: Vault) -> None:
    kept = vault.opened()
    await kept.keep(deployed(SLEEPER))
    assert await kept.find("demo", "sleeper", "0" * 40) is None
    assert await kept.find("demo", "other", SLEEPER.digest) is None


async def test_flows_without_effects_are_not_kept(vault: Vault) -> None:
    await vault.opened().keep(deployed(PURE))
    assert await vault.last_sequence() == 0


async def test_a_version_is_stored_once_for_all_tenants_and_starts(vault: Vault) -> None:
    await vault.opened().keep(deployed(SLEEPER))
    stored = await vault.last_sequence()
    await vault.opened().keep(deployed(SLEEPER, revision="r2"))
    await vault.opened().keep(deployed(SLEEPER, tenant="other"))
    assert await vault.last_sequence() == stored
    shared = vault.opened()
    for tenant in ("demo", "other"):
        found = await shared.find(tenant, "sleeper", SLEEPER.digest)
        assert found is not None
        assert found.tenant == tenant


DAY_MS = 86_400_000


async def test_a_version_that_stays_in_force_is_stored_anew_in_time(vault: Vault) -> None:
    """Or the runs that begin in its last days would outlive it."""
    clock = VirtualClock()
    kept = KeptDeployments(vault.blobs, {}, clock)
    await kept.keep(deployed(SLEEPER))
    stored = await vault.last_sequence()
    keeping = asyncio.ensure_future(kept.keep_up(lambda: [deployed(SLEEPER)]))
    await clock.advance(13 * 86_400)
    assert await vault.last_sequence() == stored
    await KeptDeployments(vault.blobs, {}, clock).keep(deployed(SLEEPER))
    assert await vault.last_sequence() == stored, "another process finds it fresh"
    await clock.advance(2 * 86_400)
    async with asyncio.timeout(10):
        while await vault.last_sequence() == stored:
            await asyncio.sleep(0.02)
    keeping.cancel()
    store = await vault.bus.client.jetstream().object_store(versions_bucket(vault.env))
    info = await store.get_info(f"{SHARED}/{SLEEPER.digest}")
    age_ms = clock.now_ms() - int((info.headers or {})[STORED_MS])
    assert 0 <= age_ms <= 2 * DAY_MS
    assert await vault.opened().find("demo", "sleeper", SLEEPER.digest) is not None


async def test_renewing_goes_on_after_the_store_was_away() -> None:
    clock, tried = VirtualClock(), []

    class Away(ObjectBlobs):
        async def put(self, *_args: Any, **_more: Any) -> None:
            tried.append(clock.now_ms())
            raise UnavailableError("away")

    kept = KeptDeployments(Away(None, "none"), {}, clock)  # type: ignore[arg-type]
    keeping = asyncio.ensure_future(kept.keep_up(lambda: [deployed(SLEEPER)]))
    with structlog.testing.capture_logs() as logs:
        await clock.advance(3 * 86_400)
    keeping.cancel()
    assert len(tried) == 3
    assert {line["event"] for line in logs} == {"version.not_renewed"}


async def test_a_version_that_is_a_whole_revision_is_its_tenants_own(vault: Vault) -> None:
    one = deployed(ANY, SLEEPER)
    assert one.version_of("any") == "r1"
    await vault.opened().keep(one)
    kept = vault.opened()
    found = await kept.find("demo", "any", "r1")
    assert found is not None
    assert sorted(found.flows) == ["any", "sleeper"]
    assert found.version_of("any") == "r1"
    assert await kept.find("other", "any", "r1") is None
    assert await vault.blobs.get(SHARED, "r1") is None


@pytest.mark.parametrize(
    "content",
    [
        b"no zlib at all",
        zlib.compress(b"no json"),
        zlib.compress(b"[]"),
        zlib.compress(b'{"format": 2, "flows": []}'),
        zlib.compress(b'{"format": 1, "flows": [{"digest": "x"}]}'),
        zlib.compress(b'{"format": 1, "flows": []}')[:-6],
        b"",
    ],
    ids=["bytes", "text", "list", "format", "part", "cut", "nothing"],
)
async def test_what_is_damaged_is_told_and_counts_as_gone(vault: Vault, content: bytes) -> None:
    await vault.put(SHARED, "v1", content)
    with structlog.testing.capture_logs() as logs:
        assert await vault.opened().find("demo", "sleeper", "v1") is None
    assert [(line["event"], line["version"]) for line in logs] == [("version.unreadable", "v1")]


async def test_functions_that_this_program_cannot_read_count_as_gone(vault: Vault) -> None:
    """As after a change of the language that an earlier program kept them in."""
    await vault.opened().keep(deployed(SLEEPER))
    document = json.loads(zlib.decompress(await vault.blobs.get(SHARED, SLEEPER.digest) or b""))
    document["flows"][0]["library"] = [["scripts/a.rhai", "fn broken( {"]]
    await vault.put(SHARED, "other", zlib.compress(json.dumps(document).encode()))
    with structlog.testing.capture_logs() as logs:
        assert await vault.opened().find("demo", "sleeper", "other") is None
    assert [line["event"] for line in logs] == ["version.unreadable"]


async def test_another_flow_under_its_name_is_refused(vault: Vault) -> None:
    """What is found is what was kept, by its digest, whoever wrote it there."""
    await vault.opened().keep(deployed(SLEEPER))
    document = json.loads(zlib.decompress(await vault.blobs.get(SHARED, SLEEPER.digest) or b""))
    document["flows"][0]["document"]["nodes"][0]["config"]["for"] = "1ms"
    await vault.put(SHARED, "other", zlib.compress(json.dumps(document).encode()))
    with structlog.testing.capture_logs():
        assert await vault.opened().find("demo", "sleeper", "other") is None


async def test_an_object_whose_bytes_were_changed_counts_as_gone(vault: Vault) -> None:
    """Trying it again would try for ever: the store's own digest tells."""
    await vault.opened().keep(deployed(SLEEPER))
    bucket = versions_bucket(vault.env)
    context = vault.bus.client.jetstream()
    store = await context.object_store(bucket)
    info = await store.get_info(f"{SHARED}/{SLEEPER.digest}")
    chunk = f"$O.{bucket}.C.{info.nuid}"
    await context.purge_stream(object_stream(bucket), subject=chunk)
    await context.publish(chunk, b"x" * (info.size or 0))
    with structlog.testing.capture_logs() as logs:
        assert await vault.opened().find("demo", "sleeper", SLEEPER.digest) is None
    assert [line["event"] for line in logs] == ["version.unreadable"]


async def test_what_unpacks_to_too_much_is_not_unpacked(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    await vault.opened().keep(deployed(SLEEPER))
    monkeypatch.setattr(past, "KEPT_BYTES_MAX", 100)
    with structlog.testing.capture_logs() as logs:
        assert await vault.opened().find("demo", "sleeper", SLEEPER.digest) is None
    assert [line["event"] for line in logs] == ["version.unreadable"]
    with pytest.raises(StoreError, match="larger than may be kept"):
        await vault.opened().keep(deployed(a_flow("sleeper", nap(), version="2")))


async def test_what_was_found_is_remembered_within_bounds(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "REMEMBERED_MAX", 1)
    flows = [a_flow("sleeper", nap(), version=str(number)) for number in range(2)]
    for flow in flows:
        await vault.opened().keep(deployed(flow))
    kept = vault.opened()
    first = await kept.find("demo", "sleeper", flows[0].digest)
    again = await kept.find("demo", "sleeper", flows[0].digest)
    assert first is not None
    assert again is not None
    assert again.flows is first.flows
    assert await kept.find("demo", "sleeper", flows[1].digest) is not None
    fresh = await kept.find("demo", "sleeper", flows[0].digest)
    assert fresh is not None
    assert fresh.flows is not first.flows


async def test_a_bucket_that_is_not_there_is_told(vault: Vault) -> None:
    """So the continuation comes again; only what is surely gone is a dead letter."""
    nowhere = KeptDeployments(ObjectBlobs(vault.bus.client, "versions-nowhere"), {})
    with pytest.raises(UnavailableError):
        await nowhere.keep(deployed(SLEEPER))
    with pytest.raises(UnavailableError):
        await nowhere.find("demo", "sleeper", SLEEPER.digest)
