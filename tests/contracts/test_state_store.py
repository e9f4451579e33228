"""The StateStore port means the same in memory and on a real bucket."""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.errors import ActorsError, PermanentError
from actors.ports import (
    STATE_KEY_BYTES_MAX,
    STATE_TTL_SECONDS_MAX,
    STATE_VALUE_BYTES_MAX,
    STATE_WRITE_ID_SECONDS,
    StateEntry,
    StateScope,
    StateStore,
)
from actors.testing.clock import VirtualClock
from actors.testing.state import MemoryStateStore
from app.bus.admin import JetStreamAdmin
from app.control import names, streams
from app.stores.kv import KvBucket
from app.stores.state import KvStateStore
from tests.support.bus import connected

ACME = StateScope("acme")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture(params=["memory", "nats", pytest.param("nats-leader", marks=pytest.mark.server)])
async def store(
    request: pytest.FixtureRequest, clock: VirtualClock, fresh_env: str
) -> AsyncIterator[StateStore]:
    if request.param == "memory":
        yield MemoryStateStore(clock)
        return
    async with connected(request.getfixturevalue("nats_server")) as bus:
        for spec in streams.bucket_specs(fresh_env):
            await JetStreamAdmin(bus).ensure_stream(spec)
        bucket = KvBucket(bus, names.state_bucket(fresh_env))
        asks_leader = request.param == "nats-leader"
        yield KvStateStore(bucket, clock, is_replicated=lambda: asks_leader)


async def test_absent_key_reads_as_nothing_at_revision_zero(store: StateStore) -> None:
    assert await store.get(ACME, "k") == StateEntry(None, 0)


@pytest.mark.parametrize(
    "value",
    [
        *(0, -1, 2**53 + 1, 10**30, 0.1, 1e300, True, False, "", "ü€😀\x00\n", [], {}),
        *({"a": [1, {"b": None}]}, [[[[]]]], "x" * (STATE_VALUE_BYTES_MAX - 2)),
    ],
    ids=lambda value: repr(value)[:20],
)
async def test_value_reads_back_exactly(store: StateStore, value: Any) -> None:
    assert await store.put(ACME, "k", value)
    entry = await store.get(ACME, "k")
    assert entry.value == value
    assert type(entry.value) is type(value)
    assert entry.revision > 0


async def test_stored_null_is_present(store: StateStore) -> None:
    await store.put(ACME, "k", None)
    entry = await store.get(ACME, "k")
    assert entry.value is None
    assert entry.revision > 0
    assert not await store.put(ACME, "k", 1, revision=0)


async def test_stored_value_is_detached(store: StateStore) -> None:
    value = {"items": [1]}
    await store.put(ACME, "k", value)
    value["items"].append(2)
    first = await store.get(ACME, "k")
    first.value["items"].append(3)
    assert (await store.get(ACME, "k")).value == {"items": [1]}


async def test_later_write_replaces_and_moves_the_revision(store: StateStore) -> None:
    await store.put(ACME, "k", 1)
    first = await store.get(ACME, "k")
    await store.put(ACME, "k", 2)
    second = await store.get(ACME, "k")
    assert (first.value, second.value) == (1, 2)
    assert second.revision > first.revision


async def test_compare_and_set_refuses_an_old_revision(store: StateStore) -> None:
    await store.put(ACME, "k", 1)
    revision = (await store.get(ACME, "k")).revision
    assert await store.put(ACME, "k", 2, revision=revision)
    assert not await store.put(ACME, "k", 3, revision=revision)
    assert not await store.put(ACME, "k", 3, revision=0)
    assert (await store.get(ACME, "k")).value == 2


async def test_revision_zero_creates_once(store: StateStore) -> None:
    outcomes = await asyncio.gather(
        *(store.put(ACME, "k", number, revision=0) for number in range(8))
    )
    assert sum(outcomes) == 1


async def test_counter_of_many_writers_loses_nothing(store: StateStore) -> None:
    async def increment() -> None:
        while True:
            entry = await store.get(ACME, "n")
            if await store.put(ACME, "n", (entry.value or 0) + 1, revision=entry.revision):
                return

    await asyncio.gather(*(increment() for _ in range(10)))
    assert (await store.get(ACME, "n")).value == 10


async def test_deleted_key_reads_as_nothing_and_takes_a_new_value(store: StateStore) -> None:
    await store.put(ACME, "k", 1)
    old = await store.get(ACME, "k")
    await store.delete(ACME, "k")
    gone = await store.get(ACME, "k")
    assert gone.value is None
    assert not await store.put(ACME, "k", 2, revision=old.revision)
    assert await store.put(ACME, "k", 3, revision=gone.revision)
    assert (await store.get(ACME, "k")).value == 3


async def test_deleting_an_absent_key_is_no_error(store: StateStore) -> None:
    await store.delete(ACME, "k")
    assert await store.get(ACME, "k") == StateEntry(None, 0)
    await store.put(ACME, "k", 1)
    await store.delete(ACME, "k")
    revision = (await store.get(ACME, "k")).revision
    await store.delete(ACME, "k")
    assert await store.get(ACME, "k") == StateEntry(None, revision)


# ── Named writes ─────────────────────────────────────────────────────────────────────────────


async def test_named_write_again_changes_nothing_and_is_true(store: StateStore) -> None:
    assert await store.put(ACME, "k", 1, revision=0, write_id="w1")
    first = await store.get(ACME, "k")
    assert await store.put(ACME, "k", 1, revision=0, write_id="w1")
    assert await store.put(ACME, "k", 1, revision=first.revision, write_id="w1")
    assert await store.put(ACME, "k", 1, write_id="w1")
    assert await store.get(ACME, "k") == first


@pytest.mark.parametrize("other_id", ["w2", None], ids=["named", "nameless"])
@pytest.mark.parametrize("is_checked", [True, False], ids=["compared", "anyway"])
async def test_named_write_again_is_true_whatever_was_written_since(
    store: StateStore, other_id: str | None, is_checked: bool
) -> None:
    await store.put(ACME, "k", 0)
    base = (await store.get(ACME, "k")).revision
    assert await store.put(ACME, "k", 1, revision=base, write_id="w1")
    since = (await store.get(ACME, "k")).revision if is_checked else None
    assert await store.put(ACME, "k", 2, revision=since, write_id=other_id)
    assert await store.put(ACME, "k", 3)
    latest = await store.get(ACME, "k")
    assert await store.put(ACME, "k", 1, revision=base, write_id="w1")
    assert await store.put(ACME, "k", 1, write_id="w1")
    assert await store.get(ACME, "k") == latest


async def test_named_write_that_came_too_late_is_false_and_may_be_made_anew(
    store: StateStore,
) -> None:
    await store.put(ACME, "k", 0)
    base = (await store.get(ACME, "k")).revision
    await store.put(ACME, "k", 1, write_id="w1")
    for _ in range(2):
        assert not await store.put(ACME, "k", 2, revision=base, write_id="w2")
    now = (await store.get(ACME, "k")).revision
    assert await store.put(ACME, "k", 2, revision=now, write_id="w2")
    assert (await store.get(ACME, "k")).value == 2


async def test_name_of_a_write_is_its_keys_own(store: StateStore) -> None:
    for scope, key in ((ACME, "k"), (ACME, "l"), (StateScope("other"), "k")):
        assert await store.put(scope, key, "mine", revision=0, write_id="w1")
        assert (await store.get(scope, key)).value == "mine"


async def test_named_delete_again_leaves_what_came_after(store: StateStore) -> None:
    await store.put(ACME, "k", 1)
    await store.delete(ACME, "k", write_id="w1")
    assert (await store.get(ACME, "k")).value is None
    await store.put(ACME, "k", 2, write_id="w2")
    await store.delete(ACME, "k", write_id="w1")
    assert (await store.get(ACME, "k")).value == 2
    await store.delete(ACME, "k")
    assert await store.put(ACME, "k", 2, write_id="w2"), "known though the value is gone"
    assert (await store.get(ACME, "k")).value is None


async def test_named_write_is_known_longer_than_its_value_lasts(
    store: StateStore, clock: VirtualClock
) -> None:
    assert await store.put(ACME, "k", 1, revision=0, ttl_seconds=0.5, write_id="w1")
    await clock.advance(1)
    assert (await store.get(ACME, "k")).value is None
    assert await store.put(ACME, "k", 1, revision=0, ttl_seconds=0.5, write_id="w1")
    assert await store.put(ACME, "k", 2)


async def test_named_write_is_known_for_its_time(store: StateStore, clock: VirtualClock) -> None:
    await store.put(ACME, "k", 1, write_id="w1")
    await store.put(ACME, "k", 2)
    await clock.advance(STATE_WRITE_ID_SECONDS - 2)
    assert await store.put(ACME, "k", 1, write_id="w1")
    assert (await store.get(ACME, "k")).value == 2


async def test_counter_of_many_writers_who_repeat_every_write_is_right(store: StateStore) -> None:
    async def increment(writer: int) -> None:
        while True:
            entry = await store.get(ACME, "n")
            attempt = (ACME, "n", (entry.value or 0) + 1)
            name = f"w{writer}-{entry.revision}"
            made = await store.put(*attempt, revision=entry.revision, write_id=name)
            await asyncio.sleep(0.001 * (writer % 3))
            assert await store.put(*attempt, revision=entry.revision, write_id=name) is made
            if made:
                return

    await asyncio.gather(*(increment(writer) for writer in range(10)))
    assert (await store.get(ACME, "n")).value == 10


# ── Lifetimes and scopes ─────────────────────────────────────────────────────────────────────


async def test_value_expires_to_the_millisecond(store: StateStore, clock: VirtualClock) -> None:
    await store.put(ACME, "k", 1, ttl_seconds=90.5)
    await clock.advance(90.499)
    assert (await store.get(ACME, "k")).value == 1
    await clock.advance(0.001)
    gone = await store.get(ACME, "k")
    assert gone.value is None
    assert await store.put(ACME, "k", 2, revision=gone.revision)
    await clock.advance(10**6)
    assert (await store.get(ACME, "k")).value == 2


async def test_longest_and_shortest_ttl_are_taken(store: StateStore, clock: VirtualClock) -> None:
    await store.put(ACME, "long", 1, ttl_seconds=STATE_TTL_SECONDS_MAX)
    await store.put(ACME, "short", 1, ttl_seconds=0.001)
    await clock.advance(0.001)
    assert (await store.get(ACME, "long")).value == 1
    assert (await store.get(ACME, "short")).value is None


@pytest.mark.parametrize("ttl_seconds", [0, -1, STATE_TTL_SECONDS_MAX + 1, math.inf, math.nan])
async def test_ttl_out_of_bounds_is_refused(store: StateStore, ttl_seconds: float) -> None:
    with pytest.raises(PermanentError) as refused:
        await store.put(ACME, "k", 1, ttl_seconds=ttl_seconds)
    assert refused.value.reason == "state.ttl"


async def test_scopes_do_not_share_keys(store: StateStore) -> None:
    scopes = [
        StateScope("acme"),
        StateScope("acme", team=""),
        StateScope("acme", team="a"),
        StateScope("acme", session="a"),
        StateScope("acme", team="a", session="a"),
        StateScope("acme", team="a.a"),
        StateScope("other"),
        StateScope("acme-2"),
    ]
    for number, scope in enumerate(scopes):
        await store.put(scope, "k", number)
    assert [(await store.get(scope, "k")).value for scope in scopes] == list(range(len(scopes)))


@pytest.mark.parametrize(
    "key", ["", " ", ".", "*", ">", "a.b", "../x", "acme.-.-.k", "\r\n", "\x00", "é" * 128, "K"]
)
async def test_key_is_any_text(store: StateStore, key: str) -> None:
    await store.put(ACME, "k", "other")
    await store.put(ACME, key, "mine")
    assert (await store.get(ACME, key)).value == "mine"
    assert (await store.get(ACME, "k")).value == "other"
    await store.delete(ACME, key)
    assert (await store.get(ACME, key)).value is None


@pytest.mark.parametrize("key", ["x" * (STATE_KEY_BYTES_MAX + 1), "é" * 129, "\ud800"])
async def test_key_out_of_bounds_is_refused(store: StateStore, key: str) -> None:
    for attempt in (store.get(ACME, key), store.put(ACME, key, 1), store.delete(ACME, key)):
        with pytest.raises(PermanentError) as refused:
            await attempt
        assert refused.value.reason == "state.key"
    for scope in (StateScope("acme", team=key), StateScope("acme", session=key)):
        with pytest.raises(PermanentError):
            await store.get(scope, "k")


@pytest.mark.parametrize("tenant", ["", "*", ">", "acme.x", "Acme", "a b", "acme\n"])
async def test_tenant_that_is_no_token_is_refused(store: StateStore, tenant: str) -> None:
    with pytest.raises(ActorsError):
        await store.put(StateScope(tenant), "k", 1)


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), {1, 2}, b"x", [math.nan]])
async def test_value_that_is_no_json_is_refused(store: StateStore, value: Any) -> None:
    with pytest.raises(PermanentError) as refused:
        await store.put(ACME, "k", value)
    assert refused.value.reason == "state.value"


async def test_too_deep_value_is_refused(store: StateStore) -> None:
    value: list[Any] = []
    for _ in range(100):
        value = [value]
    with pytest.raises(PermanentError) as refused:
        await store.put(ACME, "k", value)
    assert refused.value.reason == "state.value"


async def test_too_large_value_is_refused_and_the_old_one_stays(store: StateStore) -> None:
    await store.put(ACME, "k", 1)
    with pytest.raises(PermanentError) as refused:
        await store.put(ACME, "k", "x" * (STATE_VALUE_BYTES_MAX - 1))
    assert refused.value.reason == "too_large"
    assert (await store.get(ACME, "k")).value == 1
