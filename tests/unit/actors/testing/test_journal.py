"""The journal's twin writes each step once."""

import pytest

from actors.errors import UnavailableError
from actors.ports import JournalEntry
from actors.testing.journal import MemoryJournal


async def test_fresh_run_has_no_entries() -> None:
    assert await MemoryJournal().read("acme", "r1") == ()


async def test_entries_come_back_in_the_order_written() -> None:
    journal = MemoryJournal()
    entries = [JournalEntry("b:0", 1), JournalEntry("a:0", None)]
    for entry in entries:
        assert await journal.write("acme", "r1", entry)
    assert list(await journal.read("acme", "r1")) == entries
    assert await journal.read("acme", "r2") == ()
    assert await journal.read("other", "r1") == ()


async def test_second_write_of_a_step_is_refused_and_the_first_stays() -> None:
    journal = MemoryJournal()
    assert await journal.write("acme", "r1", JournalEntry("a:0", 1))
    assert not await journal.write("acme", "r1", JournalEntry("a:0", 2))
    assert not await journal.write("acme", "r1", JournalEntry("a:0", 1))
    assert await journal.read("acme", "r1") == (JournalEntry("a:0", 1),)


async def test_away_bus_is_unavailable() -> None:
    journal = MemoryJournal()
    journal.is_available = False
    with pytest.raises(UnavailableError):
        await journal.read("acme", "r1")
    with pytest.raises(UnavailableError):
        await journal.write("acme", "r1", JournalEntry("a:0", 1))
