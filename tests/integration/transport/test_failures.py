"""Agents that fail, take long or die under nats://: what comes again, to whom, in which order."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import faust
import pytest

from app.bus.server_folder import Endpoint
from app.history.transport import acknowledging
from app.history.transport import consumer as consumer_module
from app.history.transport.bindings import StreamBinding, bind
from app.history.transport.consumer import Consumer
from app.history.transport.intake import Intake
from tests.support.faust_apps import abandon, an_app, client, eventually, nats_url, running

MESSAGES = 40


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acknowledging, "AGAIN_FIRST_SECONDS", 0.05)
    monkeypatch.setattr(consumer_module, "BEGUN_SECONDS", 0.2)


@pytest.fixture
async def stream(nats_server: Endpoint, fresh_env: str) -> str:
    """A stream of somebody else's, with numbers in it."""
    async with client(nats_server) as connection:
        jetstream = connection.jetstream()
        await jetstream.add_stream(name=f"S-{fresh_env}", subjects=[fresh_env])
        for number in range(MESSAGES):
            await jetstream.publish(fresh_env, str(number).encode())
    return f"S-{fresh_env}"


def bound(app: faust.App, stream: str, **options: Any) -> Any:
    topic = app.topic("numbers", value_serializer="json")
    bind(app, "numbers", StreamBinding(stream, **options))
    return topic


async def is_settled(endpoint: Endpoint, stream: str, durable: str) -> bool:
    async with client(endpoint) as connection:
        for _ in range(100):
            info = await connection.jetstream().consumer_info(stream, durable)
            if not info.num_pending and not info.num_ack_pending:
                return True
            await asyncio.sleep(0.02)
    return False


@pytest.mark.parametrize("acks_itself", [False, True])
async def test_an_agent_that_raises_loses_nothing(
    nats_server: Endpoint, fresh_env: str, tmp_path: Path, stream: str, *, acks_itself: bool
) -> None:
    app = an_app(fresh_env, nats_url(nats_server), tmp_path)
    tried: Counter[int] = Counter()
    done: set[int] = set()

    @app.agent(bound(app, stream))
    async def fail(numbers: Any) -> None:
        events = numbers.noack().events() if acks_itself else numbers.events()
        async for event in events:
            tried[event.value] += 1
            if event.value % 10 == 3 and tried[event.value] < 3:
                raise ValueError(event.value)
            done.add(event.value)
            if acks_itself:
                event.ack()

    async with running(app):
        await eventually(lambda: len(done) == MESSAGES, what=done)
        assert await is_settled(nats_server, stream, fresh_env)
        consumer = app.consumer
        assert isinstance(consumer, Consumer)
        assert len(consumer._intake.flight) == 0
    assert {number for number, count in tried.items() if count >= 3} >= {3, 13, 23, 33}


async def test_an_exclusive_topic_stays_in_order_when_its_agent_raises(
    nats_server: Endpoint, fresh_env: str, tmp_path: Path, stream: str
) -> None:
    app = an_app(fresh_env, nats_url(nats_server), tmp_path)
    seen: list[int] = []
    failed: set[int] = set()

    @app.agent(bound(app, stream, is_exclusive=True))
    async def fail(numbers: Any) -> None:
        async for event in numbers.noack().events():
            seen.append(event.value)
            if event.value % 10 == 5 and event.value not in failed:
                failed.add(event.value)
                raise ValueError(event.value)
            event.ack()

    async with running(app):
        await eventually(lambda: seen.count(MESSAGES - 1) == 1, what=seen)
        assert await is_settled(nats_server, stream, fresh_env)
    applied: list[int] = []
    for number in seen:
        assert number <= (applied[-1] if applied else -1) + 1, seen
        if number > (applied[-1] if applied else -1):
            applied.append(number)
    assert applied == list(range(MESSAGES))


async def test_the_next_owner_of_an_exclusive_topic_begins_behind_the_ack_floor(
    nats_server: Endpoint, fresh_env: str, tmp_path: Path, stream: str
) -> None:
    apps = [an_app(fresh_env, nats_url(nats_server), tmp_path) for _ in range(2)]
    seen: list[list[int]] = [[], []]
    for app, mine in zip(apps, seen, strict=True):

        @app.agent(bound(app, stream, is_exclusive=True))
        async def take(numbers: Any, mine: list[int] = mine) -> None:
            async for event in numbers.noack().events():
                mine.append(event.value)
                if event.value == 11 and len(seen[1]) == 0:
                    await asyncio.sleep(60)
                if event.value != 7:
                    event.ack()

    async with running(*apps):
        await eventually(lambda: seen[0][-1:] == [11])
        assert seen[1] == []
        await asyncio.sleep(0.2)
        await abandon(apps[0])
        await eventually(lambda: seen[1][-1:] == [MESSAGES - 1], 8, seen[1])
    assert seen[1] == list(range(7, MESSAGES))


async def test_what_takes_long_is_kept_alive(
    nats_server: Endpoint, fresh_env: str, tmp_path: Path, stream: str
) -> None:
    app = an_app(fresh_env, nats_url(nats_server), tmp_path)
    seen: Counter[int] = Counter()

    @app.agent(bound(app, stream, ack_wait_seconds=1.0))
    async def dawdle(numbers: Any) -> None:
        async for value in numbers:
            seen[value] += 1
            await asyncio.sleep(2.5 if value == 0 else 0)

    async with running(app):
        await eventually(lambda: len(seen) == MESSAGES)
        assert await is_settled(nats_server, stream, fresh_env)
    assert set(seen.values()) == {1}


async def test_what_comes_again_while_it_is_here_is_not_begun_twice_and_leaves_nothing(
    nats_server: Endpoint,
    fresh_env: str,
    tmp_path: Path,
    stream: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def nothing(_self: Intake) -> None:
        return

    monkeypatch.setattr(Intake, "keep_alive", nothing)
    app = an_app(fresh_env, nats_url(nats_server), tmp_path)
    seen: Counter[int] = Counter()

    @app.agent(bound(app, stream, ack_wait_seconds=1.0))
    async def dawdle(numbers: Any) -> None:
        async for value in numbers:
            seen[value] += 1
            await asyncio.sleep(1.6 if value == 0 else 0)

    async with running(app):
        await eventually(lambda: len(seen) == MESSAGES)
        assert await is_settled(nats_server, stream, fresh_env)
        assert isinstance(app.consumer, Consumer)
        assert len(app.consumer._intake.flight) == 0
    assert set(seen.values()) == {1}
