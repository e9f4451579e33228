"""The Journal port means the same in memory and on a real stream."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.ports import JOURNAL_VALUE_BYTES_MAX, Journal, JournalEntry
from actors.testing.journal import MemoryJournal
from tests.support.journals import a_journal

TTL = 60


@pytest.fixture(params=["memory", "nats"])
async def journal(request: pytest.FixtureRequest, fresh_env: str) -> AsyncIterator[Journal]:
    if request.param == "memory":
        yield MemoryJournal()
        return
    async with a_journal(request.getfixturevalue("nats_server"), fresh_env) as rig:
        yield rig.journal


async def test_fresh_run_has_no_entries(journal: Journal) -> None:
    assert list(await journal.read("acme", "r1")) == []


async def test_entries_come_back_in_the_order_written(journal: Journal) -> None:
    entries = [JournalEntry(step, value) for step, value in (("b:0", 1), ("a:0", None), ("a:1", 2))]
    for entry in entries:
        assert await journal.write("acme", "r1", entry, ttl_seconds=TTL)
    assert list(await journal.read("acme", "r1")) == entries


async def test_runs_and_tenants_do_not_share_entries(journal: Journal) -> None:
    places = [("acme", "r1"), ("acme", "r2"), ("acme", "r1-2"), ("acme-2", "r1")]
    for number, (tenant, run_id) in enumerate(places):
        entry = JournalEntry("a:0", number)
        assert await journal.write(tenant, run_id, entry, ttl_seconds=TTL)
    for number, (tenant, run_id) in enumerate(places):
        assert list(await journal.read(tenant, run_id)) == [JournalEntry("a:0", number)]


async def test_second_write_of_a_step_is_refused_and_the_first_stays(journal: Journal) -> None:
    assert await journal.write("acme", "r1", JournalEntry("a:0", 1), ttl_seconds=TTL)
    assert not await journal.write("acme", "r1", JournalEntry("a:0", 2), ttl_seconds=TTL)
    assert not await journal.write("acme", "r1", JournalEntry("a:0", 1), ttl_seconds=TTL)
    assert list(await journal.read("acme", "r1")) == [JournalEntry("a:0", 1)]


async def test_of_many_writers_of_a_step_one_has_it(journal: Journal) -> None:
    outcomes = await asyncio.gather(
        *(
            journal.write("acme", "r1", JournalEntry("a:0", number), ttl_seconds=TTL)
            for number in range(20)
        )
    )
    [winner] = [number for number, is_ours in enumerate(outcomes) if is_ours]
    assert list(await journal.read("acme", "r1")) == [JournalEntry("a:0", winner)]


@pytest.mark.parametrize(
    "step",
    [
        *("a:0", "call/inner/step:12", "a.b:0", "*:0", ">", "a b:0", "ü€😀:0", "%2E", "a%3A0"),
        *("$x", "~", "a\r\nPUB x 0\r\n", "\x00", "A:0", "x" * 640),
    ],
    ids=lambda step: repr(step)[:20],
)
async def test_step_is_any_name(journal: Journal, step: str) -> None:
    assert await journal.write("acme", "r1", JournalEntry(step, "mine"), ttl_seconds=TTL)
    assert await journal.write("acme", "r1", JournalEntry("other", 1), ttl_seconds=TTL)
    assert not await journal.write("acme", "r1", JournalEntry(step, 2), ttl_seconds=TTL)
    [first, second] = await journal.read("acme", "r1")
    assert (first, second.step) == (JournalEntry(step, "mine"), "other")


@pytest.mark.parametrize(
    "value",
    [
        *(None, 0, 2**60 + 1, 0.5, "", "ü€😀\x00\n", [], {}, {"a": [1, {"b": None}]}),
        "x" * (JOURNAL_VALUE_BYTES_MAX - 2),
    ],
    ids=lambda value: repr(value)[:20],
)
async def test_value_reads_back_exactly(journal: Journal, value: Any) -> None:
    assert await journal.write("acme", "r1", JournalEntry("a:0", value), ttl_seconds=TTL)
    [entry] = await journal.read("acme", "r1")
    assert entry.value == value
    assert type(entry.value) is type(value)


async def test_lifetime_is_whole_seconds_from_one(journal: Journal) -> None:
    with pytest.raises(ValueError, match="a second at least"):
        await journal.write("acme", "r1", JournalEntry("a:0", 1), ttl_seconds=0)
    assert await journal.write("acme", "r1", JournalEntry("a:0", 1), ttl_seconds=1)
