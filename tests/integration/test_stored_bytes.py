"""What a tenant may store is its stream's size, and a smaller size loses nothing unprocessed."""

import asyncio
import random

import pytest

from app.bus.admin import JetStreamAdmin
from app.bus.admin_specs import StreamInfo
from app.bus.server_folder import Endpoint
from app.control import names
from app.control.control import Control, StoredBytes, TenantSubscriptions
from app.control.limits import StreamLimits
from tests.support.bus_rig import TENANT, BusRig, a_rig

MEBIBYTE = 1 << 20
KEY = "orders#1"


async def plan(control: Control, stored_bytes: int | None) -> None:
    item = TenantSubscriptions(TENANT, {KEY: "order.*"}, stored_bytes=stored_bytes)
    await control.ensure([item])


async def fill(rig: BusRig, events: int, *, seed: int, event_type: str = "order.created") -> int:
    """Store events of very different sizes, 4 KiB on average; gives what they take."""
    chance = random.Random(seed)  # noqa: S311 - a test that can be repeated
    subject = f"greentic.events.{rig.env}.{TENANT}.{event_type}"
    sizes = [chance.choice((16, 200, 1_000, 15_000)) for _ in range(events)]
    head = b"NATS/1.0\r\n\r\n"
    for start in range(0, events, 100):
        part = sizes[start : start + 100]
        await asyncio.gather(*(rig.acked.publish(subject, b"x" * n, head) for n in part))
    return sum(sizes)


async def process(rig: BusRig, events: int) -> int:
    """Settle the next events; gives the last one's sequence."""
    client = rig.bus.client.jetstream()
    subscription = await client.pull_subscribe_bind(names.FLOWS_DURABLE, rig.events_stream)
    last = 0
    while events:
        for message in await subscription.fetch(min(100, events), timeout=5):
            await message.ack_sync()
            last = message.metadata.sequence.stream
            events -= 1
    await subscription.unsubscribe()
    return last


async def stored(rig: BusRig) -> StreamInfo:
    info = await JetStreamAdmin(rig.bus).stream_info(rig.events_stream)
    assert info is not None
    return info


async def test_a_plan_is_its_streams_size_at_once_where_nothing_waits(
    nats_server: Endpoint, fresh_env: str
) -> None:
    async with a_rig(nats_server, fresh_env) as rig:
        control = Control(rig.bus, fresh_env)
        await plan(control, None)
        whole = StreamLimits().events_bytes
        assert await control.stored(TENANT) == StoredBytes(0, whole)
        await plan(control, 64 * MEBIBYTE)
        assert (await control.stored(TENANT)).limit == 64 * MEBIBYTE
        size = await fill(rig, 1000, seed=1)
        now = (await control.stored(TENANT)).now
        assert size < now < size + 1000 * 200
        await process(rig, 1000)
        await plan(control, MEBIBYTE)
        after = await stored(rig)
        assert after.config["max_bytes"] == MEBIBYTE
        assert MEBIBYTE / 2 < after.bytes <= MEBIBYTE, "what has room stays"
        assert (control.oversized, after.last_sequence) == (frozenset(), 1000)
        await plan(control, None)
        assert (await control.stored(TENANT)).limit == whole


async def test_a_smaller_plan_waits_for_what_is_not_processed(
    nats_server: Endpoint, fresh_env: str
) -> None:
    async with a_rig(nats_server, fresh_env) as rig:
        control = Control(rig.bus, fresh_env)
        await plan(control, 64 * MEBIBYTE)
        await fill(rig, 1000, seed=2)
        await process(rig, 100)
        before = await stored(rig)
        await plan(control, 2 * MEBIBYTE)
        assert control.oversized == {TENANT}
        after = await stored(rig)
        assert after.config["max_bytes"] == 64 * MEBIBYTE
        assert after.first_sequence == before.first_sequence == 1, "no good in deleting any"
        await control.shrink()
        assert control.oversized == {TENANT}

        last = await process(rig, 700)
        await control.shrink()
        assert control.oversized == frozenset()
        after = await stored(rig)
        assert after.config["max_bytes"] == 2 * MEBIBYTE
        assert after.bytes <= 2 * MEBIBYTE
        assert after.first_sequence <= last + 1, "nothing unprocessed is gone"
        assert await process(rig, 200) == 1000

        await plan(control, None)
        assert (await stored(rig)).config["max_bytes"] == StreamLimits().events_bytes


async def test_events_that_nobody_wants_do_not_wait(nats_server: Endpoint, fresh_env: str) -> None:
    async with a_rig(nats_server, fresh_env) as rig:
        control = Control(rig.bus, fresh_env)
        await plan(control, 64 * MEBIBYTE)
        await fill(rig, 600, seed=3, event_type="bill.created")
        await plan(control, MEBIBYTE)
        after = await stored(rig)
        assert (control.oversized, after.config["max_bytes"]) == (frozenset(), MEBIBYTE)


@pytest.mark.parametrize("first", [1, 601])
async def test_without_a_consumer_it_is_the_next_ones_first_event_that_counts(
    nats_server: Endpoint, fresh_env: str, first: int
) -> None:
    async with a_rig(nats_server, fresh_env) as rig:
        control = Control(rig.bus, fresh_env)
        await plan(control, 64 * MEBIBYTE)
        await fill(rig, 600, seed=4)
        await control.remove([TENANT])
        item = TenantSubscriptions(
            TENANT, {KEY: "order.*"}, first_sequence=first, stored_bytes=MEBIBYTE
        )
        await control.ensure([item])
        after = await stored(rig)
        if first == 1:
            assert (after.first_sequence, control.oversized) == (1, frozenset({TENANT}))
            assert after.config["max_bytes"] == 64 * MEBIBYTE
        else:
            assert (after.config["max_bytes"], control.oversized) == (MEBIBYTE, frozenset())


async def test_what_is_gone_is_not_made_again(nats_server: Endpoint, fresh_env: str) -> None:
    async with a_rig(nats_server, fresh_env) as rig:
        control = Control(rig.bus, fresh_env)
        await plan(control, 64 * MEBIBYTE)
        await fill(rig, 600, seed=5)
        await plan(control, MEBIBYTE)
        assert control.oversized == {TENANT}
        await JetStreamAdmin(rig.bus).delete_stream(names.events_stream(fresh_env, TENANT))
        await control.shrink()
        assert control.oversized == frozenset()
        assert await JetStreamAdmin(rig.bus).stream_info(rig.events_stream) is None
