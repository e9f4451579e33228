"""Erasure on a real server: nothing of a deleted tenant stays, all of another's does."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from actors.errors import UnavailableError
from actors.ports import StateScope
from app.accounts.desk import LoginDesk
from app.accounts.logins import KvBusLogins
from app.audit.reading import AuditFilter
from app.bus.admin import JetStreamAdmin
from app.bus.admin_specs import StreamSpec
from app.bus.server_folder import Endpoint
from app.control import holdings as holdings_module
from app.control import names, streams
from app.control.control import TenantSubscriptions
from app.control.credentials import tombstone_gate
from app.control.erasing import CONSUMERS, STREAMS, TenantStores
from app.control.holdings import Kind, holdings
from app.control.keys import KeyDesk, Rotation
from app.control.limits import StreamLimits
from app.control.secret_desk import SecretDesk
from app.erasure import eraser as eraser_module
from app.erasure import steward as steward_module
from app.erasure.eraser import Hands, TenantEraser
from app.erasure.opening import open_eraser, open_steward, released_by
from app.erasure.steward import EraseSteward, Sweeping
from app.errors import BusError, ConflictError
from app.fleet.fleet import Fleet
from app.fleet.heartbeat import Heartbeat
from app.fleet.report import WorkerIdentity
from app.stores.api_key import PLATFORM
from app.stores.api_keys import KvApiKeys, NewKey
from app.stores.key_uses import KeyUses
from app.stores.kv import KvBucket
from app.stores.secrets import BUNDLE_SCOPE
from app.tenancy.directory import TenantDirectory
from tests.support import furnishing
from tests.support.furnishing import ANN, CLOCK, Env, an_env, contents, furnish, streams_of, traces

pytestmark = pytest.mark.server

GONE, STAYS = "acme", "acme-eu"
SETTLE_SECONDS = 0.05


async def released(_: str) -> None:
    """Have every worker let go at once."""


@dataclass
class Rig:
    """An env with two tenants that have something everywhere."""

    env: Env
    stores: TenantStores
    collected: list[int] = field(default_factory=list)

    def eraser(self, hands: Hands | None = None) -> TenantEraser:
        """Give an eraser that need not wait."""
        hands = hands or Hands(released, settle_seconds=SETTLE_SECONDS)
        return open_eraser(self.env.bus, self.env.name, self.env.audit.log, CLOCK, hands)

    async def remove(self, tenant: str) -> None:
        """Delete a tenant as an operator does."""
        await self.env.desk.remove(ANN, tenant)

    @asynccontextmanager
    async def steward(self, eraser: TenantEraser | None = None) -> AsyncIterator[EraseSteward]:
        """Give a steward, with its directory, as a process has one."""
        bucket = self.env.bucket(names.tenants_bucket(self.env.name))
        directory = TenantDirectory(bucket, CLOCK)

        async def collect() -> int:
            self.collected.append(1)
            return 0

        steward = open_steward(
            self.env.bus,
            self.env.name,
            directory,
            eraser or self.eraser(),
            CLOCK,
            Sweeping(collect),
        )
        await directory.start()
        try:
            yield steward
        finally:
            await steward.stop()
            await directory.stop()

    async def is_purged(self) -> bool:
        """Tell whether the tombstone says that nothing is left."""
        return (await self.env.tenants.find(GONE)).record.purged_ms is not None

    async def audited(self, tenant: str) -> list[str]:
        """Give the actions in the tenant's audit log."""
        page = await self.env.audit.reader.page(tenant, AuditFilter(), order="oldest")
        return [kept.entry.action for kept in page.entries if kept.entry]


@asynccontextmanager
async def rigged(server: Endpoint, env: str, *, work_shards: int = 1) -> AsyncIterator[Rig]:
    async with an_env(server, env, work_shards=work_shards) as made:
        for tenant in (GONE, STAYS):
            await furnish(made, tenant)
        yield Rig(made, TenantStores(made.bus, env))


@pytest.fixture
async def rig(nats_server: Endpoint, fresh_env: str) -> AsyncIterator[Rig]:
    async with rigged(nats_server, fresh_env) as made:
        yield made


def unheld() -> None:
    """Stand for a lease that nobody takes away."""


# ── Whether the inventory knows every store ──────────────────────────────────────────────────


def described(env: str) -> list[StreamSpec]:
    """Describe every stream that `app.control.streams` can: a new one turns up here or fails."""
    limits = StreamLimits()
    given: Mapping[str, object] = {
        "env": env,
        "tenant": GONE,
        "limits": limits,
        "shard": 0,
        "subjects": (f"greentic.any.{env}.>",),
    }
    found: list[StreamSpec] = [*streams.shared_specs(env, limits), *streams.bucket_specs(env)]
    for name, make in inspect.getmembers(streams, inspect.isfunction):
        if make.__module__ != streams.__name__ or name in {"bucket_spec", "_object_spec"}:
            continue
        if name.endswith("_spec"):
            wanted = inspect.signature(make).parameters
            found.append(make(**{name: given[name] for name in wanted}))
    return found


def test_every_stream_that_can_be_made_is_in_the_inventory() -> None:
    known = holdings("dev", GONE)
    specs = described("dev")
    assert len({spec.name for spec in specs}) > 15
    for spec in specs:
        owners = [holding for holding in known if holding.is_in(spec.name)]
        assert len(owners) == 1, f"{spec.name}: say in app.control.holdings what is tenants' in it"
        for subject in owners[0].subjects:
            covered = any(subject.startswith(taken.rstrip(">")) for taken in spec.subjects)
            assert covered or owners[0].is_sharded, f"{spec.name} never holds {subject}"


async def test_every_stream_of_a_whole_env_is_in_the_inventory_and_has_something(rig: Rig) -> None:
    known = [*holdings(rig.env.name, GONE), *holdings(rig.env.name, STAYS)]
    for stream in await streams_of(rig.env.bus, rig.env.name):
        assert any(holding.is_in(stream) for holding in known), stream
    found = await rig.stores.inventory(GONE)
    assert [store for store, count in found.counts.items() if not count] == []
    assert found.counts["work"] == 4
    assert found.counts["dead_letters"] == 2
    assert found.counts["blobs"] == found.counts["versions"] == 1
    assert found.counts["state"] == 2, "a deleted key is remembered for a day"
    assert found.counts[CONSUMERS] == 3
    assert found.counts[STREAMS] == 1
    assert set(found.kept) == {h.store for h in known if h.kind is Kind.KEPT}
    assert found.kept["tenants"] == 1


async def test_inventory_of_nobody_is_empty(rig: Rig) -> None:
    found = await rig.stores.inventory("acm")
    assert found.is_empty
    assert not any(found.kept.values())


# ── Erasing ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("work_shards", [1, 4])
async def test_nothing_of_the_tenant_stays_and_all_of_the_other_does(
    nats_server: Endpoint, fresh_env: str, work_shards: int
) -> None:
    async with rigged(nats_server, fresh_env, work_shards=work_shards) as rig:
        bus, env = rig.env.bus, rig.env.name
        before = await rig.stores.inventory(STAYS)
        kept_before = await everything_of_the_other(rig)
        await rig.remove(GONE)
        report = await rig.eraser().erase_tenant(GONE, unheld)
        assert report is not None
        assert report.is_released
        assert report.rounds == 1
        assert (report.logins_revoked, report.keys_revoked) == (1, 1)
        left = await traces(bus, env, GONE)
        audit, tenants = names.audit_stream(env), names.tenants_bucket(env)
        assert {line.partition(":")[0] for line in left} == {audit, names.bucket_stream(tenants)}
        assert (await rig.stores.inventory(GONE)).is_empty
        # Also within: no message anywhere holds the tenant's own words.
        everywhere = await contents(bus, env, await streams_of(bus, env))
        for stream, messages in everywhere.items():
            if stream not in (audit, names.bucket_stream(tenants)):
                for subject, data in messages:
                    assert f"of-{GONE}" not in subject
                    assert f'"{GONE}"'.encode() not in data, (stream, subject)
        assert await rig.stores.inventory(STAYS) == before
        assert await everything_of_the_other(rig) == kept_before


async def everything_of_the_other(rig: Rig) -> dict[str, list[tuple[str, bytes]]]:
    """Read all that is in the env but for what is the deleted tenant's, or changes by itself."""
    env = rig.env.name
    names_of_all = await streams_of(rig.env.bus, env)
    passing = (names.audit_stream(env), names.bucket_stream(names.tenants_bucket(env)))
    read = await contents(rig.env.bus, env, [one for one in names_of_all if one not in passing])
    gone = await parts_of(rig, GONE, read)
    return {
        stream: kept
        for stream, messages in read.items()
        if (kept := [(s, d) for s, d in messages if not belongs(s, GONE) and s not in gone])
    }


def belongs(subject: str, tenant: str) -> bool:
    """Tell whether a subject is a tenant's, the leases of processes, or a schedule that fires."""
    is_lease = subject.endswith((".control", ".erasure"))
    return is_lease or ".run-4" in subject or furnishing.names_tenant(subject, tenant)


async def parts_of(
    rig: Rig, tenant: str, read: Mapping[str, list[tuple[str, bytes]]]
) -> frozenset[str]:
    """Give the subjects of the parts of a tenant's objects."""
    found = set()
    for messages in read.values():
        for subject, data in messages:
            if ".M." in subject and furnishing.names_tenant(subject, tenant):
                nuid = data.decode().partition('"nuid": "')[2].partition('"')[0]
                found.add(subject.partition(".M.")[0] + f".C.{nuid}")
    return frozenset(found)


async def test_schedule_that_was_purged_never_fires(rig: Rig) -> None:
    await rig.remove(GONE)
    await rig.eraser().erase_tenant(GONE, unheld)
    await asyncio.sleep(furnishing.SOON_MS / 1000 + 1)
    counts = (await rig.stores.inventory(GONE)).counts
    assert counts["work"] == 0
    assert (await rig.stores.inventory(STAYS)).counts["work"] == 4


async def test_audit_log_tells_of_the_erasure_and_stays(rig: Rig) -> None:
    before = await rig.audited(GONE)
    await rig.remove(GONE)
    await rig.eraser().erase_tenant(GONE, unheld)
    assert await rig.audited(GONE) == [
        *before,
        "tenant.remove",
        "tenant.erase",
        "tenant.erased",
    ]
    page = await rig.env.audit.reader.page(GONE, AuditFilter(), order="newest")
    entry = page.entries[0].entry
    assert entry is not None
    assert entry.after["erased"]["secrets"] == 1
    assert entry.after["released"] is True


async def test_tombstone_says_when_all_was_gone_and_ends_when_it_was_to(rig: Rig) -> None:
    await rig.remove(GONE)
    before = (await rig.env.tenants.find(GONE)).record
    await rig.eraser().erase_tenant(GONE, unheld)
    after = (await rig.env.tenants.find(GONE)).record
    assert after.purged_ms is not None
    assert after.deleted_ms == before.deleted_ms
    assert after.ends_ms == before.ends_ms


async def test_tenant_that_is_not_deleted_is_not_erased(rig: Rig) -> None:
    before = await rig.stores.inventory(GONE)
    with pytest.raises(ConflictError, match="not deleted"):
        await rig.eraser().erase_tenant(GONE, unheld)
    assert await rig.stores.inventory(GONE) == before


async def test_erasing_again_is_nothing(rig: Rig) -> None:
    await rig.remove(GONE)
    eraser = rig.eraser()
    assert await eraser.erase_tenant(GONE, unheld) is not None
    before = await rig.audited(GONE)
    assert await eraser.erase_tenant(GONE, unheld) is None
    assert await rig.audited(GONE) == before


async def test_nobody_goes_on_without_the_lease(rig: Rig) -> None:
    await rig.remove(GONE)
    calls = 0

    def lost() -> None:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise ConflictError("the lease was lost")

    with pytest.raises(ConflictError, match="lost"):
        await rig.eraser().erase_tenant(GONE, lost)
    assert not await rig.is_purged()
    assert await rig.eraser().erase_tenant(GONE, unheld) is not None


async def test_logins_stay_on_record_until_servers_refuse_them(rig: Rig) -> None:
    async def refused() -> None:
        raise BusError("the server takes no accounts now")

    await rig.remove(GONE)
    hands = Hands(released, enforce=refused, settle_seconds=SETTLE_SECONDS)
    with pytest.raises(BusError):
        await rig.eraser(hands).erase_tenant(GONE, unheld)
    assert (await rig.stores.inventory(GONE)).counts["logins"] == 1


async def test_workers_that_do_not_let_go_are_waited_for_and_named(rig: Rig) -> None:
    async def never(_: str) -> None:
        await asyncio.Event().wait()

    await rig.remove(GONE)
    hands = Hands(never, settle_seconds=SETTLE_SECONDS, release_seconds=0.3)
    report = await rig.eraser(hands).erase_tenant(GONE, unheld)
    assert report is not None
    assert not report.is_released
    assert report.seconds >= 0.3
    assert (await rig.stores.inventory(GONE)).is_empty


async def test_what_is_written_meanwhile_is_found_by_the_last_look(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.remove(GONE)
    erase, late = TenantStores.erase, 1

    async def erase_and_write(stores: TenantStores, tenant: str, check: object) -> object:
        nonlocal late
        counts = await erase(stores, tenant, unheld)
        if late > 0:
            late -= 1
            await rig.env.state.put(StateScope(GONE), "late", 1)
        return counts

    monkeypatch.setattr(TenantStores, "erase", erase_and_write)
    report = await rig.eraser().erase_tenant(GONE, unheld)
    assert report is not None
    assert report.rounds == 2
    late = eraser_module.ROUNDS_MAX
    await rig.env.state.put(StateScope(GONE), "late", 1)
    with pytest.raises(ConflictError, match="still written to: state"):
        await rig.eraser().erase_tenant(GONE, unheld)


async def test_workers_leases_are_not_a_tenants(nats_server: Endpoint, fresh_env: str) -> None:
    """A tenant may be called what processes call their own keys."""
    async with an_env(nats_server, fresh_env) as env:
        leases = env.bucket(names.leases_bucket(fresh_env))
        for tenant in ("worker", "control"):
            await furnish(env, tenant)
            await env.desk.remove(ANN, tenant)
        await leases.put("worker.w1", b"alive")
        rig = Rig(env, TenantStores(env.bus, fresh_env))
        for tenant in ("worker", "control"):
            assert (await rig.stores.inventory(tenant)).counts["leases"] == 1
            await rig.eraser().erase_tenant(tenant, unheld)
            assert (await rig.stores.inventory(tenant)).is_empty
        assert (await leases.get("worker.w1")).value == b"alive"


# ── Staying gone ─────────────────────────────────────────────────────────────────────────────


async def test_nothing_is_made_for_a_deleted_tenant(rig: Rig) -> None:
    await rig.remove(GONE)
    await rig.eraser().erase_tenant(GONE, unheld)
    stale = [rig.env.subscriptions(GONE), rig.env.subscriptions(STAYS)]
    await rig.env.control.ensure(stale)
    await rig.env.control.ensure([TenantSubscriptions("new", {})])
    counts = (await rig.stores.inventory(GONE)).counts
    assert counts[STREAMS] == counts[CONSUMERS] == 0
    assert (await rig.stores.inventory("new")).counts[STREAMS] == 1


async def test_steward_erases_who_is_deleted_and_sweeps_up_late_writes(rig: Rig) -> None:
    async with rig.steward() as steward:
        steward.start()
        await rig.remove(GONE)
        await furnishing.until(rig.is_purged)
        assert (await rig.stores.inventory(GONE)).is_empty
        first = (await rig.env.tenants.find(GONE)).record.purged_ms
        # A worker that slept finds the tenant's buckets open.
        await rig.env.state.put(StateScope(GONE), "late", 1)
        await furnishing.store(rig.env.bus, f"greentic.dead.{rig.env.name}.{GONE}.-.l", b"{}")
        assert await rig.stores.leftovers([GONE, STAYS, "nobody"]) == {GONE, STAYS}
        await steward._directory.refresh()
        assert await steward.sweep()
        assert (await rig.stores.inventory(GONE)).is_empty
        assert await rig.stores.leftovers([GONE, "nobody"]) == frozenset()
        again = (await rig.env.tenants.find(GONE)).record.purged_ms
        assert first is not None
        assert again is not None
        assert again > first
    assert rig.collected


@pytest.mark.parametrize("what", ["blobs", "state", "consumer", "stream"])
async def test_leftovers_of_every_kind_are_found(rig: Rig, what: str) -> None:
    await rig.remove(GONE)
    await rig.eraser().erase_tenant(GONE, unheld)
    assert await rig.stores.leftovers([GONE]) == frozenset()
    env = rig.env
    if what == "blobs":
        meta = f"$O.{names.blobs_bucket(env.name)}.M.{furnishing.object_token(GONE + '/x')}"
        await furnishing.store(env.bus, meta, b"{}")
    elif what == "state":
        await env.state.put(StateScope(GONE), "late", 1)
    elif what == "consumer":
        spec = streams.work_consumer(env.name, GONE, 0, StreamLimits())
        await rig.stores._admin.ensure_consumer(spec)
    else:
        spec_of_all = streams.events_spec(env.name, GONE, StreamLimits())
        await rig.stores._admin.ensure_stream(spec_of_all)
    assert await rig.stores.leftovers([GONE]) == {GONE}
    async with rig.steward() as steward:
        assert await steward.sweep()
    assert await rig.stores.leftovers([GONE]) == frozenset()
    assert (await rig.stores.inventory(GONE)).is_empty


async def test_steward_erases_who_was_deleted_while_nobody_ran(rig: Rig) -> None:
    await rig.remove(GONE)
    async with rig.steward() as steward:
        steward.start()
        await furnishing.until(rig.is_purged)
    assert (await rig.stores.inventory(GONE)).is_empty


async def test_two_stewards_do_not_erase_twice(rig: Rig) -> None:
    async with rig.steward() as one, rig.steward() as other:
        one.start()
        other.start()
        await rig.remove(GONE)
        await furnishing.until(rig.is_purged)
        assert await one.erase_pending()
        assert await other.erase_pending()
    assert (await rig.audited(GONE)).count("tenant.erase") == 1


async def test_trouble_with_one_tenant_is_not_the_others(rig: Rig) -> None:
    async def released_unless(tenant: str) -> None:
        if tenant == GONE:
            raise BusError("no")

    await rig.remove(GONE)
    await rig.remove(STAYS)
    eraser = rig.eraser(Hands(released_unless, settle_seconds=SETTLE_SECONDS))
    async with rig.steward(eraser) as steward:
        assert not await steward.erase_pending()
    assert (await rig.stores.inventory(STAYS)).is_empty
    assert not await rig.is_purged()


async def test_parts_without_a_record_are_removed_at_the_second_look(rig: Rig) -> None:
    env = rig.env
    stream = await furnishing.orphan(env, names.blobs_bucket(env.name))
    before = await contents(env.bus, env.name, [stream])
    assert await rig.stores.remove_loose_parts() == 0
    assert await rig.stores.remove_loose_parts() == 1
    after = await contents(env.bus, env.name, [stream])
    assert len(before[stream]) == len(after[stream]) + 1
    assert (await rig.stores.inventory(GONE)).counts["blobs"] == 1


async def test_tombstone_that_is_about_to_end_protects_who_comes_after(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.remove(GONE)
    monkeypatch.setattr(eraser_module, "TOMBSTONE_MARGIN_MS", 31 * 24 * 3_600_000)
    with pytest.raises(ConflictError, match="about to end"):
        await rig.eraser().erase_tenant(GONE, unheld)
    assert not (await rig.stores.inventory(GONE)).is_empty


def test_bucket_names_are_the_ones_that_are_used() -> None:
    """A holding of a bucket nobody makes would hide that another one is forgotten."""
    made = {spec.name for spec in described("dev")}
    for holding in holdings_module.holdings("dev", GONE):
        assert any(holding.is_in(name) for name in made), holding.store


def test_no_bucket_is_opened_by_a_name_that_is_not_covered() -> None:
    buckets = [
        make("dev")
        for name, make in inspect.getmembers(names, inspect.isfunction)
        if name.endswith("_bucket")
    ]
    known = holdings("dev", GONE)
    for bucket in buckets:
        KvBucket(None, bucket)  # type: ignore[arg-type] # it is a name
        stored = (names.bucket_stream(bucket), names.object_stream(bucket))
        assert any(holding.is_in(name) for holding in known for name in stored), bucket


async def test_desks_make_nothing_for_a_deleted_tenant(rig: Rig) -> None:
    env = rig.env
    gate = tombstone_gate(env.bus, env.name)
    keys = KeyDesk(
        KvApiKeys(env.bucket(names.api_keys_bucket(env.name)), CLOCK),
        KeyUses(env.bucket(names.key_uses_bucket(env.name)), CLOCK),
        env.audit.log,
        CLOCK,
        gate,
    )
    logins = LoginDesk(
        KvBusLogins(env.bucket(names.bus_logins_bucket(env.name)), CLOCK), env.audit.log, gate
    )
    secrets = SecretDesk(furnishing.secrets_of(env), env.audit.log, gate)
    (key, *_) = await keys.list(STAYS)
    await rig.remove(GONE)
    wanted = NewKey(GONE, "late", ["tenant-publish"])
    for attempt in (
        lambda: keys.add(ANN, wanted),
        lambda: keys.rotate(ANN, GONE, key.prefix, Rotation()),
        lambda: logins.issue(ANN, GONE, "late"),
        lambda: secrets.set(ANN, GONE, "late", "value"),
    ):
        with pytest.raises(ConflictError, match="was deleted; nothing can be made for it until"):
            await attempt()
    assert (await rig.audited(GONE))[-1] == "tenant.remove", "it was not begun"
    await keys.add(ANN, NewKey(STAYS, "other", ["tenant-publish"]))
    await keys.add(ANN, NewKey(PLATFORM, "platform", ["platform-admin"]))
    await secrets.set(ANN, BUNDLE_SCOPE, "token", "value")
    await logins.issue(ANN, STAYS, "other")


@pytest.mark.parametrize("is_deaf", [False, True])
async def test_workers_have_let_go_once_they_acknowledge_the_end_of_the_deployment(
    rig: Rig, is_deaf: bool
) -> None:
    env = rig.env
    leases = env.bucket(names.leases_bucket(env.name))
    deployments = env.bucket(names.deployments_bucket(env.name))
    heartbeat = Heartbeat(leases, CLOCK, WorkerIdentity.of_this_process(["worker"], "1.0"))
    await heartbeat.start()
    heartbeat.acknowledge(await deployments.last_revision(), {})
    fleet = Fleet(leases, CLOCK)
    await fleet.start(env.bus)

    async def follow() -> None:
        while not is_deaf:
            await asyncio.sleep(0.05)
            heartbeat.acknowledge(await deployments.last_revision(), {})

    following = asyncio.create_task(follow())
    await rig.remove(GONE)
    hands = Hands(released_by(fleet, deployments), settle_seconds=0.0, release_seconds=2.0)
    report = await rig.eraser(hands).erase_tenant(GONE, unheld)
    following.cancel()
    await fleet.stop()
    await heartbeat.forget()
    assert report is not None
    assert report.is_released is not is_deaf
    assert (await rig.stores.inventory(GONE)).is_empty


async def test_subject_that_a_shard_still_listens_to_is_found_and_dropped(
    nats_server: Endpoint, fresh_env: str
) -> None:
    async with rigged(nats_server, fresh_env, work_shards=4) as rig:
        assert (await rig.stores.inventory(GONE)).counts[STREAMS] == 4
        await rig.remove(GONE)
        await rig.eraser().erase_tenant(GONE, unheld)
        assert await rig.stores.leftovers([GONE]) == frozenset()
        subject = f"greentic.work.{fresh_env}.{GONE}.>"
        shard = names.work_shard(GONE, 4)
        spec = streams.work_spec(fresh_env, shard, (subject,), StreamLimits())
        admin = JetStreamAdmin(rig.env.bus)
        info = await admin.stream_info(spec.name)
        others = tuple(info.config["subjects"]) if info else ()
        await admin.ensure_stream(replace(spec, subjects=(*others, subject)))
        assert await rig.stores.leftovers([GONE]) == {GONE}
        async with rig.steward() as steward:
            assert await steward.sweep()
        assert (await rig.stores.inventory(GONE)).is_empty
        # A shard that was the erased tenant's alone comes back with the next tenant in it.
        await rig.env.control.ensure([TenantSubscriptions("new", {})])
        assert (await rig.stores.inventory("new")).counts[STREAMS] == 4


async def test_what_failed_is_tried_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steward_module, "RETRY_FIRST_SECONDS", 0.05)
    tries = 0

    async def released_at_last(_: str) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise UnavailableError("NATS does not answer")

    await rig.remove(GONE)
    eraser = rig.eraser(Hands(released_at_last, settle_seconds=SETTLE_SECONDS))
    async with rig.steward(eraser) as steward:
        steward.start()
        await furnishing.until(rig.is_purged)
    assert tries == 3
    assert (await rig.audited(GONE)).count("tenant.erased") == 1
