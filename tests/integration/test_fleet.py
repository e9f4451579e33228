"""A fleet on a real server: deaths, ends, freezes, outages, and how soon each is known."""

import asyncio
import json
import os
import signal
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.bus.admin import JetStreamAdmin
from app.bus.server_folder import Endpoint
from app.cli.exit_codes import FAILED, OK
from app.cli.main import run
from app.control.names import leases_bucket
from app.control.streams import bucket_spec
from app.fleet.fleet import Fleet
from app.fleet.heartbeat import Heartbeat
from app.fleet.report import BEAT_SECONDS, TTL_SECONDS, WorkerIdentity
from app.stores.kv import KvBucket
from app.system import SystemClock
from tests.support.bus import connected
from tests.support.fleets import identity
from tests.support.nats_server import KillableServer

SOON_SECONDS = 1.0
CHILD = textwrap.dedent(
    """
    import asyncio, sys
    from app.bus.server_folder import Endpoint
    from app.control.names import leases_bucket
    from app.fleet.heartbeat import Heartbeat
    from app.fleet.report import WorkerIdentity
    from app.stores.kv import KvBucket
    from app.system import SystemClock
    from tests.support.bus import connected

    async def main():
        url, user, password, env = sys.argv[1:]
        async with connected(Endpoint(url, user, password)) as bus:
            identity = WorkerIdentity.of_this_process(["worker"], "1.0")
            bucket = KvBucket(bus, leases_bucket(env))
            heartbeat = Heartbeat(bucket, SystemClock(), identity)
            await heartbeat.start()
            heartbeat.acknowledge(1, {})
            print(identity.id, flush=True)
            while True:
                await asyncio.sleep(0.1)
                print(heartbeat.is_alive(), flush=True)

    asyncio.run(main())
    """
)


class Child:
    """A process that beats."""

    def __init__(self, process: asyncio.subprocess.Process, worker_id: str) -> None:
        self.id = worker_id
        self.process = process

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    async def next_word(self) -> str:
        """Give what it says next of itself."""
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode().strip()


@asynccontextmanager
async def child(server: Endpoint, env: str) -> AsyncIterator[Child]:
    """Start a process that beats, and end it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, server.url, server.user, server.password, env,
        stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        assert process.stdout is not None
        worker_id = (await process.stdout.readline()).decode().strip()
        yield Child(process, worker_id)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def make_bucket(server: Endpoint, env: str) -> None:
    async with connected(server) as bus:
        await JetStreamAdmin(bus).ensure_stream(bucket_spec(leases_bucket(env)))


@asynccontextmanager
async def watching(server: Endpoint, env: str) -> AsyncIterator[Fleet]:
    """Give a view of the fleet over a connection of its own."""
    async with connected(server) as bus:
        fleet = Fleet(KvBucket(bus, leases_bucket(env)), SystemClock())
        await fleet.start(bus)
        try:
            yield fleet
        finally:
            await fleet.stop()


@asynccontextmanager
async def beating(server: Endpoint, env: str, who: WorkerIdentity) -> AsyncIterator[Heartbeat]:
    """Give a process of the fleet over a connection of its own."""
    async with connected(server) as bus:
        heartbeat = Heartbeat(KvBucket(bus, leases_bucket(env)), SystemClock(), who)
        bus.on_reconnect(heartbeat.hurry)
        await heartbeat.start()
        try:
            yield heartbeat
        finally:
            await heartbeat.forget()


def ids(fleet: Fleet) -> set[str]:
    return {report.id for report in fleet.live()}


def health(heartbeat: Heartbeat, fleet: Fleet) -> tuple[bool, bool]:
    return heartbeat.is_alive(), fleet.is_fresh


async def until_seen(fleet: Fleet, wanted: set[str], seconds: float) -> float:
    begun = time.monotonic()
    async with asyncio.timeout(seconds):
        while ids(fleet) != wanted:
            await asyncio.sleep(0.02)
    return time.monotonic() - begun


async def test_killed_process_is_gone_when_its_ttl_is_over(
    nats_server: Endpoint, fresh_env: str
) -> None:
    await make_bucket(nats_server, fresh_env)
    async with (
        watching(nats_server, fresh_env) as fleet,
        beating(nats_server, fresh_env, identity("stays")),
        child(nats_server, fresh_env) as other,
    ):
        await until_seen(fleet, {"stays", other.id}, SOON_SECONDS)
        other.send(signal.SIGKILL)
        await other.process.wait()
        seconds = await until_seen(fleet, {"stays"}, TTL_SECONDS + 2)
        assert seconds > TTL_SECONDS - BEAT_SECONDS - 0.5


async def test_frozen_process_is_given_up_and_knows_when_it_wakes(
    nats_server: Endpoint, fresh_env: str
) -> None:
    await make_bucket(nats_server, fresh_env)
    async with (
        watching(nats_server, fresh_env) as fleet,
        child(nats_server, fresh_env) as other,
    ):
        await until_seen(fleet, {other.id}, SOON_SECONDS)
        assert await other.next_word() == "True"
        os.kill(other.process.pid, signal.SIGSTOP)
        await until_seen(fleet, set(), TTL_SECONDS + 2)
        os.kill(other.process.pid, signal.SIGCONT)
        words: list[str] = []
        async with asyncio.timeout(5):
            while "False" not in words:
                words.append(await other.next_word())
            await until_seen(fleet, {other.id}, SOON_SECONDS)
            while words[-1] != "True":
                words.append(await other.next_word())


async def test_clean_end_and_acknowledgement_are_known_at_once(
    nats_server: Endpoint, fresh_env: str
) -> None:
    await make_bucket(nats_server, fresh_env)
    async with watching(nats_server, fresh_env) as fleet:
        async with beating(nats_server, fresh_env, identity("one")) as one:
            async with beating(nats_server, fresh_env, identity("two")) as two:
                waiting = asyncio.create_task(fleet.wait_acknowledged(7, 5))
                await asyncio.sleep(0.2)
                one.acknowledge(7, {})
                two.acknowledge(8, {"acme": "no secret"})
                said = await waiting
                assert said.acknowledged == ("one", "two")
                assert said.reasons_of("acme") == {"two": "no secret"}
                assert said.seconds < 0.2 + SOON_SECONDS / 2
            await until_seen(fleet, {"one"}, SOON_SECONDS / 2)
        await until_seen(fleet, set(), SOON_SECONDS / 2)


async def test_single_look_finds_who_is_there(nats_server: Endpoint, fresh_env: str) -> None:
    await make_bucket(nats_server, fresh_env)
    async with (
        beating(nats_server, fresh_env, identity("one")),
        beating(nats_server, fresh_env, identity("two")),
        connected(nats_server) as bus,
    ):
        bucket = KvBucket(bus, leases_bucket(fresh_env))
        await bucket.put("control", b"a lease")
        await bucket.put("worker.lane", b"a lane's memory, of a tenant of that name")
        fleet = Fleet(bucket, SystemClock())
        await fleet.refresh()
        assert ids(fleet) == {"one", "two"}


async def test_ended_process_leaves_nothing_in_the_bucket(
    nats_server: Endpoint, fresh_env: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.fleet.heartbeat.REMEMBERED", "1s")
    await make_bucket(nats_server, fresh_env)
    async with connected(nats_server) as bus:
        bucket = KvBucket(bus, leases_bucket(fresh_env))
        async with beating(nats_server, fresh_env, identity("one")):
            assert await bucket.written_keys("WORKER") == ["WORKER.one"]
        async with asyncio.timeout(5):
            while await bucket.written_keys("WORKER"):
                await asyncio.sleep(0.1)


async def test_outage_of_the_server_ends_nobody(
    killable_server: KillableServer, fresh_env: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Away for longer than the TTL, so that all keys have expired when it is back."""
    for name in ("app.fleet.heartbeat.TTL_SECONDS", "app.fleet.fleet.TTL_SECONDS"):
        monkeypatch.setattr(name, 2)
    for name in ("app.fleet.heartbeat.BEAT_SECONDS", "app.fleet.fleet.LOOK_SECONDS"):
        monkeypatch.setattr(name, 0.5)
    monkeypatch.setattr("app.fleet.fleet.STALE_SECONDS", 1.5)
    server = killable_server.endpoint
    await make_bucket(server, fresh_env)
    async with (
        watching(server, fresh_env) as fleet,
        beating(server, fresh_env, identity("one")) as one,
        beating(server, fresh_env, identity("two")),
    ):
        await until_seen(fleet, {"one", "two"}, SOON_SECONDS)
        seen: list[set[str]] = []
        fleet.on_change(lambda: seen.append(ids(fleet)))
        await killable_server.kill()
        async with asyncio.timeout(10):
            while any(health(one, fleet)):
                await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        await killable_server.start()
        async with asyncio.timeout(15):
            while not all(health(one, fleet)):
                await asyncio.sleep(0.05)
        await asyncio.sleep(2)
        assert ids(fleet) == {"one", "two"}
        assert all(each == {"one", "two"} for each in seen)


# ── The command ──────────────────────────────────────────────────────────────────────────────


async def test_command_lists_who_lives(
    nats_server: Endpoint, fresh_env: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"nats://{nats_server.user}:{nats_server.password}@127.0.0.1:{nats_server.port}"
    arguments = ["worker", "list", "--nats-url", url, "--env", fresh_env]
    assert await asyncio.to_thread(run, arguments) == FAILED
    assert "--env" in capsys.readouterr().err
    await make_bucket(nats_server, fresh_env)
    assert await asyncio.to_thread(run, arguments) == OK
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "no process" in printed.err
    async with beating(nats_server, fresh_env, identity("one", roles=("ingress", "worker"))) as one:
        one.note(tenants=3, hot=["acme"])
        one.acknowledge(7, {"globex": "no\x1b[31m secret"})
        await asyncio.sleep(0.2)
        assert await asyncio.to_thread(run, arguments) == OK
        text = capsys.readouterr().out
        assert await asyncio.to_thread(run, [*arguments, "--json"]) == OK
        document = json.loads(capsys.readouterr().out)
    head, failure, hot = text.splitlines()
    assert head.startswith("one  ingress+worker  up ")
    assert "revision 7" in head
    assert "3 tenants" in head
    assert "globex" in failure
    assert "\x1b" not in text
    assert hot == "  hot: acme"
    (said,) = document["workers"]
    assert said["acknowledged"] == 7
    assert said["roles"] == ["ingress", "worker"]
    assert said["failed"] == {"globex": "no\x1b[31m secret"}
