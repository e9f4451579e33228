"""The nats-server goes away under an app on nats://, and comes back: nothing is lost."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from faust.exceptions import ImproperlyConfigured

from app.history.transport.bindings import StreamBinding, bind
from app.history.transport.driver import Transport
from app.history.transport.errors import BrokerUnreachableError, TransportError
from tests.support.faust_apps import an_app, eventually, nats_url, running
from tests.support.nats_server import KillableServer

MESSAGES = 300


async def test_a_killed_server_loses_nothing_and_the_app_goes_on(
    killable_server: KillableServer, tmp_path: Path
) -> None:
    app = an_app("outage", nats_url(killable_server.endpoint), tmp_path)
    numbers = app.topic("numbers", value_serializer="json")
    out = app.topic("out", value_serializer="json")
    counts = app.Table("counts", default=int)
    seen: Counter[int] = Counter()

    @app.agent(numbers)
    async def pass_on(stream: Any) -> None:
        async for event in stream.noack().events():
            counts[event.value % 7] = max(counts[event.value % 7], event.value)
            await out.send(value=event.value)
            event.ack()

    @app.agent(out)
    async def gather(stream: Any) -> None:
        async for value in stream:
            seen[value] += 1

    async with running(app):
        for number in range(MESSAGES):
            await numbers.send(value=number)
            if number in (100, 200):
                await eventually(lambda: len(seen) > 50)
                await killable_server.kill()
                waits = 0.3 if number == 100 else 3.0  # shorter and longer than the lease
                await asyncio.sleep(waits)
                await killable_server.start()
        await eventually(lambda: len(seen) == MESSAGES, 20, lambda: len(seen))
        assert not app.should_stop
        held = dict(counts)
    assert held == {key: max(range(key, MESSAGES, 7)) for key in range(7)}
    second = an_app("outage", nats_url(killable_server.endpoint), tmp_path)
    recovered = second.Table("counts", default=int)
    async with running(second):
        await eventually(lambda: bool(second.consumer.assignment()) and second.tables.actives_ready)
        assert dict(recovered) == held


async def test_an_app_without_a_server_says_so(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("app.history.transport.connection.CONNECT_SECONDS", 0.3)
    app = an_app("alone", "nats://user:hidden@127.0.0.1:1", tmp_path)
    with pytest.raises(
        BrokerUnreachableError, match=r"no NATS server at nats://127\.0\.0\.1:1"
    ) as e:
        await app.start()
    assert "hidden" not in str(e.value)
    await app.stop()


def test_what_a_broker_url_may_say(tmp_path: Path) -> None:
    app = an_app("urls", "nats://a:4222;nats://b?lease_seconds=30&replicas=3", tmp_path)
    transport = app.transport
    assert isinstance(transport, Transport)
    assert (transport.options.lease_seconds, transport.options.replicas) == (30, 3)
    for url, words in (("lease_seconds=1", "from 2 to 300"), ("color=red", "no option 'color'")):
        with pytest.raises(ImproperlyConfigured, match=words):
            _ = an_app("wrong", f"nats://a?{url}", tmp_path).transport


def test_a_topic_is_bound_once_and_only_on_nats(tmp_path: Path) -> None:
    app = an_app("binds", "nats://a", tmp_path)
    bind(app, "t", StreamBinding("S"))
    with pytest.raises(TransportError, match="bound already"):
        bind(app, "t", StreamBinding("S"))
    with pytest.raises(TransportError, match="not nats://"):
        bind(an_app("kafka", "kafka://a", tmp_path), "t", StreamBinding("S"))
    with pytest.raises(ValueError, match="names its stream"):
        StreamBinding("")
