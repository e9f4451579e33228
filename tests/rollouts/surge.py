"""A crowd around each change: requests that were told to a flow before it is replaced, and wait.

In: a connection, a ledger. Out: from the moment that a change is asked for or heard on the bus, for a
while, always so many events of one type that have no result yet, published as a client of the bus
may. The flow that takes them computes for some milliseconds each time, so that a line of them waits
for it when its successor comes, however fast the machine is.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from tests.faults.load import Accepted, Ledger
from tests.faults.scenario import ENV, TENANT
from tests.rollouts.versions import BURST

SUBJECT: Final = f"greentic.events.{ENV}.{TENANT}.{BURST}"
RESULTS: Final = f"{SUBJECT}.result"
OPEN_SECONDS: Final = 0.8
"""After a change was asked for or heard."""


@dataclass
class Surge:
    """Keeps ``size`` events without a result around every change. Use `start`, then `stop`."""

    client: Client
    ledger: Ledger
    numbers: Iterator[int]
    """Shared with the steady load."""
    size: int
    _until: float = 0.0
    _waiting: int = 0
    """Events of the present crowd that have no result."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _subscriptions: list[Subscription] = field(default_factory=list)

    async def start(self) -> None:
        """Hear changes and results from now on."""
        if self.size:
            change = f"$KV.deployments-{ENV}.{TENANT}.deployment"
            for subject, hear in ((change, self._hear_change), (RESULTS, self._hear_result)):
                self._subscriptions.append(await self.client.subscribe(subject, cb=hear))

    async def stop(self) -> None:
        """End, once all is stored that was begun."""
        for subscription in self._subscriptions:
            await subscription.unsubscribe()
        self._until = 0.0
        await asyncio.gather(*self._tasks)

    def open(self) -> None:
        """Let them come for a while."""
        if time.monotonic() >= self._until:
            self._waiting = 0
        self._until = time.monotonic() + OPEN_SECONDS
        self._top_up()

    async def _hear_change(self, _: Msg) -> None:
        self.open()

    async def _hear_result(self, _: Msg) -> None:
        self._waiting = max(0, self._waiting - 1)
        self._top_up()

    def _top_up(self) -> None:
        while self._waiting < self.size and time.monotonic() < self._until:
            self._waiting += 1
            task = asyncio.create_task(self._publish(next(self.numbers)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _publish(self, number: int) -> None:
        event_id, at = f"burst-{number}", time.time()
        document = {
            "id": event_id,
            "event_type": BURST,
            "source": "surge",
            "timestamp": int(at * 1000),
            "payload": {"number": number},
            "metadata": {},
        }
        headers = {"Nats-Msg-Id": event_id}
        await self.client.jetstream().publish(
            SUBJECT, json.dumps(document).encode(), headers=headers, timeout=30
        )
        self.ledger.note(Accepted(number, BURST, event_id, at, time.time(), 1))
