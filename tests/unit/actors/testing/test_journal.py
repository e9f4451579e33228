"""What the journal's twin can that a real one cannot: be away, and count seconds strictly."""

import pytest

from actors.errors import UnavailableError
from actors.ports import JournalEntry
from actors.testing.journal import MemoryJournal


async def test_away_bus_is_unavailable() -> None:
    journal = MemoryJournal()
    journal.is_available = False
    with pytest.raises(UnavailableError):
        await journal.read("acme", "r1")
    with pytest.raises(UnavailableError):
        await journal.write("acme", "r1", JournalEntry("a:0", 1), ttl_seconds=60)
