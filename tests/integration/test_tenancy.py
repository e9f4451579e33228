"""Tenants on a real server: stored, changed by revision, followed, and not brought back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from actors.errors import InvalidSubjectError, UnavailableError
from actors.testing.clock import VirtualClock
from app.audit.entry import OURSELVES, Who
from app.audit.log import AuditLog
from app.audit.reading import AuditFilter
from app.bootstrap.audit_side import AuditSide
from app.bus.acked_publisher import AckedPublisher
from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus
from app.bus.server_folder import Endpoint
from app.control import names, streams
from app.errors import ConflictError, NotFoundError, StoreError, ValueRefusedError
from app.stores import following
from app.stores.following import STALE_SECONDS_MAX
from app.stores.kv import KvBucket
from app.system import SystemClock
from app.tenancy import desk as desk_module
from app.tenancy import directory as directory_module
from app.tenancy.desk import NewTenant, TenantChange, TenantDesk
from app.tenancy.directory import TenantDirectory
from app.tenancy.record import TOMBSTONE_SECONDS, TenantRecord, TenantSettings
from app.tenancy.store import TenantStore, refuse_tombstone
from tests.support.bus import DeafObserver, connected

pytestmark = pytest.mark.server

ANN = Who("cli:ann@desk", "cli")
DAY_SECONDS = 24 * 3600
PATIENCE_SECONDS = 5.0


@dataclass
class Rig:
    """A store with its desk, on a clock that stands at today."""

    bus: Bus
    env: str
    bucket: KvBucket
    clock: VirtualClock
    store: TenantStore
    desk: TenantDesk
    audit: AuditSide

    async def actions(self) -> list[tuple[str, str | None]]:
        """Give the entries of the audit log: what was done, and with what error."""
        page = await self.audit.reader.page(None, AuditFilter(), order="oldest")
        return [(kept.entry.action, kept.entry.error) for kept in page.entries if kept.entry]

    async def ttl(self, tenant: str) -> str | None:
        """Give the TTL that a tenant's record was written with."""
        stream = names.bucket_stream(names.tenants_bucket(self.env))
        message = await following_message(self.bus, stream, f"$KV.{stream[3:]}.{tenant}")
        return message.get("Nats-TTL")


async def following_message(bus: Bus, stream: str, subject: str) -> dict[str, str]:
    reply = await bus.request(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"", timeout_seconds=5)
    return dict(reply.headers or {})


@asynccontextmanager
async def rigged(server: Endpoint, env: str) -> AsyncIterator[Rig]:
    async with connected(server) as bus:
        name = names.tenants_bucket(env)
        await JetStreamAdmin(bus).ensure_stream(streams.bucket_spec(name))
        clock = VirtualClock(epoch_ms=SystemClock().now_ms())
        side = await AuditSide.open(bus, env, clock, DeafObserver())
        bucket = KvBucket(bus, name)
        store = TenantStore(bucket, clock)
        desk = TenantDesk(store, side.log, clock, plans=["pro"])
        yield Rig(bus, env, bucket, clock, store, desk, side)
        await side.close()


@pytest.fixture
async def rig(nats_server: Endpoint, fresh_env: str) -> AsyncIterator[Rig]:
    async with rigged(nats_server, fresh_env) as rig:
        yield rig


@pytest.fixture
def directory(rig: Rig) -> TenantDirectory:
    return TenantDirectory(rig.bucket, rig.clock)


async def add(rig: Rig, tenant: str) -> TenantRecord:
    return (await rig.desk.add(ANN, NewTenant(tenant))).record


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():
            await asyncio.sleep(0.01)


# ── The desk ─────────────────────────────────────────────────────────────────────────────────


async def test_tenant_is_made_changed_suspended_and_resumed(rig: Rig) -> None:
    settings = TenantSettings("Europe/Berlin", "de")
    made = await rig.desk.add(ANN, NewTenant("acme", "Acme Ltd", "pro", settings, workers=2))
    assert made == await rig.store.find("acme")
    assert made.record.created_ms == rig.clock.now_ms()
    await rig.clock.advance(1)
    changed = await rig.desk.change(ANN, "acme", TenantChange(plan="default", workers=None))
    assert changed.record == replace(
        made.record, plan="default", workers=None, changed_ms=rig.clock.now_ms()
    )
    assert (await rig.desk.suspend(ANN, "acme")).record.status == "suspended"
    assert (await rig.desk.resume(ANN, "acme")).record.status == "active"
    assert await rig.actions() == [
        ("tenant.add", None),
        ("tenant.change", None),
        ("tenant.suspend", None),
        ("tenant.resume", None),
    ]


async def test_change_that_changes_nothing_writes_nothing(rig: Rig) -> None:
    made = await rig.desk.add(ANN, NewTenant("acme"))
    assert await rig.desk.change(ANN, "acme", TenantChange(plan="default")) == made
    assert await rig.desk.resume(ANN, "acme") == made
    assert await rig.actions() == [("tenant.add", None)]


@pytest.mark.parametrize(
    "wanted",
    [
        NewTenant("acme", plan="gold"),
        NewTenant("acme", name=""),
        NewTenant("acme", name="a\nb"),
        NewTenant("acme", workers=0),
        NewTenant("acme", settings=TenantSettings("Mars/Olympus")),
        NewTenant("acme", settings=TenantSettings("../../etc/passwd")),
    ],
    ids=["plan", "empty", "lines", "workers", "zone", "path"],
)
async def test_tenant_of_no_sense_is_refused_and_no_entry_made(rig: Rig, wanted: NewTenant) -> None:
    with pytest.raises(ValueRefusedError):
        await rig.desk.add(ANN, wanted)
    assert await rig.store.get("acme") is None
    assert await rig.actions() == []


async def test_plan_that_is_gone_may_stay_but_is_not_taken(rig: Rig) -> None:
    await TenantDesk(rig.store, rig.audit.log, rig.clock).add(ANN, NewTenant("acme", plan="old"))
    changed = await rig.desk.change(ANN, "acme", TenantChange(name="Acme"))
    assert (changed.record.name, changed.record.plan) == ("Acme", "old")
    with pytest.raises(ValueRefusedError, match="there are default, pro"):
        await rig.desk.change(ANN, "acme", TenantChange(plan="older"))


@pytest.mark.parametrize("tenant", ["Acme", "a.b", "acme.*", ">", "", "_bundle"])
async def test_tenant_is_a_token(rig: Rig, tenant: str) -> None:
    with pytest.raises(InvalidSubjectError):
        await add(rig, tenant)
    with pytest.raises(InvalidSubjectError):
        await rig.desk.remove(ANN, tenant)
    with pytest.raises(InvalidSubjectError):
        await refuse_tombstone(rig.store, tenant)


async def test_tenant_that_is_there_is_not_made_twice(rig: Rig) -> None:
    made = await add(rig, "acme")
    with pytest.raises(ConflictError, match="already"):
        await add(rig, "acme")
    assert (await rig.store.find("acme")).record == made


async def test_of_many_that_make_one_tenant_one_succeeds(rig: Rig) -> None:
    results = await asyncio.gather(*(add(rig, "acme") for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(result, TenantRecord) for result in results) == 1
    assert sum(isinstance(result, ConflictError) for result in results) == 7


async def test_tenant_that_is_not_there_is_not_changed(rig: Rig) -> None:
    desk = rig.desk
    for change in (desk.suspend, desk.resume, desk.remove):
        with pytest.raises(NotFoundError):
            await change(ANN, "acme")
    with pytest.raises(NotFoundError):
        await desk.change(ANN, "acme", TenantChange(name="x"))
    assert await rig.actions() == []


async def test_change_of_an_older_revision_is_refused(rig: Rig) -> None:
    made = await rig.desk.add(ANN, NewTenant("acme"))
    changed = await rig.desk.change(ANN, "acme", TenantChange(name="A"), revision=made.revision)
    for revision in (made.revision, 0, changed.revision + 1):
        with pytest.raises(ConflictError):
            await rig.desk.change(ANN, "acme", TenantChange(name="B"), revision=revision)
        with pytest.raises(ConflictError):
            await rig.desk.remove(ANN, "acme", revision=revision)
    assert await rig.store.find("acme") == changed


async def test_the_store_refuses_a_write_over_what_changed_meanwhile(rig: Rig) -> None:
    made = await rig.desk.add(ANN, NewTenant("acme"))
    await rig.store.put(replace(made.record, name="A"), revision=made.revision)
    with pytest.raises(ConflictError, match="somebody else"):
        await rig.store.put(replace(made.record, name="B"), revision=made.revision)


async def test_env_has_only_so_many(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "TENANTS_MAX", 1)
    await add(rig, "acme")
    with pytest.raises(ConflictError, match="the most"):
        await add(rig, "other")


async def test_suspension_is_not_held_up_by_a_full_audit_log(rig: Rig) -> None:
    await add(rig, "acme")
    await add(rig, "other")
    await JetStreamAdmin(rig.bus).delete_stream(names.audit_stream(rig.env))
    publisher = await AckedPublisher.start(rig.bus, deadline_seconds=0.2)
    log = AuditLog(publisher, rig.clock, DeafObserver(), env=rig.env)
    desk = TenantDesk(rig.store, log, rig.clock)
    assert (await desk.suspend(ANN, "acme")).record.status == "suspended"
    with pytest.raises(UnavailableError, match="nothing was changed"):
        await desk.remove(ANN, "other")
    assert (await rig.store.find("other")).record.is_active
    publisher.close()


# ── Deleted tenants ──────────────────────────────────────────────────────────────────────────


async def test_deleted_tenant_leaves_a_tombstone_that_ends_by_itself(rig: Rig) -> None:
    made = await add(rig, "acme")
    removed = await rig.desk.remove(ANN, "acme")
    assert removed.record == made.deleted(rig.clock.now_ms())
    assert not await rig.ttl("acme"), "as long as there is data of it"
    assert (await rig.store.list()).tenants == ()
    assert (await rig.store.list(with_deleted=True)).tenants == (removed,)
    purged = removed.record.purged(rig.clock.now_ms())
    await rig.store.put(purged, revision=removed.revision)
    assert await rig.ttl("acme") == f"{TOMBSTONE_SECONDS}s"


async def test_removing_again_changes_nothing(rig: Rig) -> None:
    await add(rig, "acme")
    removed = await rig.desk.remove(ANN, "acme")
    await rig.clock.advance(60)
    assert await rig.desk.remove(ANN, "acme", revision=1) == removed
    assert await rig.actions() == [("tenant.add", None), ("tenant.remove", None)]


async def test_nothing_brings_a_deleted_tenant_back_while_its_tombstone_stands(rig: Rig) -> None:
    made = await rig.desk.add(ANN, NewTenant("acme"))
    await refuse_tombstone(rig.store, "acme")
    removed = await rig.desk.remove(ANN, "acme")
    day = removed.record.end_day
    assert day
    attempts = (
        lambda: add(rig, "acme"),
        lambda: rig.desk.ensure(OURSELVES, NewTenant("acme", origin="folder")),
        lambda: rig.desk.change(ANN, "acme", TenantChange(name="x")),
        lambda: rig.desk.suspend(ANN, "acme"),
        lambda: rig.desk.resume(ANN, "acme"),
        lambda: rig.store.create(made.record),
        lambda: rig.store.put(made.record, revision=removed.revision),
        lambda: rig.store.put(made.record.deleted(5), revision=removed.revision),
        lambda: refuse_tombstone(rig.store, "acme"),
    )
    for attempt in attempts:
        with pytest.raises(ConflictError, match=f"until {day}"):
            await attempt()
    assert await rig.store.find("acme") == removed


async def test_tombstone_that_is_written_again_ends_when_it_was_to_end(rig: Rig) -> None:
    await add(rig, "acme")
    removed = await rig.desk.remove(ANN, "acme")
    await rig.clock.advance(10 * DAY_SECONDS)
    purged = removed.record.purged(rig.clock.now_ms())
    written = await rig.store.put(purged, revision=removed.revision)
    assert await rig.ttl("acme") == f"{20 * DAY_SECONDS}s"
    assert await rig.store.find("acme") == written


async def test_tenant_can_be_made_anew_once_its_tombstone_has_ended(rig: Rig) -> None:
    await add(rig, "acme")
    removed = await rig.desk.remove(ANN, "acme")
    # As long ago as it takes for the server to forget it in a second.
    await rig.clock.advance(TOMBSTONE_SECONDS - 0.5)
    await rig.store.put(removed.record.purged(rig.clock.now_ms()), revision=removed.revision)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await rig.store.get("acme") is not None:
            await asyncio.sleep(0.05)
    await refuse_tombstone(rig.store, "acme")
    with pytest.raises((ConflictError, NotFoundError)):
        await rig.store.put(removed.record, revision=removed.revision)
    assert (await add(rig, "acme")).is_active


async def test_what_cannot_be_read_is_no_tenant_and_nothing_is_made_over_it(rig: Rig) -> None:
    made = await add(rig, "acme")
    await rig.bucket.put("other", made.as_bytes())
    for attempt in (lambda: add(rig, "other"), lambda: refuse_tombstone(rig.store, "other")):
        with pytest.raises(StoreError, match="no record"):
            await attempt()
    page = await rig.store.list()
    assert [one.record.id for one in page.tenants] == ["acme"]
    assert page.unreadable == ("other",)


# ── Tenants that a bundle names ──────────────────────────────────────────────────────────────


async def test_bundles_tenant_is_made_once_and_follows_the_bundle(rig: Rig) -> None:
    wanted = NewTenant("acme", "Acme", origin="folder")
    made = await rig.desk.ensure(OURSELVES, wanted)
    assert made.record.origin == "folder"
    assert await rig.desk.ensure(OURSELVES, wanted) == made
    settings = TenantSettings("Europe/Berlin")
    changed = await rig.desk.ensure(OURSELVES, replace(wanted, plan="pro", settings=settings))
    assert (changed.record.plan, changed.record.settings) == ("pro", settings)
    assert await rig.actions() == [("tenant.add", None), ("tenant.change", None)]


async def test_bundle_neither_changes_nor_resumes_what_others_decided(rig: Rig) -> None:
    made = await rig.desk.add(ANN, NewTenant("acme", "Acme"))
    wanted = NewTenant("acme", "Other", "pro", origin="folder")
    assert await rig.desk.ensure(OURSELVES, wanted) == made
    await rig.desk.ensure(OURSELVES, replace(wanted, id="ours"))
    await rig.desk.suspend(ANN, "ours")
    assert (await rig.desk.ensure(OURSELVES, replace(wanted, id="ours"))).record.status == (
        "suspended"
    )


async def test_several_that_start_at_once_agree(rig: Rig) -> None:
    wanted = NewTenant("acme", origin="folder")
    made = await asyncio.gather(*(rig.desk.ensure(OURSELVES, wanted) for _ in range(6)))
    assert {one.revision for one in made} == {made[0].revision}


# ── Lists ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_pages_give_every_tenant_once_in_order(rig: Rig, limit: int) -> None:
    every = [f"t{number}" for number in (3, 1, 2, 5, 4)]
    for tenant in every:
        await add(rig, tenant)
    await rig.desk.remove(ANN, "t2")
    await rig.bucket.put("NOT-A-TENANT", b"x")
    found, after = [], None
    while True:
        page = await rig.store.list(after=after, limit=limit)
        assert len(page.tenants) <= limit
        found += [one.record.id for one in page.tenants]
        after = page.next_after
        if after is None:
            break
    assert found == ["t1", "t3", "t4", "t5"]
    assert page.unreadable == ()


# ── The directory ────────────────────────────────────────────────────────────────────────────


async def test_directory_knows_who_is_served(rig: Rig, directory: TenantDirectory) -> None:
    for tenant in ("b", "a", "c", "d"):
        await add(rig, tenant)
    await rig.desk.suspend(ANN, "c")
    removed = await rig.desk.remove(ANN, "d")
    await directory.refresh()
    assert [record.id for record in directory.active()] == ["a", "b"]
    assert directory.find("d") == removed.record
    assert directory.find("nobody") is None
    assert sorted(directory.records()) == ["a", "b", "c", "d"]
    assert directory.revision == await rig.bucket.last_revision()


async def test_directory_tells_of_each_change_once(rig: Rig, directory: TenantDirectory) -> None:
    heard: list[tuple[str, str | None]] = []
    directory.on_change(lambda tenant, now: heard.append((tenant, None if not now else now.status)))
    await add(rig, "acme")
    await add(rig, "other")
    await directory.refresh()
    assert heard == [("acme", "active"), ("other", "active")]
    heard.clear()
    await directory.refresh()
    assert heard == []
    await rig.desk.suspend(ANN, "acme")
    await directory.refresh()
    await rig.desk.remove(ANN, "acme")
    await directory.refresh()
    await rig.bucket.delete("other")
    await directory.refresh()
    assert heard == [("acme", "suspended"), ("acme", "deleted"), ("other", None)]


async def test_unreadable_record_ends_the_service_of_its_tenant(
    rig: Rig, directory: TenantDirectory
) -> None:
    await add(rig, "acme")
    await directory.refresh()
    heard: list[tuple[str, TenantRecord | None]] = []
    directory.on_change(lambda tenant, record: heard.append((tenant, record)))
    await rig.bucket.put("acme", b"noise")
    await rig.bucket.put("never", b"noise")
    await directory.refresh()
    assert directory.active() == ()
    assert heard == [("acme", None)]
    assert directory.revision == await rig.bucket.last_revision()


async def test_tombstone_is_forgotten_when_it_ends(rig: Rig, directory: TenantDirectory) -> None:
    await add(rig, "acme")
    removed = await rig.desk.remove(ANN, "acme")
    purged = removed.record.purged(rig.clock.now_ms())
    await rig.store.put(purged, revision=removed.revision)
    await directory.refresh()
    heard: list[tuple[str, TenantRecord | None]] = []
    directory.on_change(lambda tenant, record: heard.append((tenant, record)))
    await rig.clock.advance(TOMBSTONE_SECONDS - 1)
    await directory.refresh()
    assert directory.find("acme") is not None
    await rig.clock.advance(1)
    await directory.refresh()
    assert directory.find("acme") is None
    assert heard == [("acme", None)]


async def test_directory_that_was_not_read_for_long_serves_nobody(
    rig: Rig, directory: TenantDirectory
) -> None:
    with pytest.raises(UnavailableError):
        directory.find("acme")
    await add(rig, "acme")
    await directory.refresh()
    await rig.clock.advance(STALE_SECONDS_MAX)
    assert directory.find("acme") is not None
    await rig.clock.advance(0.1)
    assert not directory.is_fresh
    for ask in (directory.active, lambda: directory.find("acme")):
        with pytest.raises(UnavailableError):
            ask()
    assert list(directory.records()) == ["acme"]
    await directory.refresh()
    assert directory.find("acme") is not None


async def test_directory_is_bounded(
    rig: Rig, directory: TenantDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_module, "RECORDS_MAX", 2)
    for tenant in ("a", "b", "c"):
        await add(rig, tenant)
    await directory.refresh()
    assert [record.id for record in directory.active()] == ["a", "b"]
    await rig.desk.suspend(ANN, "a")
    await directory.refresh()
    assert [record.id for record in directory.active()] == ["b"]


async def test_bucket_made_anew_has_none_of_the_old_tenants(
    rig: Rig, directory: TenantDirectory
) -> None:
    for tenant in ("a", "b", "c"):
        await add(rig, tenant)
    await directory.refresh()
    heard: list[tuple[str, bool]] = []
    directory.on_change(lambda tenant, record: heard.append((tenant, record is not None)))
    admin, name = JetStreamAdmin(rig.bus), names.tenants_bucket(rig.env)
    await admin.delete_stream(names.bucket_stream(name))
    await admin.ensure_stream(streams.bucket_spec(name))
    await add(rig, "b")
    await directory.refresh()
    assert [record.id for record in directory.active()] == ["b"]
    assert heard == [("a", False), ("c", False)], "of b nothing is new"


async def test_two_directories_hear_of_a_change_without_waiting_for_their_next_look(
    rig: Rig, nats_server: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LOOK_SECONDS", 60.0)
    async with connected(nats_server) as elsewhere:
        buses = (rig.bus, elsewhere)
        buckets = [KvBucket(bus, names.tenants_bucket(rig.env)) for bus in buses]
        both = [TenantDirectory(bucket, SystemClock()) for bucket in buckets]
        for bus, bucket, one in zip(buses, buckets, both, strict=True):
            await bus.subscribe(bucket.pattern, one.hear)
            await one.start()
        try:
            for tenant in ("a", "b", "c"):
                await add(rig, tenant)
                await until(lambda: all(len(one.active()) == 1 for one in both))
                await rig.desk.remove(ANN, tenant)
                await until(lambda: all(one.active() == () for one in both))
        finally:
            for one in both:
                await one.stop()


async def test_directory_that_hears_nothing_looks_for_itself(rig: Rig) -> None:
    one = TenantDirectory(rig.bucket, SystemClock())
    await one.start()
    try:
        await add(rig, "acme")
        await until(lambda: len(one.active()) == 1)
    finally:
        await one.stop()
