"""Keys that belong to one run at a time (singleton, ordered).

In: runs that take a key, wait for it, leave it. Out: who has it, and who has it next: of those that
wait the one that came first.
"""

from bisect import insort

from actors.lanes.ticket import Ticket


class Owners:
    """Who has each key, and who waits for it."""

    def __init__(self) -> None:
        self._owner: dict[str, Ticket] = {}
        self._heirs: dict[str, list[Ticket]] = {}

    def owner_of(self, key: str) -> Ticket | None:
        """Give the run that has the key."""
        return self._owner.get(key)

    def heirs_of(self, key: str) -> tuple[Ticket, ...]:
        """Give those who wait for it, the first to have it first."""
        return tuple(self._heirs.get(key, ()))

    def take(self, key: str, ticket: Ticket) -> bool:
        """Take a key that is free; False: it is another's, and this one waits for it."""
        if self._owner.setdefault(key, ticket) is ticket:
            return True
        waiting = self._heirs.setdefault(key, [])
        if ticket not in waiting:
            insort(waiting, ticket, key=lambda one: one.sequence)
        return False

    def leave(self, key: str, ticket: Ticket) -> Ticket | None:
        """Give the key up, or the wish for it; give the one that has it now in its place."""
        if self._owner.get(key) is not ticket:
            self._stop_waiting(key, ticket)
            return None
        del self._owner[key]
        waiting = self._heirs.get(key)
        if not waiting:
            return None
        heir = waiting[0]
        self._stop_waiting(key, heir)
        self._owner[key] = heir
        return heir

    def _stop_waiting(self, key: str, ticket: Ticket) -> None:
        waiting = self._heirs.get(key, [])
        if ticket in waiting:
            waiting.remove(ticket)
            if not waiting:
                del self._heirs[key]
