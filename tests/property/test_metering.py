"""Metering under any split, any repeats and any crash: the table is what a recount says.

In: messages of records, some stored twice; what of the windows was stored at each crash; where
the server delivers again from. Out: windows equal to those counted afresh, to the unit.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.bus.direct import StoredMessage
from app.history.metering.folding import ShardFold, ShardMessage
from app.history.metering.repeats import ShardMemory
from app.history.metering.usage import STATUSES, Usage
from app.history.metering.windows import WindowPlace, decode_window
from tests.metering.recount import nobody, recount
from tests.support.usage_records import A_TIME_MS, HOUR_MS, PagesInMemory, a_message, a_record

REMEMBERED = 12


@dataclass
class Table:
    """Windows in memory, and the writes of them that are on their way to the changelog."""

    stored: dict[WindowPlace, bytes] = field(default_factory=dict)
    memory: dict[WindowPlace, bytes] = field(default_factory=dict)
    under_way: list[tuple[WindowPlace, bytes]] = field(default_factory=list)

    async def get(self, place: WindowPlace) -> bytes | None:
        return self.memory.get(place)

    def put(self, place: WindowPlace, value: bytes) -> None:
        self.memory[place] = value
        self.under_way.append((place, value))

    def flush(self) -> None:
        self.stored.update(dict(self.under_way))
        self.under_way.clear()

    def die(self, chance: Random) -> None:
        """Of each window some first part of its writes was stored; of two windows any."""
        lost: set[WindowPlace] = set()
        for place, value in self.under_way:
            if place not in lost and chance.random() < 0.5:
                self.stored[place] = value
            else:
                lost.add(place)
        self.under_way.clear()
        self.memory = dict(self.stored)


def a_stream(chance: Random, count: int) -> list[StoredMessage]:
    """Messages of one flow each; some records come again, some in another hour than before."""
    records: list[dict[str, Any]] = []
    stream = []
    sequence = 0
    for _ in range(count):
        tenant, flow = chance.choice([("acme", "orders"), ("acme", "a/b"), ("zeta", "orders")])
        mine = []
        for _ in range(chance.randint(1, 4)):
            again = [one for one in records if (one["tenant"], one["flow"]) == (tenant, flow)]
            if again and chance.random() < 0.3:
                record = dict(chance.choice(again))
                if chance.random() < 0.3:
                    record["finished_ms"] += HOUR_MS
            else:
                record = a_record(
                    f"r{len(records)}",
                    tenant=tenant,
                    flow=flow,
                    status=chance.choice(STATUSES),
                    finished_ms=A_TIME_MS + chance.randrange(3 * HOUR_MS),
                    usage={"events": 1, "operations": chance.randrange(9), "bytes": 3},
                )
            records.append(record)
            mine.append(record)
        sequence += chance.choice([1, 1, 1, 4])
        stream.append(a_message(sequence, mine))
    return stream


async def count_with_crashes(
    stream: Sequence[StoredMessage], chance: Random, crashes: int
) -> dict[WindowPlace, Usage]:
    table = Table()
    floor = 0  # how many messages are acknowledged
    pages = PagesInMemory(stream)
    for life in range(crashes + 1):
        fold = ShardFold(ShardMemory(pages, REMEMBERED), table, nobody)
        at = floor
        until = len(stream) if life == crashes else chance.randint(floor, len(stream))
        while at < until:
            for number in range(at, min(at + chance.randint(1, 5), until)):
                message = stream[number]
                await fold.count(ShardMessage(0, message.sequence, message.subject, message.data))
                at = number + 1
            if chance.random() < 0.6:
                table.flush()
                floor = at if chance.random() < 0.7 else floor
            if chance.random() < 0.1:
                at = floor  # the same process is told all over again
        if life < crashes:
            table.die(chance)
            # The server itself forgets acknowledgements when it is killed.
            floor = max(0, floor - chance.choice([0, 0, 3]))
    table.flush()
    return {place: decode_window(value).usage for place, value in table.stored.items()}


@settings(max_examples=150, deadline=None)
@given(st.integers(), st.integers(1, 25), st.integers(0, 5))
def test_windows_are_what_a_recount_says(seed: int, messages: int, crashes: int) -> None:
    chance = Random(seed)  # noqa: S311 - a story told again by its seed
    stream = a_stream(chance, messages)
    found = asyncio.run(count_with_crashes(stream, chance, crashes))
    assert found == asyncio.run(recount(PagesInMemory(stream), REMEMBERED))


@settings(max_examples=50, deadline=None)
@given(st.integers())
def test_a_recount_is_a_sum_over_runs(seed: int) -> None:
    stream = a_stream(Random(seed), 20)  # noqa: S311 - see above
    windows = asyncio.run(recount(PagesInMemory(stream), 1000))
    runs = {
        (each.subject, run)
        for each in stream
        for run in re.findall(rb'"run_id":"(r\d+)"', each.data)
    }
    assert sum(usage.runs for usage in windows.values()) == len(runs)
