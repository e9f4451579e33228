"""What is there to be seen afterwards, read with a client that is not ours.

In: the server's endpoint and the recorder's book. Out: events, results, journal entries and dead
letters as stored, each with the time at which the server stored it; calls and mails as received. All
times are of the machine's own clock, in nanoseconds: neither server nor recorder is lied to.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NotFoundError, ServiceUnavailableError

from app.bus.server_folder import Endpoint
from tests.faults.scenario import ENV, TENANT

EVENTS: Final = f"EVENTS-{ENV}-T-{TENANT}"
WORK: Final = f"WORK-{ENV}-0"
JOURNAL: Final = f"JOURNAL-{ENV}-0"
DEAD: Final = f"DEAD-{ENV}"
STATE: Final = f"KV_state-{ENV}"
BATCH: Final = 500
FETCH_SECONDS: Final = 15.0
NOBODY_SECONDS: Final = 0.1


@dataclass(frozen=True)
class Stored:
    """A message as it lies in a stream."""

    subject: str
    document: Any
    at_ns: int
    sequence: int


@dataclass(frozen=True)
class Call:
    """One request that reached the service, or one mail."""

    key: str
    path: str
    at_ns: int
    status: str
    end_ns: int = 0
    """When it was answered."""


@dataclass
class Seen:
    """Everything that a run of the suite left behind."""

    events: Sequence[Stored] = ()
    results: Sequence[Stored] = ()
    journal: Mapping[str, int] = field(default_factory=dict)
    """When the outcome of an effect was stored, by its idempotency key."""
    letters: Sequence[Stored] = ()
    state: Mapping[str, Any] = field(default_factory=dict)
    """Values of the tenant's state, by the key that flows gave them."""
    calls: Mapping[str, Sequence[Call]] = field(default_factory=dict)
    """By path, ``calls/first/17``; mails by their subject, ``mail/send/17``."""


@asynccontextmanager
async def plain_client(endpoint: Endpoint) -> AsyncIterator[Client]:
    """Connect as any client of the bus may."""
    client = await nats.connect(
        endpoint.url.split(","),
        user=endpoint.user,
        password=endpoint.password,
        max_reconnect_attempts=20,
    )
    try:
        yield client
    finally:
        await client.close()


async def read_all(endpoint: Endpoint, book: Path) -> Seen:
    """Read everything."""
    async with plain_client(endpoint) as client:
        stored = await read_stream(client, EVENTS)
        letters = await read_stream(client, DEAD)
        journal = await read_stream(client, JOURNAL)
        state = await read_stream(client, STATE)
    is_result = {True: [], False: []}  # type: dict[bool, list[Stored]]
    for item in stored:
        is_result[item.subject.endswith(".result")].append(item)
    return Seen(
        events=is_result[False],
        results=is_result[True],
        journal=_journal_times(journal),
        letters=letters,
        state=_state_values(state),
        calls=read_book(book),
    )


async def read_stream(client: Client, stream: str) -> Sequence[Stored]:
    """Give all messages of a stream; none if there is no such stream."""
    jetstream = client.jetstream(timeout=FETCH_SECONDS)
    try:
        left = (await jetstream.stream_info(stream)).state.messages
    except NotFoundError:
        return ()
    if left == 0:
        return ()
    unacked = ConsumerConfig(ack_policy=AckPolicy.NONE)
    pull = await jetstream.pull_subscribe(">", stream=stream, config=unacked)
    found: list[Stored] = []
    while len(found) < left:
        messages = await _fetch(pull, min(BATCH, left - len(found)))
        found += [_stored(message) for message in messages]
    return found


async def _fetch(pull: JetStreamContext.PullSubscription, count: int) -> Sequence[Msg]:
    """Fetch; in a cluster a new consumer has nobody who leads it for a moment."""
    async with asyncio.timeout(FETCH_SECONDS):
        while True:
            try:
                return await pull.fetch(count, timeout=FETCH_SECONDS)
            except ServiceUnavailableError:
                await asyncio.sleep(NOBODY_SECONDS)


def _stored(message: Msg) -> Stored:
    try:
        document = json.loads(message.data) if message.data else None
    except ValueError:
        document = None
    at_ns = round(message.metadata.timestamp.timestamp() * 1e6) * 1000
    return Stored(message.subject, document, at_ns, message.metadata.sequence.stream)


def _journal_times(entries: Sequence[Stored]) -> dict[str, int]:
    """Read when each step's outcome was kept; a run's first entry names its step itself."""
    times: dict[str, int] = {}
    for entry in entries:
        run, step = entry.subject.split(".", 5)[4:]
        if isinstance(entry.document, dict):
            step = entry.document.get("step", step)
        times.setdefault(f"{run}:{step}", entry.at_ns)
    return times


def _state_values(entries: Sequence[Stored]) -> dict[str, Any]:
    """Read the bucket; its keys end in the base64url of what flows call them (docs/flows.md)."""
    import base64

    values: dict[str, Any] = {}
    for entry in entries:
        token = entry.subject.rpartition(".")[2]
        if token.startswith("x") and isinstance(entry.document, dict):
            padded = token[1:] + "=" * (-len(token[1:]) % 4)
            values[base64.urlsafe_b64decode(padded).decode()] = entry.document.get("value")
    return values


def read_book(book: Path) -> dict[str, list[Call]]:
    """Read what reached the world outside."""
    lines = [json.loads(line) for line in book.read_text().splitlines()]
    ends = {line["end"]: line for line in lines if "end" in line}
    calls: defaultdict[str, list[Call]] = defaultdict(list)
    for line in lines:
        if "call" in line:
            name = line["path"].split("/", 2)[2]
            end = ends.get(line["call"], {"status": "unanswered", "at_ns": line["at_ns"]})
            calls[name].append(
                Call(line["key"], name, line["at_ns"], str(end["status"]), end["at_ns"])
            )
        elif "mail" in line:
            name = line["subject"]
            calls[name].append(Call(line["mail"], name, line["at_ns"], "mail"))
    return dict(calls)


@dataclass(frozen=True)
class Rest:
    """What the server still has to do; nothing of it when all is quiet."""

    pending: Mapping[str, int]
    """Messages that a consumer has not handed out, by consumer."""
    unsettled: Mapping[str, int]
    """Messages handed out and not settled, by consumer."""
    work: int
    """Messages in WORK: what is due, and what waits for its time."""

    def __str__(self) -> str:
        waiting = {name: n for name, n in self.pending.items() if n}
        unsettled = {name: n for name, n in self.unsettled.items() if n}
        return f"not handed out {waiting}, not settled {unsettled}, in WORK {self.work}"

    @property
    def is_quiet(self) -> bool:
        return not (self.work or any(self.pending.values()) or any(self.unsettled.values()))


async def read_rest(client: Client) -> Rest:
    """Ask the server what is left."""
    jetstream = client.jetstream(timeout=5)
    pending, unsettled = {}, {}
    for stream in (EVENTS, WORK):
        for info in await jetstream.consumers_info(stream):
            # Only durables are the program's own; what a reader forgot is none of its business.
            if info.config.durable_name:
                pending[info.name] = info.num_pending or 0
                unsettled[info.name] = info.num_ack_pending or 0
    work = (await jetstream.stream_info(WORK)).state.messages
    return Rest(pending, unsettled, work)
