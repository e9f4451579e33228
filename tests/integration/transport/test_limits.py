"""What nats:// refuses, and how an app ends when it must: told, and nothing acknowledged by it."""

import asyncio
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from faust.exceptions import ImproperlyConfigured, ProducerSendError

from app.bus.server_folder import Endpoint
from app.history.transport import consumer as consumer_module
from app.history.transport import producer as producer_module
from app.history.transport.bindings import StreamBinding, bind
from app.history.transport.errors import TransportError
from tests.support.faust_apps import an_app, client, eventually, nats_url, running
from tests.support.nats_server import KillableServer


async def test_a_table_change_that_cannot_be_stored_ends_the_app_and_acknowledges_nothing(
    nats_server: Endpoint, fresh_env: str, tmp_path: Path
) -> None:
    app = an_app(fresh_env, nats_url(nats_server), tmp_path)
    topic = app.topic(fresh_env, value_serializer="json")
    table = app.Table("t", default=int)

    @app.agent(topic)
    async def put(stream: Any) -> None:
        async for value in stream:
            table["k" * value] = 1

    async with running(app):
        await topic.send(value=3_000)
        await eventually(lambda: app.crashed)
        assert isinstance(app.crash_reason, ProducerSendError)
        assert "at most 2048 are possible" in str(app.crash_reason)
    async with client(nats_server) as connection:
        info = await connection.jetstream().consumer_info(f"FAUST_{fresh_env}", fresh_env)
        assert info.ack_floor is not None
        assert info.ack_floor.stream_seq == 0


async def test_the_newest_of_many_changes_of_a_key_is_what_stays(
    nats_server: Endpoint, fresh_env: str, tmp_path: Path
) -> None:
    app = an_app(fresh_env, nats_url(nats_server), tmp_path)
    topic = app.topic(fresh_env, value_serializer="json")
    table = app.Table("t", default=int)
    done: list[int] = []

    @app.agent(topic)
    async def put(stream: Any) -> None:
        async for value in stream:
            for number in range(value):
                table["only"] = number
            done.append(value)

    async with running(app):
        await topic.send(value=5_000)
        await eventually(lambda: bool(done))
        await app.producer.flush()
        async with client(nats_server) as connection:
            jetstream = connection.jetstream()
            name = f"FAUST_{fresh_env}-t-changelog"
            state = (await jetstream.stream_info(name)).state
            assert state.messages == 1
            assert state.last_seq < 2_500, "what waited was replaced"
            last = await jetstream.get_msg(name, seq=state.last_seq)
            assert last.data == b"4999"


async def test_an_agent_that_is_added_while_the_app_runs_is_heard_at_once(
    nats_server: Endpoint, fresh_env: str, tmp_path: Path
) -> None:
    app = an_app(fresh_env, nats_url(nats_server), tmp_path)
    seen: list[int] = []

    @app.agent(app.topic(f"{fresh_env}-first", value_serializer="json"))
    async def first(stream: Any) -> None:
        async for _ in stream:
            pass

    async with running(app):
        await eventually(lambda: bool(app.consumer.assignment()))
        await eventually(lambda: not app.rebalancing)
        topic = app.topic(f"{fresh_env}-second", value_serializer="json")

        @app.agent(topic)
        async def second(stream: Any) -> None:
            async for value in stream:
                seen.append(value)  # noqa: PERF401

        await second.start()
        await topic.send(value=1)
        await eventually(lambda: seen == [1], 5)


async def test_what_nats_does_not_have_is_refused(
    nats_server: Endpoint, fresh_env: str, tmp_path: Path
) -> None:
    once = an_app(fresh_env, nats_url(nats_server), tmp_path, processing_guarantee="exactly_once")
    once.in_worker = True
    with pytest.raises(TransportError, match="no transactions"):
        await once.producer.start()
    everywhere = an_app(f"{fresh_env}-g", nats_url(nats_server), tmp_path)
    everywhere.GlobalTable("g", default=int)
    async with running(everywhere):
        await eventually(lambda: everywhere.crashed)
        assert isinstance(everywhere.crash_reason, ImproperlyConfigured)


async def test_a_stream_that_is_not_there_is_waited_for(
    nats_server: Endpoint, fresh_env: str, tmp_path: Path
) -> None:
    app = an_app(fresh_env, nats_url(nats_server), tmp_path)
    topic = app.topic("missing", value_serializer="json")
    bind(app, "missing", StreamBinding(f"S-{fresh_env}"))
    seen: list[int] = []

    @app.agent(topic)
    async def take(stream: Any) -> None:
        async for value in stream:
            seen.append(value)  # noqa: PERF401

    async with running(app), client(nats_server) as connection:
        await asyncio.sleep(0.2)
        await connection.jetstream().add_stream(name=f"S-{fresh_env}", subjects=[fresh_env])
        await connection.jetstream().publish(fresh_env, b"1")
        await eventually(lambda: seen == [1])


async def test_an_app_stops_in_time_while_the_server_is_away(
    killable_server: KillableServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer_module, "STOP_SECONDS", 0.3)
    monkeypatch.setattr(consumer_module, "STOP_SECONDS", 0.5)
    app = an_app("away", nats_url(killable_server.endpoint), tmp_path)
    topic = app.topic("numbers", value_serializer="json")
    out = app.topic("out", value_serializer="json")
    seen: list[int] = []

    @app.agent(topic)
    async def take(stream: Any) -> None:
        async for value in stream:
            await out.send(value=value)
            seen.append(value)

    async with running(app):
        await topic.send(value=1)
        await eventually(lambda: seen == [1])
        await killable_server.kill()
        await topic.send(value=2)
        began = monotonic()
    assert monotonic() - began < 5
