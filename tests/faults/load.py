"""The load: webhooks at a steady rate, by a sender that repeats until it gets its 2xx.

In: kinds of events and a rate. Out: a ledger with one line for every event that was accepted, on the
disk. Repeats carry the same delivery id, so an event is one however often it had to be sent.
"""

import asyncio
import itertools
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from tests.faults.processes import Cluster, Outside
from tests.faults.scenario import TENANT, Kind, payload_of

AT_ONCE_MAX: Final = 300
"""Senders that wait for their 2xx; past it the rate is not kept."""
PATIENCE_SECONDS: Final = 90.0
"""How long one event is tried."""
PAUSE_SECONDS: Final = (0.05, 0.5)
REPEATED_STATUSES: Final = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Accepted:
    """One event that got its 2xx."""

    number: int
    event_type: str
    event_id: str
    posted_at: float
    accepted_at: float
    tries: int


@dataclass
class Ledger:
    """What was accepted, and what never was."""

    path: Path
    accepted: list[Accepted] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    """Answers that no sender should get."""

    def note(self, one: Accepted) -> None:
        self.accepted.append(one)
        with self.path.open("a") as file:
            file.write(json.dumps(vars(one)) + "\n")

    @property
    def slowest_seconds(self) -> float:
        """The longest that a sender had to try."""
        return max((one.accepted_at - one.posted_at for one in self.accepted), default=0.0)


@dataclass
class Load:
    """One stream of events; numbers never repeat within a ledger."""

    cluster: Cluster
    outside: Outside
    ledger: Ledger
    kinds: Sequence[Kind]
    chance: random.Random
    sleep_seconds_max: int = 3
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    """Numbers of events, from 1: one sender at a time draws from it."""

    async def run(self, rate: float, stop: asyncio.Event, *, count: int | None = None) -> None:
        """Post ``rate`` events a second until ``stop``, or ``count`` of them; then wait for all."""
        places = asyncio.Semaphore(AT_ONCE_MAX)
        mix = [kind for kind in self.kinds for _ in range(kind.weight)]
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
        async with (
            httpx.AsyncClient(timeout=20, trust_env=False, limits=limits) as client,
            asyncio.TaskGroup() as senders,
        ):
            began, sent = time.monotonic(), 0
            while not stop.is_set() and (count is None or sent < count):
                await places.acquire()
                task = senders.create_task(self._send(client, self.chance.choice(mix)))
                task.add_done_callback(lambda _: places.release())
                sent += 1
                await asyncio.sleep(max(0.0, began + sent / rate - time.monotonic()))

    async def each(self, times: int) -> None:
        """Post every kind of event a few times over: it warms everything up."""
        async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
            for kind in list(self.kinds) * times:
                if kind.weight:
                    await self._send(client, kind)

    async def _send(self, client: httpx.AsyncClient, kind: Kind) -> None:
        number = next(self.numbers)
        payload = payload_of(
            number,
            base=self.outside.url,
            flaky=self.outside.flaky(number),
            sleep_ms=self.chance.randint(500, self.sleep_seconds_max * 1000),
        )
        posted_at, tries, said = time.time(), 0, "nothing"
        while time.time() - posted_at < PATIENCE_SECONDS:
            tries += 1
            url = self.cluster.urls[tries % len(self.cluster.urls)]
            try:
                answer = await client.post(
                    f"{url}/events/webhook/{TENANT}/{kind.event_type}",
                    json=payload,
                    headers={"idempotency-key": f"load-{number}"},
                )
            except httpx.TransportError as error:
                said = repr(error)
            else:
                if answer.is_success:
                    event_id = answer.json()["event_id"]
                    self.ledger.note(
                        Accepted(number, kind.event_type, event_id, posted_at, time.time(), tries)
                    )
                    return
                said = f"{answer.status_code} {answer.text[:200]}"
                if answer.status_code not in REPEATED_STATUSES:
                    break
                if answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
                    self.ledger.surprises.append(f"ingress answered {said}")
            await asyncio.sleep(self.chance.uniform(*PAUSE_SECONDS))
        self.ledger.given_up.append(f"{kind.event_type} {number}: {tries} tries, last: {said}")
