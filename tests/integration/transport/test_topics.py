"""Ordinary topics over nats://: what arrives, who takes it, what is told to the server."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.exceptions import ProducerSendError

from app.bus.server_folder import Endpoint
from app.history.transport.bindings import StreamBinding, bind
from tests.support.faust_apps import an_app, client, eventually, nats_url, running


async def pending(endpoint: Endpoint, stream: str, durable: str) -> tuple[int, int]:
    async with client(endpoint) as connection:
        info = await connection.jetstream().consumer_info(stream, durable)
        return info.num_pending or 0, info.num_ack_pending or 0


def gathering(app: faust.App, topic: Any) -> list[Any]:
    seen: list[Any] = []

    @app.agent(topic)
    async def gather(stream: Any) -> None:
        async for event in stream.noack().events():
            seen.append(event)
            event.ack()

    return seen


async def test_what_is_sent_arrives_as_it_was(
    nats_server: Endpoint, fresh_env: str, tmp_path: Path
) -> None:
    app = an_app(fresh_env, nats_url(nats_server), tmp_path)
    topic = app.topic(f"{fresh_env}.orders/new", value_serializer="raw", key_serializer="raw")
    seen = gathering(app, topic)
    headers = {"plain": b"text", "odd": b"\x00\xff\r\n ", "Nats-Msg-Id": b"not passed on"}
    async with running(app):
        await topic.send(key=b"\x00.*> k", value=b"\xff\x00", headers=headers, timestamp=5.25)
        await topic.send(value=b"")
        await eventually(lambda: len(seen) == 2)
    first, second = seen
    assert (first.message.key, first.message.value) == (b"\x00.*> k", b"\xff\x00")
    assert first.message.timestamp == 5.25
    own = {name: value for name, value in first.headers.items() if not name.startswith("Nats-")}
    assert own == {"plain": b"text", "odd": b"\x00\xff\r\n "}
    assert first.headers["Nats-Sequence"] == b"1"
    assert first.headers["Nats-Delivered"] == b"1"
    assert (second.message.key, second.message.value) == (None, b"")


async def test_two_workers_share_a_topic_and_two_apps_do_not(
    nats_server: Endpoint, fresh_env: str, tmp_path: Path
) -> None:
    apps = [
        an_app(name, nats_url(nats_server), tmp_path)
        for name in (fresh_env, fresh_env, f"{fresh_env}-other")
    ]
    topics = [app.topic(fresh_env, value_serializer="json") for app in apps]
    seen = [gathering(app, topic) for app, topic in zip(apps, topics, strict=True)]
    async with running(*apps):
        for number in range(600):
            await topics[0].send(value=number)
        await eventually(lambda: len(seen[0]) + len(seen[1]) == 600 and len(seen[2]) == 600)
        stream = f"FAUST_{fresh_env}"
        for _ in range(100):
            if await pending(nats_server, stream, fresh_env) == (0, 0):
                break
            await asyncio.sleep(0.02)
        assert await pending(nats_server, stream, fresh_env) == (0, 0)
    shared = sorted(event.value for event in [*seen[0], *seen[1]])
    assert shared == list(range(600))
    assert sorted(event.value for event in seen[2]) == list(range(600))


async def test_what_is_not_begun_at_stop_goes_to_the_others_at_once(
    nats_server: Endpoint, fresh_env: str, tmp_path: Path
) -> None:
    first, second = (an_app(fresh_env, nats_url(nats_server), tmp_path) for _ in range(2))
    started = asyncio.Event()
    begun: list[int] = []

    @first.agent(first.topic(fresh_env, value_serializer="json"))
    async def stuck(stream: Any) -> None:
        async for value in stream:  # acknowledges by itself, also when it is cancelled
            begun.append(value)
            started.set()
            await asyncio.sleep(60)

    topic = second.topic(fresh_env, value_serializer="json")
    seen = gathering(second, topic)
    async with running(first):
        for number in range(20):
            await topic.send(value=number)
        await asyncio.wait_for(started.wait(), 5)
    assert begun == [0]
    async with running(second):
        await eventually(lambda: len(seen) == 20, 5, [event.value for event in seen])
    assert sorted(event.value for event in seen) == list(range(20))


async def test_a_bound_topic_reads_what_it_names_and_takes_nothing(
    nats_server: Endpoint, fresh_env: str, tmp_path: Path
) -> None:
    async with client(nats_server) as connection:
        stream = connection.jetstream()
        await stream.add_stream(name=f"S-{fresh_env}", subjects=[f"{fresh_env}.>"])
        for number in range(10):
            await stream.publish(f"{fresh_env}.{'ab'[number % 2]}.x", str(number).encode())
    app = an_app(fresh_env, nats_url(nats_server), tmp_path)
    topic = app.topic("existing", value_serializer="json")
    binding = StreamBinding(
        f"S-{fresh_env}", filter_subjects=(f"{fresh_env}.b.>", f"{fresh_env}.c.*"), durable="mine"
    )
    bind(app, "existing", binding)
    seen = gathering(app, topic)
    async with running(app):
        await eventually(lambda: len(seen) == 5)
        with pytest.raises(ProducerSendError, match="not its own"):
            await topic.send(value=1)
    assert [event.value for event in seen] == [1, 3, 5, 7, 9]

    later = an_app(fresh_env, nats_url(nats_server), tmp_path)
    again = later.topic("existing", value_serializer="json")
    bind(later, "existing", replace(binding, filter_subjects=(f"{fresh_env}.>",)))
    more = gathering(later, again)
    async with client(nats_server) as connection, running(later):
        await eventually(lambda: not later.rebalancing)
        await asyncio.sleep(0.1)  # the filter follows with the first request
        await connection.jetstream().publish(f"{fresh_env}.new", b"10")
        await eventually(lambda: 10 in [event.value for event in more])
    assert seen[0].headers["Nats-Subject"] == f"{fresh_env}.b.x".encode()
    assert [int(event.headers["Nats-Sequence"]) for event in seen] == [2, 4, 6, 8, 10]
