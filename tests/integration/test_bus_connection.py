"""A bus connects, says what goes wrong, and comes back by itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import nats
import pytest

from actors.errors import UnavailableError
from actors.testing.observer import RecordingObserver
from app.bus import servers
from app.bus.connection import Bus, BusSettings
from app.bus.observations import BusConnected, BusDisconnected, BusTroubled
from app.bus.server_folder import Endpoint
from app.bus.wire import Received
from tests.support.nats_server import KillableServer

PATIENCE_SECONDS = 30.0


@contextlib.asynccontextmanager
async def a_bus(endpoint: Endpoint, observer: RecordingObserver) -> AsyncIterator[Bus]:
    settings = BusSettings(endpoint.url, endpoint.user, endpoint.password)
    bus = await Bus.connect(settings, observer, deadline_seconds=10)
    try:
        yield bus
    finally:
        await bus.drain_and_close(2)


async def wait_for(event: asyncio.Event) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        await event.wait()


async def test_message_comes_back_with_its_headers(nats_server: Endpoint, fresh_env: str) -> None:
    heard: asyncio.Queue[Received] = asyncio.Queue()
    async with a_bus(nats_server, RecordingObserver()) as bus:
        await bus.subscribe(f"{fresh_env}.*", heard.put_nowait)
        assert bus.send(f"{fresh_env}.a", b"1", reply="r.1", headers=b"NATS/1.0\r\nX: y\r\n\r\n")
        assert bus.send(f"{fresh_env}.b", b"2")
        first, second = await heard.get(), await heard.get()
    assert (first.subject, first.data, first.reply) == (f"{fresh_env}.a", b"1", "r.1")
    assert first.headers == {"X": "y"}
    assert (second.data, second.headers) == (b"2", None)


async def test_ended_subscription_hears_no_more(nats_server: Endpoint, fresh_env: str) -> None:
    heard: list[bytes] = []
    async with a_bus(nats_server, RecordingObserver()) as bus:
        ended = await bus.subscribe(fresh_env, lambda message: heard.append(message.data))
        await bus.unsubscribe(ended)
        bus.send(fresh_env, b"1")
        await bus.flush(10)
        await bus.unsubscribe(ended)
    assert heard == []


async def test_question_without_anybody_to_answer_is_unavailable(
    nats_server: Endpoint, fresh_env: str
) -> None:
    async with a_bus(nats_server, RecordingObserver()) as bus:
        with pytest.raises(UnavailableError):
            await bus.request(fresh_env, b"", timeout_seconds=10)
        await bus.subscribe(fresh_env, lambda _: None)
        with pytest.raises(UnavailableError):
            await bus.request(fresh_env, b"", timeout_seconds=0.05)


async def test_any_of_several_servers_will_do(nats_server: Endpoint) -> None:
    login = f"{nats_server.user}:{nats_server.password}@"
    there = nats_server.url.replace("nats://", f"nats://{login}")
    for url in (f"nats://127.0.0.1:9, {there}", f"{there},nats://127.0.0.1:9"):
        bus = await Bus.connect(BusSettings(url), RecordingObserver(), deadline_seconds=10)
        assert bus.is_connected
        assert bus.lone_server is not None
        await bus.drain_and_close(2)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every second sign that JetStream is silent lead to the wish to leave."""
    monkeypatch.setattr(servers, "DOUBT_SECONDS", 0.0)


@pytest.mark.usefixtures("impatient")
async def test_server_is_left_for_another_and_subscriptions_go_along(
    nats_server: Endpoint, tmp_path: Path, fresh_env: str
) -> None:
    other = KillableServer(tmp_path)
    other.folder.write_endpoint(replace(nats_server, pid=0))  # the same login, on a free port
    url = f"{nats_server.url},{(await other.start()).url}"
    settings = BusSettings(url, nats_server.user, nats_server.password)
    observer, heard = RecordingObserver(), asyncio.Event()
    bus = await Bus.connect(settings, observer, deadline_seconds=10)
    try:
        await bus.subscribe(fresh_env, lambda _: heard.set())
        before = bus.client.connected_url
        bus.doubt.unheard()
        bus.doubt.unheard()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(observer.of(BusConnected)) < 2:
                await asyncio.sleep(0.01)
        assert bus.client.connected_url != before
        assert any("trying another" in one.reason for one in observer.of(BusTroubled))
        bus.send(fresh_env, b"")
        await wait_for(heard)
    finally:
        await bus.drain_and_close(2)
        await other.kill()


@pytest.mark.usefixtures("impatient")
async def test_only_server_is_never_left(nats_server: Endpoint) -> None:
    observer = RecordingObserver()
    async with a_bus(nats_server, observer) as bus:
        for _ in range(3):
            bus.doubt.unheard()
        await bus.flush(10)
        assert bus.is_connected
        assert not observer.of(BusDisconnected)


async def test_unreachable_server_is_unavailable_at_the_deadline() -> None:
    settings = BusSettings("nats://127.0.0.1:9", name="nobody")
    observer = RecordingObserver()
    with pytest.raises(UnavailableError, match="not reachable"):
        await Bus.connect(settings, observer, deadline_seconds=0.3)
    assert observer.of(BusConnected) == []
    assert observer.of(BusTroubled)


async def test_wrong_password_is_said_but_not_shown(nats_server: Endpoint) -> None:
    settings = BusSettings(nats_server.url, nats_server.user, "wrong-password")
    observer = RecordingObserver()
    assert "wrong-password" not in repr(settings)
    with pytest.raises(UnavailableError, match="Authorization Violation") as failed:
        await Bus.connect(settings, observer, deadline_seconds=0.5)
    assert "wrong-password" not in str(failed.value) + repr(observer.observations)


async def test_server_that_throws_us_out_is_found_again(nats_server: Endpoint) -> None:
    observer = RecordingObserver()
    heard, returned = asyncio.Event(), asyncio.Event()
    async with a_bus(nats_server, observer) as bus:
        subject = bus.new_inbox()
        await bus.subscribe(subject, lambda _: heard.set())
        bus.on_reconnect(returned.set)
        bus.send(subject, b"x" * (bus.payload_bytes_max + 1))
        await wait_for(returned)
        assert not heard.is_set()
        bus.send(subject, b"")
        await wait_for(heard)
    assert observer.of(BusDisconnected)


async def wait_lost(bus: Bus) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while bus.is_connected:
            await asyncio.sleep(0.01)


async def test_bus_comes_back_with_its_subscriptions(killable_server: KillableServer) -> None:
    observer = RecordingObserver()
    heard, returned = asyncio.Event(), asyncio.Event()
    async with a_bus(killable_server.endpoint, observer) as bus:
        await bus.subscribe("a.b", lambda _: heard.set())
        bus.on_reconnect(returned.set)
        await killable_server.kill()
        await wait_lost(bus)
        assert bus.send("a.b", b"sent while away")
        await killable_server.start()
        await wait_for(returned)
        await wait_for(heard)
        assert bus.is_connected
    assert [seen.is_reconnect for seen in observer.of(BusConnected)] == [False, True]
    assert observer.of(BusDisconnected)


async def test_client_that_gave_up_for_good_is_replaced(nats_server: Endpoint) -> None:
    observer = RecordingObserver()
    heard, returned = asyncio.Event(), asyncio.Event()
    async with a_bus(nats_server, observer) as bus:
        subject = bus.new_inbox()
        await bus.subscribe(subject, lambda _: heard.set())
        bus.on_reconnect(returned.set)
        given_up = bus.client
        await given_up.close()
        await wait_for(returned)
        assert bus.client is not given_up
        assert bus.send(subject, b"")
        await wait_for(heard)


async def test_drain_writes_what_was_sent_before_closing(
    nats_server: Endpoint, fresh_env: str
) -> None:
    other = await nats.connect(
        nats_server.url, user=nats_server.user, password=nats_server.password
    )
    subscription = await other.subscribe(fresh_env)
    await other.flush()
    bus = await Bus.connect(
        BusSettings(nats_server.url, nats_server.user, nats_server.password),
        RecordingObserver(),
        deadline_seconds=10,
    )
    for _ in range(500):
        bus.send(fresh_env, b"x" * 1000)
    await bus.drain_and_close(10)
    await bus.drain_and_close(10)
    assert not bus.send(fresh_env, b"late")
    for _ in range(500):
        assert (await subscription.next_msg(timeout=10)).data == b"x" * 1000
    await other.close()


async def test_drain_without_a_server_ends(killable_server: KillableServer) -> None:
    settings = BusSettings(
        killable_server.endpoint.url,
        killable_server.endpoint.user,
        killable_server.endpoint.password,
    )
    bus = await Bus.connect(settings, RecordingObserver(), deadline_seconds=10)
    await killable_server.kill()
    bus.send("a", b"")
    async with asyncio.timeout(PATIENCE_SECONDS):
        await bus.drain_and_close(0.2)
