"""Opens the history: reads its address, brings its tables up to date.

In: ``sqlite:///path`` or ``postgresql://user:password@host/database``. Out: `HistoryStore`.
SettingsError for an address that is none, a database that was made by a newer version or lacks what
the search needs; UnavailableError when it does not answer. No text ever has the address's password.
"""

from app.history.store.store import HistoryStore


async def open_history(url: str) -> HistoryStore:
    """Open it, after migrations that two processes never run at once."""
    raise NotImplementedError(url.partition(":")[0])
