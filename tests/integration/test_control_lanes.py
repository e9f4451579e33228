"""Control makes the consumers of lanes, changes them in place and keeps what is left."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.errors import InvalidSubjectError
from actors.subjects import work_lane_subject, work_run_subject
from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus
from app.bus.server_folder import Endpoint
from app.control import names
from app.control.control import Control, TenantSubscriptions
from tests.support.bus import connected

SECONDS = 1_000_000_000


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


def with_lanes(lanes: dict[str, bool], tenant: str = "acme") -> TenantSubscriptions:
    return TenantSubscriptions(tenant, {}, lanes)


async def publish(bus: Bus, subject: str, **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()} or None
    answer = await bus.request(subject, subject.encode(), timeout_seconds=5, headers=named)
    assert b"error" not in answer.data


async def config_of(
    admin: JetStreamAdmin, env: str, lane: str, tenant: str = "acme"
) -> dict[str, Any] | None:
    info = await admin.consumer_info(names.work_stream(env, 0), names.lane_durable(tenant, lane))
    return None if info is None else dict(info.config)


async def next_of(bus: Bus, env: str, durable: str, **fields: Any) -> tuple[str, str | None]:
    """Take one message and settle it: what it carries, and with which pin it came."""
    arrived: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def take(message: Any) -> None:
        if not arrived.done():
            arrived.set_result(message)

    inbox = bus.new_inbox()
    subscription = await bus.subscribe(inbox, take)
    request = {"batch": 1, "expires": 5 * SECONDS, **fields}
    subject = f"$JS.API.CONSUMER.MSG.NEXT.{names.work_stream(env, 0)}.{durable}"
    bus.send(subject, json.dumps(request).encode(), reply=inbox)
    message = await asyncio.wait_for(arrived, 10)
    await bus.unsubscribe(subscription)
    if not message.reply.startswith("$JS.ACK"):
        raise AssertionError(f"refused: {message.headers}")
    bus.send(message.reply, b"+ACK")
    return message.data.decode(), (message.headers or {}).get("Nats-Pin-Id")


async def test_each_lane_gets_a_consumer_of_its_own(
    control: Control, admin: JetStreamAdmin, fresh_env: str
) -> None:
    await control.ensure([with_lanes({"auth.login": True, "reports": False, "~": True})])
    exclusive = await config_of(admin, fresh_env, "auth.login")
    shared = await config_of(admin, fresh_env, "reports")
    assert exclusive is not None
    assert shared is not None
    assert exclusive["filter_subjects"] == [work_lane_subject(fresh_env, "acme", "auth.login")]
    assert (exclusive["priority_policy"], exclusive["priority_groups"]) == (
        "pinned_client",
        ["lane"],
    )
    assert exclusive["priority_timeout"] == 10 * SECONDS
    assert (exclusive["max_ack_pending"], exclusive["ack_wait"]) == (1000, 30 * SECONDS)
    assert "priority_policy" not in shared
    assert await config_of(admin, fresh_env, "~") is not None


async def test_no_name_makes_consumers_overlap(control: Control, bus: Bus, fresh_env: str) -> None:
    words = ("run", "lane", "at", "run.run", "lane.run", "lane.at", "run.lane.x")
    lanes = dict.fromkeys((*words, "~"), True)
    tenants = ("run", "lane", "at", "a", "a-l-a")
    await control.ensure([with_lanes(lanes, tenant) for tenant in tenants])
    for tenant in tenants:
        for lane in words:
            await publish(bus, work_lane_subject(fresh_env, tenant, lane))
        await publish(bus, work_run_subject(fresh_env, tenant, "run"))
    for tenant in tenants:
        for lane in words:
            durable = names.lane_durable(tenant, lane)
            data, _ = await next_of(bus, fresh_env, durable, group="lane")
            assert data == work_lane_subject(fresh_env, tenant, lane)
        data, _ = await next_of(bus, fresh_env, names.work_durable(tenant))
        assert data == work_run_subject(fresh_env, tenant, "run")
    async with asyncio.timeout(5):  # each message was one consumer's alone
        while await JetStreamAdmin(bus).has_message(names.work_stream(fresh_env, 0), ">"):
            await asyncio.sleep(0.02)


async def test_lane_becomes_exclusive_and_shared_again_without_losing_anything(
    control: Control, admin: JetStreamAdmin, bus: Bus, fresh_env: str
) -> None:
    subject = work_lane_subject(fresh_env, "acme", "orders")
    durable = names.lane_durable("acme", "orders")
    await control.ensure([with_lanes({"orders": False})])
    for number in range(4):
        await publish(bus, subject, Nats_Msg_Id=str(number))
    created = (await admin.consumer_info(names.work_stream(fresh_env, 0), durable)) is not None
    assert created
    assert await next_of(bus, fresh_env, durable) == (subject, None)
    await control.ensure([with_lanes({"orders": True})])
    with pytest.raises(AssertionError, match="400"):
        await next_of(bus, fresh_env, durable)
    _, pin = await next_of(bus, fresh_env, durable, group="lane")
    assert pin
    await control.ensure([with_lanes({"orders": False})])
    assert (await config_of(admin, fresh_env, "orders") or {}).get("priority_policy") is None
    assert await next_of(bus, fresh_env, durable) == (subject, None)
    info = await admin.consumer_info(names.work_stream(fresh_env, 0), durable)
    assert info is not None
    assert info.pending == 1


async def test_second_apply_changes_nothing(
    control: Control, admin: JetStreamAdmin, bus: Bus, fresh_env: str
) -> None:
    lanes = [with_lanes({"orders": True, "reports": False})]
    await control.ensure(lanes)
    asked: list[str] = []
    subscription = await bus.subscribe(
        "$JS.API.CONSUMER.CREATE.>", lambda message: asked.append(message.subject)
    )
    await control.ensure(lanes)
    await bus.unsubscribe(subscription)
    assert asked == []


async def test_empty_lane_that_is_gone_loses_its_consumer(
    control: Control, admin: JetStreamAdmin, fresh_env: str
) -> None:
    await control.ensure([with_lanes({"orders": True, "reports": False})])
    await control.ensure([with_lanes({"reports": False})])
    assert await config_of(admin, fresh_env, "orders") is None
    assert await config_of(admin, fresh_env, "reports") is not None
    assert await control.ensure([with_lanes({"reports": False})]) == {}


async def test_what_lies_on_a_gone_lane_stays_within_reach(
    control: Control, admin: JetStreamAdmin, bus: Bus, fresh_env: str
) -> None:
    await control.ensure([with_lanes({"auth.login": True})])
    await publish(bus, work_lane_subject(fresh_env, "acme", "auth.login"))
    assert await control.ensure([with_lanes({})]) == {"acme": ("auth.login",)}
    config = await config_of(admin, fresh_env, "auth.login")
    assert config is not None
    assert "priority_policy" not in config, "whoever asks may take it"
    await next_of(bus, fresh_env, names.lane_durable("acme", "auth.login"))
    async with asyncio.timeout(5):
        while await admin.has_message(names.work_stream(fresh_env, 0), ">"):
            await asyncio.sleep(0.02)
    assert await control.ensure([with_lanes({})]) == {}


async def test_what_may_still_come_due_on_a_gone_lane_keeps_it(
    control: Control, admin: JetStreamAdmin, bus: Bus, fresh_env: str
) -> None:
    await control.ensure([with_lanes({"orders": True})])
    schedule = f"greentic.work.{fresh_env}.acme.at.r1"
    await publish(
        bus,
        schedule,
        Nats_Schedule="@at 2999-01-01T00:00:00Z",
        Nats_Schedule_Target=work_lane_subject(fresh_env, "acme", "orders"),
        Nats_TTL="never",
    )
    assert await control.ensure([with_lanes({})]) == {"acme": ("orders",)}
    stream = names.work_stream(fresh_env, 0)
    purge = json.dumps({"filter": schedule}).encode()
    await bus.request(f"$JS.API.STREAM.PURGE.{stream}", purge, timeout_seconds=5)
    await control.ensure([with_lanes({})])
    assert await config_of(admin, fresh_env, "orders") is None


async def test_what_was_stored_after_a_lane_was_removed_is_found(
    control: Control, bus: Bus, fresh_env: str
) -> None:
    await control.ensure([with_lanes({})])
    await publish(bus, work_lane_subject(fresh_env, "acme", "orders"))
    await publish(bus, work_lane_subject(fresh_env, "acme", "No.Lane"))
    await publish(bus, f"greentic.work.{fresh_env}.Stranger.lane.orders")
    assert await control.ensure([with_lanes({})]) == {"acme": ("orders",)}
    await next_of(bus, fresh_env, names.lane_durable("acme", "orders"))


async def test_removed_tenants_lanes_lose_their_consumers_and_keep_what_they_hold(
    control: Control, admin: JetStreamAdmin, bus: Bus, fresh_env: str
) -> None:
    subject = work_lane_subject(fresh_env, "acme", "orders")
    await control.ensure([with_lanes({"orders": True}), with_lanes({"orders": True}, "b")])
    await publish(bus, subject)
    await control.remove(["acme"])
    assert await config_of(admin, fresh_env, "orders") is None
    assert await config_of(admin, fresh_env, "orders", "b") is not None
    await control.ensure([with_lanes({"orders": True}), with_lanes({"orders": True}, "b")])
    durable = names.lane_durable("acme", "orders")
    assert (await next_of(bus, fresh_env, durable, group="lane"))[0] == subject


async def test_wait_ready_waits_for_lanes(control: Control, bus: Bus, fresh_env: str) -> None:
    await control.ensure([with_lanes({})])
    other = Control(bus, fresh_env)
    await asyncio.wait_for(other.wait_ready(["acme"]), 5)
    waiting = asyncio.create_task(other.wait_ready(["acme"], {"acme": ["auth.login"]}))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await control.ensure([with_lanes({"auth.login": True})])
    await asyncio.wait_for(waiting, 5)


async def test_deployment_with_a_wrong_lane_changes_nothing(
    control: Control, admin: JetStreamAdmin, fresh_env: str
) -> None:
    for lane in ("a.>", "*", "", "a b"):
        with pytest.raises(InvalidSubjectError):
            await control.ensure([with_lanes({lane: True})])
    assert await admin.stream_info(names.work_stream(fresh_env, 0)) is None
