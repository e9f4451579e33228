"""Debounce: the last of several events runs, once no other has come for a while.

In: runs of a key as they come. Out: those that came too late or were overtaken, and those whose
time has come.
"""

from dataclasses import dataclass

from actors.lanes.ticket import Stage, Ticket


@dataclass(slots=True)
class _Waiting:
    ticket: Ticket
    due_ms: int


class QuietBook:
    """For each key the latest run, and when it may go on."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting] = {}

    @property
    def next_due_ms(self) -> int | None:
        """When the first of them may go on."""
        return min((one.due_ms for one in self._waiting.values()), default=None)

    def offer(self, ticket: Ticket) -> Ticket | None:
        """Let it wait, and give the one that it takes the place of: the earlier one of the two."""
        key = ticket.keys["debounce"]
        last = self._waiting.get(key)
        if last is not None and last.ticket.sequence > ticket.sequence:
            return ticket
        ticket.stage = Stage.QUIET
        first = ticket if last is None else last.ticket
        ticket.waits_since_ms = _since_ms(first)
        self._waiting[key] = _Waiting(ticket, _due_ms(ticket))
        return None if last is None else last.ticket

    def take_due(self, now_ms: int) -> list[Ticket]:
        """Give those whose time has come, first come first."""
        due = [key for key, one in self._waiting.items() if one.due_ms <= now_ms]
        taken = [self._waiting.pop(key).ticket for key in due]
        return sorted(taken, key=lambda ticket: ticket.sequence)

    def hurry(self) -> None:
        """Let the one that has waited longest go on: the lane is full."""
        if self._waiting:
            min(self._waiting.values(), key=lambda one: _since_ms(one.ticket)).due_ms = 0

    def remove(self, ticket: Ticket) -> None:
        """Forget it."""
        key = ticket.keys.get("debounce", "")
        if key in self._waiting and self._waiting[key].ticket is ticket:
            del self._waiting[key]


def _due_ms(ticket: Ticket) -> int:
    rule = ticket.plan.debounce
    if rule is None:
        return 0
    due_ms = ticket.arrived_ms + rule.period_ms
    if rule.max_wait_ms is None:
        return due_ms
    return min(due_ms, _since_ms(ticket) + rule.max_wait_ms)


def _since_ms(ticket: Ticket) -> int:
    return ticket.arrived_ms if ticket.waits_since_ms is None else ticket.waits_since_ms
