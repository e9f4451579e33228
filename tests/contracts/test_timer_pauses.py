"""The TimerPauses port means the same in memory and on a real bucket."""

from collections.abc import AsyncIterator

import pytest

from actors.errors import InvalidSubjectError
from actors.ports import TimerPause, TimerPauses
from actors.testing.pauses import MemoryTimerPauses
from app.bus.admin import JetStreamAdmin
from app.bus.server_folder import Endpoint
from app.control import names, streams
from app.stores.kv import KvBucket
from app.stores.pauses import KvTimerPauses
from tests.support.bus import connected

TIMER = "timer.auth.login.1"
PAUSED = TimerPause(is_paused=True, changed_ms=1_700_000_000_123)
RESUMED = TimerPause(is_paused=False, changed_ms=1_700_000_000_456)


@pytest.fixture(params=["memory", "nats"])
async def pauses(request: pytest.FixtureRequest, fresh_env: str) -> AsyncIterator[TimerPauses]:
    if request.param == "memory":
        yield MemoryTimerPauses()
        return
    async with connected(request.getfixturevalue("nats_server")) as bus:
        for spec in streams.bucket_specs(fresh_env):
            await JetStreamAdmin(bus).ensure_stream(spec)
        yield KvTimerPauses(KvBucket(bus, names.timers_bucket(fresh_env)))


async def test_a_timer_that_nobody_paused_has_no_word_about_it(pauses: TimerPauses) -> None:
    assert await pauses.read("demo", TIMER) is None


async def test_the_last_word_counts(pauses: TimerPauses) -> None:
    await pauses.write("demo", TIMER, PAUSED)
    assert await pauses.read("demo", TIMER) == PAUSED
    await pauses.write("demo", TIMER, RESUMED)
    assert await pauses.read("demo", TIMER) == RESUMED


async def test_timers_and_tenants_are_apart(pauses: TimerPauses) -> None:
    await pauses.write("demo", TIMER, PAUSED)
    assert await pauses.read("demo", "timer.auth.login.2") is None
    assert await pauses.read("other", TIMER) is None


@pytest.mark.parametrize("data", [b"", b"{}", b"[", b'{"is_paused":1,"changed_ms":1}', b"null"])
async def test_a_value_that_is_none_of_ours_pauses(
    nats_server: Endpoint, fresh_env: str, data: bytes
) -> None:
    async with connected(nats_server) as bus:
        for spec in streams.bucket_specs(fresh_env):
            await JetStreamAdmin(bus).ensure_stream(spec)
        bucket = KvBucket(bus, names.timers_bucket(fresh_env))
        await bucket.put(f"demo.{TIMER}", data)
        pause = await KvTimerPauses(bucket).read("demo", TIMER)
        assert pause is not None
        assert pause.is_paused
        with pytest.raises(InvalidSubjectError):
            await KvTimerPauses(bucket).read("de.mo", TIMER)
