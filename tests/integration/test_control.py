"""Control makes streams, consumers and buckets on a real nats-server, again and again."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from actors.errors import InvalidSubjectError, UnavailableError
from actors.subjects import (
    build_event_subject,
    build_result_subject,
    journal_subject,
    work_run_subject,
)
from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus
from app.bus.server_folder import Endpoint
from app.control import control as control_module
from app.control import lease as lease_module
from app.control import names, streams
from app.control.control import Control, TenantSubscriptions
from app.control.lease import Lease, hold_lease
from app.control.limits import StreamLimits
from app.errors import BusError, ConflictError
from app.stores.kv import KvBucket
from app.stores.ticks import LastTicks
from tests.support.bus import connected

HOUR = 3600
NANOSECONDS = 1_000_000_000


@pytest.fixture
async def bus(nats_server: Endpoint) -> AsyncIterator[Bus]:
    async with connected(nats_server) as bus:
        yield bus


@pytest.fixture
def admin(bus: Bus) -> JetStreamAdmin:
    return JetStreamAdmin(bus)


@pytest.fixture
def control(bus: Bus, fresh_env: str) -> Control:
    return Control(bus, fresh_env)


def acme(**patterns: str) -> TenantSubscriptions:
    return TenantSubscriptions("acme", patterns)


async def publish(bus: Bus, subject: str, **headers: str) -> dict[str, object]:
    answer = await bus.request(
        subject,
        b"{}",
        timeout_seconds=5,
        headers={k.replace("_", "-"): v for k, v in headers.items()} or None,
    )
    document: dict[str, object] = json.loads(answer.data)
    return document


async def fetch(bus: Bus, stream: str, durable: str) -> list[str]:
    """Give the subjects of everything the consumer has now, settling none."""
    subscription = await bus.client.jetstream().pull_subscribe_bind(durable, stream)
    subjects = []
    try:
        while True:
            subjects += [message.subject for message in await subscription.fetch(100, timeout=0.3)]
    except TimeoutError:
        return subjects
    finally:
        await subscription.unsubscribe()


# ── Streams ──────────────────────────────────────────────────────────────────────────────────


async def test_apply_makes_every_stream_of_the_design(
    control: Control, admin: JetStreamAdmin, fresh_env: str
) -> None:
    await control.ensure([acme(a="order.created")])
    env = fresh_env
    wanted = {
        f"EVENTS-{env}-T-acme": [f"greentic.events.{env}.acme.>"],
        f"WORK-{env}-0": [f"greentic.work.{env}.>"],
        f"JOURNAL-{env}-0": [f"greentic.journal.{env}.>"],
        f"RUNS-{env}-0": [f"greentic.runs.{env}.>"],
        f"DEAD-{env}": [f"greentic.dead.{env}.>"],
        f"EGRESS-{env}": [f"greentic.messaging.egress.{env}.>"],
        f"AUDIT-{env}": [f"greentic.audit.{env}.>"],
        f"KV_state-{env}": [f"$KV.state-{env}.>"],
        f"KV_leases-{env}": [f"$KV.leases-{env}.>"],
        f"KV_deployments-{env}": [f"$KV.deployments-{env}.>"],
    }
    for name, subjects in wanted.items():
        info = await admin.stream_info(name)
        assert info is not None, name
        assert info.config["subjects"] == subjects
        assert info.config["storage"] == "file"
        assert info.config["allow_direct"] is True


async def test_events_stream_keeps_what_it_must_recognize(
    control: Control, admin: JetStreamAdmin, fresh_env: str
) -> None:
    await control.ensure([acme(a="order.created")])
    info = await admin.stream_info(names.events_stream(fresh_env, "acme"))
    assert info is not None
    assert info.config["duplicate_window"] == 24 * HOUR * NANOSECONDS
    assert info.config["max_age"] == 7 * 24 * HOUR * NANOSECONDS
    assert info.config["max_bytes"] == 1 << 30
    assert (info.config["retention"], info.config["discard"]) == ("limits", "old")


async def test_work_stream_has_nothing_that_ends_a_schedule(
    control: Control, admin: JetStreamAdmin, fresh_env: str
) -> None:
    await control.ensure([acme()])
    info = await admin.stream_info(names.work_stream(fresh_env, 0))
    assert info is not None
    config = info.config
    assert config["retention"] == "workqueue"
    assert (config["max_age"], config["max_bytes"], config["max_msgs"]) == (0, -1, -1)
    assert config["allow_msg_schedules"] is True
    assert config["allow_msg_ttl"] is True
    assert config["max_consumers"] == 100_000


async def test_scheduled_continuation_reaches_the_tenants_consumer(
    control: Control, bus: Bus, fresh_env: str
) -> None:
    await control.ensure([acme()])
    target = work_run_subject(fresh_env, "acme", "r1")
    acknowledgement = await publish(
        bus,
        f"greentic.work.{fresh_env}.acme.at.r1",
        Nats_Schedule="@at 2020-01-01T00:00:00Z",
        Nats_Schedule_Target=target,
        Nats_TTL="never",
    )
    assert "error" not in acknowledgement
    consumer = await bus.client.jetstream().pull_subscribe_bind("work-acme", f"WORK-{fresh_env}-0")
    (message,) = await consumer.fetch(1, timeout=10)
    assert message.subject == target
    await consumer.unsubscribe()


async def test_journal_refuses_a_second_write_of_a_step(
    control: Control, bus: Bus, fresh_env: str
) -> None:
    await control.ensure([acme()])
    subject = journal_subject(fresh_env, "acme", "r1", "charge")
    assert "error" not in await publish(bus, subject, Nats_TTL="1h")
    refused = await publish(bus, subject, Nats_TTL="1h")
    assert refused["error"]["err_code"] == 10077  # type: ignore[index]


async def test_hundreds_of_byte_limits_need_no_such_disk(
    control: Control, admin: JetStreamAdmin, fresh_env: str
) -> None:
    spec = streams.events_spec(fresh_env, "acme", StreamLimits(events_bytes=1 << 42))
    await admin.ensure_stream(spec)
    await admin.delete_stream(spec.name)


# ── Consumers ────────────────────────────────────────────────────────────────────────────────


async def test_flows_consumer_covers_the_triggers_without_overlap(
    control: Control, admin: JetStreamAdmin, fresh_env: str
) -> None:
    await control.ensure([acme(a="order.created", b="order.*", c="order.created", d="user.>")])
    info = await admin.consumer_info(names.events_stream(fresh_env, "acme"), "flows")
    assert info is not None
    prefix = f"greentic.events.{fresh_env}.acme."
    assert info.config["filter_subjects"] == [prefix + "order.*", prefix + "user.>"]
    assert info.config["ack_policy"] == "explicit"
    assert info.config["ack_wait"] == 30 * NANOSECONDS
    assert info.config["max_deliver"] == -1
    assert info.config["max_ack_pending"] == 512


async def test_tenant_without_event_triggers_receives_nothing(
    control: Control, bus: Bus, fresh_env: str
) -> None:
    await control.ensure([acme()])
    await publish(bus, build_event_subject(fresh_env, "acme", "order.created"))
    assert await fetch(bus, names.events_stream(fresh_env, "acme"), "flows") == []


async def test_default_trigger_receives_everything(
    control: Control, bus: Bus, fresh_env: str
) -> None:
    await control.ensure([acme(a="order.created", default=">")])
    subjects = [
        build_event_subject(fresh_env, "acme", "user.left"),
        build_result_subject(fresh_env, "acme", "user.left"),
    ]
    for subject in subjects:
        await publish(bus, subject)
    assert await fetch(bus, names.events_stream(fresh_env, "acme"), "flows") == subjects


async def test_changed_filter_keeps_the_consumers_position(
    control: Control, admin: JetStreamAdmin, bus: Bus, fresh_env: str
) -> None:
    stream = names.events_stream(fresh_env, "acme")
    await control.ensure([acme(a="order.created")])
    for _ in range(3):
        await publish(bus, build_event_subject(fresh_env, "acme", "order.created"))
    before = await admin.consumer_info(stream, "flows")
    await control.ensure([acme(a="order.created", b="user.left")])
    await publish(bus, build_event_subject(fresh_env, "acme", "user.left"))
    assert before is not None
    after = await admin.consumer_info(stream, "flows")
    assert after is not None
    assert after.config["deliver_policy"] == before.config["deliver_policy"]
    received = await fetch(bus, stream, "flows")
    assert [subject.rpartition("acme.")[2] for subject in received] == [
        *["order.created"] * 3,
        "user.left",
    ]


async def test_operators_change_of_an_unowned_field_survives(
    control: Control, bus: Bus, admin: JetStreamAdmin, fresh_env: str
) -> None:
    await control.ensure([acme(a="order.created")])
    stream = names.events_stream(fresh_env, "acme")
    info = await admin.consumer_info(stream, "flows")
    assert info is not None
    body = {
        "stream_name": stream,
        "action": "update",
        "config": {**info.config, "description": "watched"},
    }
    await bus.request(
        f"$JS.API.CONSUMER.CREATE.{stream}.flows", json.dumps(body).encode(), timeout_seconds=5
    )
    await control.ensure([acme(a="order.created", b="user.left")])
    info = await admin.consumer_info(stream, "flows")
    assert info is not None
    assert info.config["description"] == "watched"
    assert len(info.config["filter_subjects"]) == 2


async def test_two_tenants_with_similar_names_stay_apart(
    control: Control, bus: Bus, fresh_env: str
) -> None:
    await control.ensure(
        [acme(a=">"), TenantSubscriptions("acme-t-2", {"a": ">"}), TenantSubscriptions("t", {})]
    )
    await publish(bus, build_event_subject(fresh_env, "acme-t-2", "order.created"))
    assert await fetch(bus, names.events_stream(fresh_env, "acme"), "flows") == []
    assert len(await fetch(bus, names.events_stream(fresh_env, "acme-t-2"), "flows")) == 1


# ── Applying again ───────────────────────────────────────────────────────────────────────────


async def test_applying_again_changes_nothing(
    control: Control, admin: JetStreamAdmin, bus: Bus, fresh_env: str
) -> None:
    deployment = [acme(a="order.created", b="user.*")]
    await control.ensure(deployment)
    sent: list[str] = []
    request = bus.request

    async def listen(subject: str, data: bytes, **options: object) -> object:
        sent.append(subject)
        return await request(subject, data, **options)  # type: ignore[arg-type]

    bus.request = listen  # type: ignore[assignment,method-assign]
    await control.ensure(deployment)
    assert sent
    assert not [subject for subject in sent if "CREATE" in subject or "UPDATE" in subject]


async def test_removed_tenant_keeps_its_events_and_loses_its_consumers(
    control: Control, admin: JetStreamAdmin, bus: Bus, fresh_env: str
) -> None:
    await control.ensure([acme(a=">"), TenantSubscriptions("other", {"a": ">"})])
    await publish(bus, build_event_subject(fresh_env, "acme", "order.created"))
    await control.remove(["acme"])
    events = await admin.stream_info(names.events_stream(fresh_env, "acme"))
    assert events is not None
    assert events.messages == 1
    assert await admin.consumer_names(events.name) == frozenset()
    assert await admin.consumer_names(names.work_stream(fresh_env, 0)) == {"work-other"}


async def test_tenant_that_comes_back_starts_where_it_is_told(
    control: Control, bus: Bus, fresh_env: str
) -> None:
    await control.ensure([acme(a=">")])
    await control.remove(["acme"])
    await publish(bus, build_event_subject(fresh_env, "acme", "missed"))
    last = await control.last_sequence("acme")
    await control.ensure([TenantSubscriptions("acme", {"a": ">"}, first_sequence=last + 1)])
    await publish(bus, build_event_subject(fresh_env, "acme", "seen"))
    received = await fetch(bus, names.events_stream(fresh_env, "acme"), "flows")
    assert received == [build_event_subject(fresh_env, "acme", "seen")]


async def test_other_tenants_stay_as_they_are(
    control: Control, admin: JetStreamAdmin, fresh_env: str
) -> None:
    await control.ensure([acme(a=">")])
    await control.ensure([TenantSubscriptions("other", {"a": ">"})])
    await control.remove(["other"])
    stream = names.events_stream(fresh_env, "acme")
    assert await admin.consumer_names(stream) == {names.FLOWS_DURABLE}


async def test_last_sequence_of_a_tenant_that_has_none_is_zero(
    control: Control, fresh_env: str
) -> None:
    assert await control.last_sequence("nobody") == 0


async def test_two_controls_at_once_agree(bus: Bus, admin: JetStreamAdmin, fresh_env: str) -> None:
    deployment = [TenantSubscriptions(f"t{number}", {"a": "x.y"}) for number in range(20)]
    await asyncio.gather(*(Control(bus, fresh_env).ensure(deployment) for _ in range(3)))
    assert len(await admin.consumer_names(names.work_stream(fresh_env, 0))) == 20


async def test_wrong_deployment_changes_nothing(
    control: Control, admin: JetStreamAdmin, fresh_env: str
) -> None:
    for wrong in (
        [acme(a="order.created"), TenantSubscriptions("Acme", {})],
        [acme(a="order.created"), TenantSubscriptions("b", {"a": "Order.*"})],
    ):
        with pytest.raises(InvalidSubjectError):
            await control.ensure(wrong)
    with pytest.raises(BusError, match="twice"):
        await control.ensure([acme(), acme()])
    assert await admin.stream_info(names.events_stream(fresh_env, "acme")) is None


async def test_conflicting_stream_of_somebody_else_is_named(
    bus: Bus, control: Control, fresh_env: str
) -> None:
    js = bus.client.jetstream()
    await js.add_stream(name=f"squatter-{fresh_env}", subjects=[f"greentic.dead.{fresh_env}.>"])
    with pytest.raises(BusError, match="overlap") as refused:
        await control.ensure([acme()])
    assert refused.value.server_code == 10065
    await js.delete_stream(f"squatter-{fresh_env}")


async def test_one_tenants_refusal_is_raised_as_itself(
    bus: Bus, control: Control, fresh_env: str
) -> None:
    js = bus.client.jetstream()
    await js.add_stream(name=f"squat-{fresh_env}", subjects=[f"greentic.events.{fresh_env}.b.>"])
    with pytest.raises(BusError) as refused:
        await control.ensure([acme(a="x"), TenantSubscriptions("b", {"a": "x"})])
    assert refused.value.server_code == 10065
    await js.delete_stream(f"squat-{fresh_env}")
    await control.ensure([acme(a="x"), TenantSubscriptions("b", {"a": "x"})])


# ── The lease ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def leases(admin: JetStreamAdmin, bus: Bus, fresh_env: str) -> KvBucket:
    bucket = names.leases_bucket(fresh_env)
    await admin.ensure_stream(streams.bucket_spec(bucket))
    return KvBucket(bus, bucket)


async def test_lease_is_held_by_one_at_a_time(leases: KvBucket) -> None:
    inside: list[str] = []
    most = 0

    async def work(holder: str) -> None:
        nonlocal most
        async with hold_lease(leases, "k", holder):
            inside.append(holder)
            most = max(most, len(inside))
            await asyncio.sleep(0.05)
            inside.remove(holder)

    await asyncio.gather(*(work(str(number)) for number in range(4)))
    assert most == 1


async def test_lease_of_a_dead_holder_expires(leases: KvBucket) -> None:
    await leases.put("k", b"dead", ttl_seconds=1)
    async with asyncio.timeout(10), hold_lease(leases, "k", "heir") as lease:
        lease.check()
        assert (await leases.get("k")).value == b"heir"
    assert (await leases.get("k")).value is None


async def test_lease_outlives_its_ttl_while_it_is_renewed(
    leases: KvBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "LEASE_TTL_SECONDS", 1)
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0.1)
    async with hold_lease(leases, "k", "me") as lease:
        await asyncio.sleep(2.2)
        lease.check()
        assert (await leases.get("k")).value == b"me"


async def check_forever(lease: Lease) -> None:
    while True:
        lease.check()
        await asyncio.sleep(0.01)


async def test_stolen_lease_is_noticed(leases: KvBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0.01)
    async with hold_lease(leases, "k", "me") as lease:
        await leases.put("k", b"thief")
        with pytest.raises(ConflictError):
            await asyncio.wait_for(check_forever(lease), 5)
    assert (await leases.get("k")).value == b"thief"


async def test_held_lease_is_not_waited_for_without_end(
    leases: KvBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "ACQUIRE_SECONDS", 0.2)
    async with hold_lease(leases, "k", "first"):
        with pytest.raises(UnavailableError, match="held by first"):
            async with hold_lease(leases, "k", "second"):
                pytest.fail("two holders")


# ── Shards, readiness, ticks ─────────────────────────────────────────────────────────────────


async def test_tenants_are_spread_over_work_shards(
    bus: Bus, admin: JetStreamAdmin, fresh_env: str
) -> None:
    control = Control(bus, fresh_env, work_shards=3)
    tenants = [f"tenant{number}" for number in range(6)]
    used = {names.work_shard(tenant, 3) for tenant in tenants}
    assert len(used) > 1
    await control.ensure([TenantSubscriptions(tenant, {}) for tenant in tenants[:3]])
    await control.ensure([TenantSubscriptions(tenant, {}) for tenant in tenants])
    for tenant in tenants:
        stream = names.work_stream(fresh_env, names.work_shard(tenant, 3))
        assert f"work-{tenant}" in await admin.consumer_names(stream)
        acknowledgement = await publish(bus, work_run_subject(fresh_env, tenant, "r"))
        assert acknowledgement["stream"] == stream


async def test_number_of_work_shards_is_fixed(bus: Bus, fresh_env: str) -> None:
    await Control(bus, fresh_env).ensure([acme()])
    with pytest.raises(BusError, match="created with work_shards = 1"):
        await Control(bus, fresh_env, work_shards=2).ensure([acme()])


@pytest.mark.parametrize("work_shards", [0, 257])
def test_number_of_work_shards_is_bounded(bus: Bus, work_shards: int) -> None:
    with pytest.raises(BusError):
        Control(bus, "dev", work_shards=work_shards)


async def test_others_wait_until_everything_is_there(
    bus: Bus, fresh_env: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_module, "WAIT_POLL_SECONDS", 0.01)
    waiting = asyncio.create_task(Control(bus, fresh_env).wait_ready(["acme", "b"]))
    await Control(bus, fresh_env).ensure([acme()])
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await Control(bus, fresh_env).ensure([acme(), TenantSubscriptions("b", {})])
    async with asyncio.timeout(10):
        await waiting


async def test_last_stored_tick_is_read_back(control: Control, bus: Bus, fresh_env: str) -> None:
    ticks = LastTicks(bus, env=fresh_env, stream_of=names.events_stream)
    await control.ensure([acme()])
    assert await ticks.last_stored_tick("acme", "timer.report.1") is None
    for scheduled in (1000, 2000):
        body = json.dumps({"payload": {"scheduled_ms": scheduled}}).encode()
        subject = build_event_subject(fresh_env, "acme", "timer.report.1")
        await bus.request(subject, body, timeout_seconds=5)
    await publish(bus, build_event_subject(fresh_env, "acme", "timer.report.2"))
    assert await ticks.last_stored_tick("acme", "timer.report.1") == 2000
    assert await ticks.last_stored_tick("acme", "timer.report.2") is None
    with pytest.raises(UnavailableError):
        await ticks.last_stored_tick("nobody", "timer.report.1")
