"""The view of a fleet on a virtual clock: who lives, when that is told, who has acknowledged."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from actors.testing.clock import VirtualClock
from app.fleet.fleet import (
    LOOK_SECONDS,
    RESUMED_SECONDS,
    STALE_SECONDS,
    TICK_SECONDS,
    UNSTORED_SECONDS,
    Fleet,
)
from app.fleet.heartbeat import Heartbeat
from app.fleet.report import BEAT_SECONDS, TTL_SECONDS
from tests.support.fleets import identity, report, twin_bucket
from tests.support.kv_twin import TwinServer


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def server(clock: VirtualClock) -> TwinServer:
    return TwinServer(clock)


@pytest.fixture
async def fleet(server: TwinServer, clock: VirtualClock) -> AsyncIterator[Fleet]:
    fleet = Fleet(twin_bucket(server), clock)
    await fleet.start(server)
    yield fleet
    await fleet.stop()


@pytest.fixture
async def one(server: TwinServer, clock: VirtualClock) -> AsyncIterator[Heartbeat]:
    heartbeat = Heartbeat(twin_bucket(server), clock, identity("one"))
    await heartbeat.start()
    yield heartbeat
    await heartbeat.forget()


def ids(fleet: Fleet) -> list[str]:
    return [said.id for said in fleet.live()]


async def write(
    server: TwinServer, name: str, ttl_seconds: int = TTL_SECONDS, **said: object
) -> None:
    data = report(name, **said).as_bytes()
    await twin_bucket(server).put(f"WORKER.{name}", data, ttl_seconds=ttl_seconds)


async def test_process_is_seen_the_moment_it_writes(
    fleet: Fleet, one: Heartbeat, clock: VirtualClock
) -> None:
    assert ids(fleet) == ["one"]
    one.acknowledge(5, {})
    await clock.advance(0.1)
    assert fleet.live()[0].acknowledged == 5


async def test_process_from_before_is_found_in_the_bucket(
    one: Heartbeat, server: TwinServer, clock: VirtualClock
) -> None:
    fleet = Fleet(twin_bucket(server), clock)
    assert ids(fleet) == []
    await fleet.refresh()
    assert ids(fleet) == [one.id]


async def test_killed_process_is_gone_after_its_ttl(
    fleet: Fleet, server: TwinServer, clock: VirtualClock
) -> None:
    await clock.advance(TTL_SECONDS)
    await write(server, "dead")
    calls: list[list[str]] = []
    fleet.on_change(lambda: calls.append(ids(fleet)))
    await clock.advance(TTL_SECONDS - 0.1)
    assert ids(fleet) == ["dead"]
    await clock.advance(0.2)
    assert ids(fleet) == []
    await clock.advance(TICK_SECONDS)
    assert calls == [[]]


async def test_key_that_is_gone_is_found_out_by_the_next_look(
    fleet: Fleet, server: TwinServer, clock: VirtualClock
) -> None:
    await clock.advance(TTL_SECONDS)
    await write(server, "short", ttl_seconds=2)
    assert ids(fleet) == ["short"]
    await clock.advance(2 + LOOK_SECONDS + TICK_SECONDS)
    assert ids(fleet) == []


async def test_what_was_just_heard_need_not_be_stored_yet(
    fleet: Fleet, server: TwinServer, clock: VirtualClock
) -> None:
    """In a cluster a write is heard before the bucket has it."""
    await clock.advance(TTL_SECONDS)
    await write(server, "one")
    server.lose("one")
    await fleet.refresh()
    assert ids(fleet) == ["one"]
    await clock.advance(UNSTORED_SECONDS)
    await fleet.refresh()
    assert ids(fleet) == []


async def test_clean_end_is_heard_at_once(fleet: Fleet, server: TwinServer, one: Heartbeat) -> None:
    assert ids(fleet) == ["one"]
    await one.forget()
    assert ids(fleet) == []


async def test_clean_end_that_was_not_heard_is_found(
    fleet: Fleet, server: TwinServer, one: Heartbeat, clock: VirtualClock
) -> None:
    await clock.advance(TTL_SECONDS)
    server.is_mute = True
    await one.forget()
    await clock.advance(2 * LOOK_SECONDS)
    assert ids(fleet) == []


async def test_beats_that_are_not_heard_are_looked_up(
    fleet: Fleet, server: TwinServer, one: Heartbeat, clock: VirtualClock
) -> None:
    server.is_mute = True
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1

    fleet.on_change(count)
    for _ in range(10 * TTL_SECONDS):
        await clock.advance(1)
        assert ids(fleet) == ["one"]
    assert calls == 1  # seen for the second time


async def test_look_is_one_question_where_all_is_heard(
    fleet: Fleet, server: TwinServer, one: Heartbeat, clock: VirtualClock
) -> None:
    await clock.advance(TTL_SECONDS)
    server.asked.clear()
    await clock.advance(10 * LOOK_SECONDS)
    questions = [subject for subject in server.asked if subject.startswith("$JS")]
    assert len(questions) <= 10
    assert all(subject.startswith("$JS.API.STREAM.INFO") for subject in questions)


async def test_changes_are_told_once_and_beats_are_none(
    fleet: Fleet, server: TwinServer, clock: VirtualClock
) -> None:
    seen: list[tuple[int | None, ...]] = []
    fleet.on_change(lambda: seen.append(tuple(said.acknowledged for said in fleet.live())))
    heartbeat = Heartbeat(twin_bucket(server), clock, identity("one"))
    await heartbeat.start()
    await clock.advance(5 * BEAT_SECONDS)
    assert seen == [(None,), (None,)]  # came, and was heard again
    heartbeat.acknowledge(3, {})
    await clock.advance(5 * BEAT_SECONDS)
    assert seen == [(None,), (None,), (3,)]
    await heartbeat.forget()
    assert seen[3:] == [()]


async def test_older_report_does_not_replace_a_newer_one(fleet: Fleet, server: TwinServer) -> None:
    await write(server, "one", beat=5, acknowledged=9)
    await write(server, "one", beat=4, acknowledged=2)
    assert fleet.live()[0].acknowledged == 9


async def test_noise_and_forgery_are_nobody(fleet: Fleet, server: TwinServer) -> None:
    bucket = twin_bucket(server)
    await bucket.put("WORKER.noise", b"\xff")
    await bucket.put("WORKER.other", report("one").as_bytes())
    await bucket.put("WORKER.a.b", report("b").as_bytes())
    await bucket.put("acme.WORKER", report("WORKER").as_bytes())
    await fleet.refresh()
    assert ids(fleet) == []


# ── Cut off ──────────────────────────────────────────────────────────────────────────────────


async def test_who_is_cut_off_gives_nobody_up(
    fleet: Fleet, server: TwinServer, one: Heartbeat, clock: VirtualClock
) -> None:
    await write(server, "two")
    server.is_away = True
    await clock.advance(10 * TTL_SECONDS)
    freshness = [fleet.is_fresh]
    assert ids(fleet) == ["one", "two"]
    server.is_away = False
    await clock.advance(RESUMED_SECONDS + LOOK_SECONDS + TICK_SECONDS)
    assert [*freshness, fleet.is_fresh] == [False, True]
    assert ids(fleet) == ["one"]


async def test_server_that_was_away_for_long_ends_nobody(
    fleet: Fleet, server: TwinServer, one: Heartbeat, clock: VirtualClock
) -> None:
    """All keys have expired when it is back: the first look finds an empty bucket."""
    calls: list[list[str]] = []
    fleet.on_change(lambda: calls.append(ids(fleet)))
    server.is_away = True
    await clock.advance(3 * TTL_SECONDS)
    server.is_away = False
    await clock.advance(3 * TTL_SECONDS)
    assert calls
    assert all(call == ["one"] for call in calls)


async def test_frozen_view_wakes_up_with_what_it_knew(
    fleet: Fleet, server: TwinServer, clock: VirtualClock
) -> None:
    await clock.advance(TTL_SECONDS)
    await write(server, "two")
    server.is_away = True
    await clock.jump(5 * STALE_SECONDS)
    assert ids(fleet) == ["two"]


# ── Acknowledgements ─────────────────────────────────────────────────────────────────────────


async def test_acknowledgement_of_all_ends_the_wait_at_once(
    fleet: Fleet, server: TwinServer, one: Heartbeat, clock: VirtualClock
) -> None:
    await write(server, "two", acknowledged=8, failed={"acme": "no secret"}, failures=1)
    waiting = asyncio.create_task(fleet.wait_acknowledged(8, 5))
    await clock.advance(1)
    assert not waiting.done()
    one.acknowledge(8, {})
    await clock.settle()
    said = await waiting
    assert said.acknowledged == ("one", "two")
    assert said.failed == {"two": {"acme": "no secret"}}
    assert said.reasons_of("acme") == {"two": "no secret"}
    assert said.reasons_of("other") == {}
    assert said.is_complete
    assert said.seconds == 1


async def test_after_the_timeout_it_says_who_is_missing(
    fleet: Fleet, server: TwinServer, clock: VirtualClock
) -> None:
    await write(server, "two", acknowledged=8)
    await write(server, "late", acknowledged=7, failed={"acme": "old"})
    waiting = asyncio.create_task(fleet.wait_acknowledged(8, 3))
    await clock.advance(2.9)
    assert not waiting.done()
    await clock.advance(0.2)
    said = await waiting
    assert (said.acknowledged, said.missing, said.failed) == (("two",), ("late",), {})


async def test_dead_process_is_waited_for_until_that_is_known(
    fleet: Fleet, server: TwinServer, clock: VirtualClock
) -> None:
    await clock.advance(TTL_SECONDS)
    await write(server, "dead", acknowledged=1)
    waiting = asyncio.create_task(fleet.wait_acknowledged(8, 30))
    await clock.advance(TTL_SECONDS + 1)
    said = await waiting
    assert (said.acknowledged, said.missing) == ((), ())


async def test_process_that_only_starts_is_not_waited_for_if_it_came_later(
    fleet: Fleet, server: TwinServer, clock: VirtualClock
) -> None:
    await write(server, "two", acknowledged=7)
    waiting = asyncio.create_task(fleet.wait_acknowledged(8, 5))
    await clock.settle()
    await write(server, "new", acknowledged=None)
    await write(server, "old", acknowledged=3)
    await write(server, "two", beat=2, acknowledged=8)
    await clock.settle()
    assert not waiting.done()  # "old" serves
    await write(server, "old", beat=2, acknowledged=8)
    await clock.settle()
    assert waiting.done()
    assert (await waiting).acknowledged == ("old", "two")


async def test_nobody_is_nobody_to_wait_for(fleet: Fleet) -> None:
    said = await fleet.wait_acknowledged(8, 5)
    assert (said.acknowledged, said.missing, said.seconds) == ((), (), 0)


async def test_while_the_view_is_old_the_wait_goes_on(
    fleet: Fleet, server: TwinServer, clock: VirtualClock
) -> None:
    server.is_away = True
    await clock.advance(STALE_SECONDS + 1)
    waiting = asyncio.create_task(fleet.wait_acknowledged(8, 30))
    await clock.advance(10)
    assert not waiting.done()
    server.is_away = False
    await clock.advance(LOOK_SECONDS + TICK_SECONDS)
    assert (await waiting).is_complete
