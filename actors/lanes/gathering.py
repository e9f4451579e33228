"""Batch: events of a key are gathered until there are enough, or the first has waited long enough.

In: runs of a key as they come. Out: groups, each to be one run. Events of different triggers are
never one batch: a run begins at one target. Refuses to gather more than `BATCH_BYTES_MAX`.
"""

from dataclasses import dataclass, field
from typing import Final

from actors.lanes.ticket import Stage, Ticket

BATCH_BYTES_MAX: Final = 512 * 1024
"""Of a batch's events as JSON; one event that is larger is a batch alone."""

Group = tuple[Ticket, ...]


@dataclass(slots=True)
class _Group:
    due_ms: int
    tickets: list[Ticket] = field(default_factory=list)
    event_bytes: int = 0


class GatheringBook:
    """The groups that are not complete."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, int | None], _Group] = {}

    @property
    def next_due_ms(self) -> int | None:
        """When the first group is complete, whatever its size."""
        return min((group.due_ms for group in self._groups.values()), default=None)

    def offer(self, ticket: Ticket) -> list[Group]:
        """Add it, and give the groups that are complete now."""
        rule, place = ticket.plan.batch, _place_of(ticket)
        if rule is None:
            return []
        complete: list[Group] = []
        group = self._groups.get(place)
        if group is not None and group.event_bytes + ticket.event_bytes > BATCH_BYTES_MAX:
            complete.append(self._take(place))
            group = None
        if group is None:
            group = self._groups[place] = _Group(ticket.arrived_ms + rule.max_wait_ms)
        ticket.stage = Stage.GATHERING
        group.tickets.append(ticket)
        group.event_bytes += ticket.event_bytes
        if len(group.tickets) >= rule.max_size or group.event_bytes >= BATCH_BYTES_MAX:
            complete.append(self._take(place))
        return complete

    def take_due(self, now_ms: int) -> list[Group]:
        """Give the groups whose time is over."""
        due = [place for place, group in self._groups.items() if group.due_ms <= now_ms]
        return [self._take(place) for place in due]

    def hurry(self) -> None:
        """Let the group that has waited longest be complete: the lane is full."""
        if self._groups:
            min(self._groups.values(), key=lambda group: group.due_ms).due_ms = 0

    def remove(self, ticket: Ticket) -> None:
        """Forget one that gathers."""
        place = _place_of(ticket)
        group = self._groups.get(place)
        if group is None or ticket not in group.tickets:
            return
        group.tickets.remove(ticket)
        group.event_bytes -= ticket.event_bytes
        if not group.tickets:
            del self._groups[place]

    def gathered(self) -> list[Ticket]:
        """Give all that gather."""
        return [ticket for group in self._groups.values() for ticket in group.tickets]

    def _take(self, place: tuple[str, int | None]) -> Group:
        tickets = self._groups.pop(place).tickets
        return tuple(sorted(tickets, key=lambda ticket: ticket.sequence))


def _place_of(ticket: Ticket) -> tuple[str, int | None]:
    return ticket.keys.get("batch", ""), ticket.trigger
