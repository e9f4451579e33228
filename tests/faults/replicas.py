"""The faults of a cluster: leaders are killed and cut off, and so is the server of each worker.

In: a scene whose servers are three, with JetStream on all of them. Out: what was done, counted, and
how long nothing could be published. One server at a time, since of three that is what a quorum
bears; each is current again before the next one is struck.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from app.bus.server_folder import Endpoint
from tests.faults.observed import EVENTS, JOURNAL, WORK
from tests.faults.processes import Layout
from tests.faults.scene import Fault, Scene
from tests.support.cluster import ROUTES, NatsCluster, why_not

REPLICAS: Final = 3
DOWN_SECONDS: Final = (1.0, 8.0)
"""Shorter and longer than the election of a leader."""
CUT_SECONDS: Final = (6.0, 20.0)
REST_SECONDS: Final = (1.0, 4.0)
CURRENT_SECONDS_MAX: Final = 90.0
"""One that was isolated may wait for its leader's next snapshot: up to a minute (measured)."""
PROBE_SECONDS: Final = 0.05
FLOWS: Final = (EVENTS, "flows")

Strike = Callable[["Theatre", str], Awaitable[None]]


class Trio:
    """Three servers that stand where the suite has one."""

    def __init__(self, folder: Path) -> None:
        self.cluster = NatsCluster(folder)

    async def start(self) -> Endpoint:
        """Start them; from the loop's own thread, whose end would end them."""
        self.cluster.start_blocking()
        return self.cluster.endpoint

    async def kill(self) -> None:
        """End them all with SIGKILL."""
        for name in self.cluster.nodes:
            self.cluster.kill(name)

    async def stop(self) -> None:
        self.cluster.stop_blocking()


@dataclass
class Theatre:
    """The servers of a scene and what is measured there."""

    scene: Scene
    servers: NatsCluster
    gaps: dict[str, list[float]] = field(default_factory=dict)
    """How long no publish was acknowledged, in seconds, by kind of strike."""
    stored_at: float = field(default_factory=time.monotonic)

    async def leader(self, stream: str, consumer: str | None = None) -> str:
        """Wait for a leader and name its node."""
        async with asyncio.timeout(CURRENT_SECONDS_MAX):
            while True:
                name = await self.servers.leader_of(stream, consumer)
                if name is not None and self.servers.nodes[name].is_up:
                    return name
                await asyncio.sleep(0.1)

    async def recover(self, name: str) -> None:
        """Wait until all are current; one that does not catch up is started anew."""
        try:
            seconds = await self.servers.wait_healthy(CURRENT_SECONDS_MAX)
        except TimeoutError:
            self.scene.say(f"{name} does not catch up: it is started anew")
            self.scene.done["restarts needed"] += 1
            self.servers.kill(name)
            self.servers.spawn(name)
            seconds = CURRENT_SECONDS_MAX + await self.servers.wait_healthy(CURRENT_SECONDS_MAX)
        self.scene.say(f"all are current after {seconds:.1f} s")


# ── What is done to a server ─────────────────────────────────────────────────────────────────


async def kill(theatre: Theatre, name: str) -> None:
    """SIGKILL, and a start on the old store."""
    theatre.servers.kill(name)
    await theatre.scene.pause(DOWN_SECONDS)
    theatre.servers.spawn(name)


async def cut_off(theatre: Theatre, name: str) -> None:
    """Take both links down: the machine is gone from the network, and nobody is told."""
    theatre.servers.cut(name)
    await theatre.scene.pause(CUT_SECONDS)
    theatre.servers.heal(name)


async def isolate(theatre: Theatre, name: str) -> None:
    """Take its routes down: clients reach it, and it has no quorum."""
    theatre.servers.cut(name, ROUTES)
    await theatre.scene.pause(CUT_SECONDS)
    theatre.servers.heal(name)


STRIKES: Final[Mapping[str, Strike]] = {"killed": kill, "cut off": cut_off, "isolated": isolate}


async def strike_leaders(scene: Scene) -> None:
    """Strike leaders and workers' servers in turn, each in every way, at random moments."""
    trio = scene.cluster.nats
    assert isinstance(trio, Trio)
    theatre = Theatre(scene, trio.cluster)
    probing = asyncio.create_task(_probe(theatre))
    try:
        for number in range(scene.amount):
            await scene.pause(REST_SECONDS)
            ways = tuple(STRIKES)
            how = ways[number % len(ways)]
            what, name = await _victim(theatre, number // len(ways))
            scene.say(f"{name}, {what}, is {how}")
            await _strike(theatre, how, name)
            scene.done[f"servers {how}"] += 1
    finally:
        probing.cancel()
        await asyncio.wait([probing])
        _tell(theatre)


async def _strike(theatre: Theatre, how: str, name: str) -> None:
    stored_before = theatre.stored_at
    longest = 0.0
    done = asyncio.create_task(_strike_and_recover(theatre, how, name))
    while not done.done():
        await asyncio.sleep(PROBE_SECONDS)
        if theatre.stored_at != stored_before:
            longest = max(longest, theatre.stored_at - stored_before)
            stored_before = theatre.stored_at
    await done
    theatre.gaps.setdefault(how, []).append(longest)
    theatre.scene.say(f"nothing was stored for {longest:.1f} s")


async def _strike_and_recover(theatre: Theatre, how: str, name: str) -> None:
    await STRIKES[how](theatre, name)
    await theatre.recover(name)


async def _victim(theatre: Theatre, turn: int) -> tuple[str, str]:
    """Choose whose server is struck: a leader's, or a worker's own."""
    roles: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("leader of EVENTS", (EVENTS,)),
        ("leader of WORK", (WORK,)),
        ("leader of JOURNAL", (JOURNAL,)),
        ("leader of the consumer", FLOWS),
        ("a worker's server", ()),
    )
    what, place = roles[turn % len(roles)]
    if place:
        return what, await theatre.leader(*place)
    return what, await _server_of_a_worker(theatre)


async def _server_of_a_worker(theatre: Theatre) -> str:
    """Ask the servers which of them one of the workers is connected to."""
    names = sorted(theatre.servers.nodes)
    theatre.scene.chance.shuffle(names)
    for name in names:
        if await theatre.servers.has_client(name, "greentic-events"):
            return name
    return names[0]


async def _probe(theatre: Theatre) -> None:
    """Look when the events' stream last took something: its leader's own word."""
    last = -1
    while True:
        with contextlib.suppress(KeyError, ValueError):
            sequence = await theatre.servers.last_sequence(EVENTS)
            if sequence is not None and sequence > last:
                last, theatre.stored_at = sequence, time.monotonic()
        await asyncio.sleep(PROBE_SECONDS)


def _tell(theatre: Theatre) -> None:
    gaps = {how: [round(gap, 1) for gap in found] for how, found in theatre.gaps.items()}
    theatre.scene.say(f"seconds without anything stored: {json.dumps(gaps)}")


# ── Where it is done ─────────────────────────────────────────────────────────────────────────


def lay_out(layout: Layout, _folder: Path) -> Layout:
    """Put three servers in the place of one, and have every stream on all of them."""
    environment = {**layout.environment, "GREENTIC_NATS_REPLICAS": str(REPLICAS)}
    return replace(layout, nats=Trio, environment=environment)


CLUSTER: Final = Fault("cluster", strike_leaders, amount=15, refuse=why_not, lay_out=lay_out)
