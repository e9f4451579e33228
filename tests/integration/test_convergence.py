"""Convergence on a real nats-server: what is written is taken up, and acknowledged only then."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from actors.errors import UnavailableError
from app.bootstrap.convergence import AGAIN_SECONDS, Convergence, ConvergenceParts
from app.bootstrap.enforcing import Enforcer, Refusals, Wanted
from app.bus.connection import Bus
from app.bus.server_folder import Endpoint
from app.control.control import Control
from app.control.names import deployments_bucket, tenants_bucket
from app.deployments.document import DeploymentDocument, Revision, build_document
from app.deployments.store import key_of
from app.errors import BundleError
from app.stores.kv import KvBucket
from app.system import SystemClock
from app.tenancy.directory import TenantDirectory
from app.tenancy.record import TenantRecord
from app.tenancy.store import TenantStore
from tests.support.bus import connected

DIGEST = "a" * 64


@dataclass
class RecordingEnforcer:
    """Takes note of what is wanted, and refuses what a test says."""

    rounds: list[Sequence[Wanted]] = field(default_factory=list)
    refusals: Refusals = field(default_factory=dict)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def enforce(self, wanted: Sequence[Wanted]) -> Refusals:
        self.rounds.append(wanted)
        await self.gate.wait()
        return {
            one.tenant: self.refusals[one.tenant] for one in wanted if one.tenant in self.refusals
        }

    def last(self, tenant: str) -> Wanted:
        return next(w for each in reversed(self.rounds) for w in each if w.tenant == tenant)


@dataclass
class Told:
    """Hears acknowledgements."""

    said: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)

    def acknowledge(self, revision: int, failed: Mapping[str, str]) -> None:
        self.said.append((revision, failed))


@dataclass
class Rig:
    bucket: KvBucket
    store: TenantStore
    convergence: Convergence
    enforcer: RecordingEnforcer
    told: Told

    async def deploy(self, tenant: str, number: int = 1, bundle: str | None = DIGEST) -> int:
        current = Revision(
            number=number, bundle=bundle, name="b", version="1", owner="apply", flows=1,
            kind="apply", at_ms=1, actor="system",
        )  # fmt: skip
        data = build_document(DeploymentDocument(current))
        return await self.bucket.put(key_of(tenant), data)

    async def until(self, revision: int) -> None:
        async with asyncio.timeout(10):
            while self.convergence.revision < revision:
                await asyncio.sleep(0.01)


@pytest.fixture
async def bus(nats_server: Endpoint) -> AsyncIterator[Bus]:
    async with connected(nats_server) as bus:
        yield bus


@pytest.fixture
async def rig(bus: Bus, fresh_env: str) -> AsyncIterator[Rig]:
    await Control(bus, fresh_env).ensure([])
    clock = SystemClock()
    bucket = KvBucket(bus, deployments_bucket(fresh_env))
    tenants = KvBucket(bus, tenants_bucket(fresh_env))
    enforcer, told = RecordingEnforcer(), Told()
    enforcer.gate.set()
    parts = ConvergenceParts(
        bucket, TenantDirectory(tenants, clock), cast("Enforcer", cast("Any", enforcer)), clock
    )
    convergence = Convergence(parts)
    await bus.subscribe(bucket.pattern, convergence.hear)
    await convergence.start()
    convergence.acknowledge_to(told)
    yield Rig(bucket, TenantStore(tenants, clock), convergence, enforcer, told)
    await convergence.stop()


async def add(rig: Rig, tenant: str) -> None:
    await rig.store.create(TenantRecord(tenant, tenant, created_ms=1, changed_ms=1))


async def test_a_tenant_that_was_made_a_moment_ago_is_served_before_it_is_acknowledged(
    rig: Rig,
) -> None:
    await add(rig, "acme")  # nothing tells the directory of it
    revision = await rig.deploy("acme")
    await rig.until(revision)
    assert rig.enforcer.last("acme").is_served
    assert rig.told.said[-1] == (revision, {})


async def test_what_is_being_taken_up_is_not_acknowledged_yet(rig: Rig) -> None:
    await add(rig, "acme")
    rig.enforcer.gate.clear()
    revision = await rig.deploy("acme")
    confirming = asyncio.ensure_future(rig.convergence.confirm("acme"))
    await asyncio.sleep(0.2)
    assert not confirming.done()
    assert all(said < revision for said, _ in rig.told.said)
    rig.enforcer.gate.set()
    await asyncio.wait_for(confirming, 5)
    assert rig.told.said[-1] == (revision, {})


async def test_what_cannot_be_taken_up_is_said_and_confirms_nothing(rig: Rig) -> None:
    await add(rig, "acme")
    await add(rig, "other")
    rig.enforcer.refusals["acme"] = BundleError("no such file")
    revision = max(await rig.deploy("acme"), await rig.deploy("other"))
    await rig.until(revision)
    assert rig.told.said[-1][0] == revision
    assert "no such file" in rig.told.said[-1][1]["acme"]
    assert set(rig.told.said[-1][1]) == {"acme"}
    await rig.convergence.confirm("other")
    with pytest.raises(UnavailableError):
        await rig.convergence.confirm("acme")
    del rig.enforcer.refusals["acme"]
    await rig.until(await rig.deploy("acme", 2))
    await rig.convergence.confirm("acme")


async def test_what_does_not_answer_is_tried_again(rig: Rig) -> None:
    await add(rig, "acme")
    rig.enforcer.refusals["acme"] = UnavailableError("the object store")
    await rig.until(await rig.deploy("acme"))
    del rig.enforcer.refusals["acme"]
    async with asyncio.timeout(10):
        while rig.convergence.failures():
            await asyncio.sleep(0.05)


async def test_what_comes_while_another_is_taken_up_does_not_wait_for_long(rig: Rig) -> None:
    """Nor for one that does not answer."""
    rig.enforcer.refusals["globex"] = UnavailableError("the object store")
    rig.enforcer.gate.clear()
    await add(rig, "globex")
    await rig.deploy("globex")
    await until_asked(rig, "globex")
    await add(rig, "acme")
    revision = await rig.deploy("acme")
    async with asyncio.timeout(5):
        while rig.convergence._known < revision:
            await asyncio.sleep(0.01)
    begun = asyncio.get_running_loop().time()
    rig.enforcer.gate.set()
    await rig.until(revision)
    assert asyncio.get_running_loop().time() - begun < AGAIN_SECONDS / 2
    rounds = len(rig.enforcer.rounds)
    await asyncio.sleep(AGAIN_SECONDS * 1.5)
    assert 1 <= len(rig.enforcer.rounds) - rounds <= 2, "and that one is tried each second"
    assert [one.tenant for one in rig.enforcer.rounds[-1]] == ["globex"]


async def until_asked(rig: Rig, tenant: str) -> None:
    async with asyncio.timeout(5):
        while not any(w.tenant == tenant for each in rig.enforcer.rounds for w in each):
            await asyncio.sleep(0.01)


async def test_a_document_that_nobody_understands_changes_nothing_and_is_said(rig: Rig) -> None:
    await add(rig, "acme")
    await rig.until(await rig.deploy("acme"))
    await rig.until(await rig.bucket.put(key_of("acme"), b"{}"))
    assert rig.enforcer.last("acme").is_served
    assert set(rig.told.said[-1][1]) == {"acme"}
    with pytest.raises(UnavailableError):
        await rig.convergence.confirm("acme")
    await rig.until(await rig.deploy("acme", 2))
    await rig.convergence.confirm("acme")
    assert rig.told.said[-1][1] == {}
