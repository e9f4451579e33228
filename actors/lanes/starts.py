"""Starts: who of those that are ready begins now (concurrency, throttle).

In: ready runs in their order. Out: those that begin, and those that are put off. Of one key the
first goes first: what a key holds back holds back all that come after it under the same key.
"""

from bisect import insort
from typing import Final

from actors.flows.control import RateRule
from actors.lanes.paces import Paces
from actors.lanes.ticket import Begin, Decision, PutOff, Stage, Ticket

HOLD_MS: Final = 2_000
"""What a throttle delays by less waits in memory; what waits longer goes back to the lane."""

AHEAD_MS: Final = 500
"""How much before its time it comes back: a schedule fires up to 260 ms late."""


class Starts:
    """The runs that are ready, and how many of each key are worked on."""

    def __init__(self, paces: Paces) -> None:
        self._paces = paces
        self._ready: list[Ticket] = []
        self._working: dict[str, int] = {}
        self._elsewhere = 0
        self.next_due_ms: int | None = None

    @property
    def ready(self) -> tuple[Ticket, ...]:
        """Those that wait for room or time."""
        return tuple(self._ready)

    def add(self, ticket: Ticket) -> None:
        """Let it begin as soon as it may."""
        ticket.stage = Stage.READY
        insort(self._ready, ticket, key=lambda one: one.sequence)

    def remove(self, ticket: Ticket) -> None:
        """Forget one that is ready."""
        if ticket in self._ready:
            self._ready.remove(ticket)

    def occupy(self, ticket: Ticket) -> None:
        """Count one that is worked on."""
        ticket.stage = Stage.WORKING
        key = ticket.keys.get("concurrency")
        if key is not None:
            self._working[key] = self._working.get(key, 0) + 1

    def release(self, ticket: Ticket) -> None:
        """Count it no longer."""
        key = ticket.keys.get("concurrency")
        if key is None:
            return
        left = self._working.get(key, 0) - 1
        if left > 0:
            self._working[key] = left
        else:
            self._working.pop(key, None)

    def decide(self, now_ms: int, *, elsewhere: int = 0) -> list[Decision]:
        """Let begin who may. ``elsewhere``: what others may be working on, whatever its key."""
        self.next_due_ms, self._elsewhere = None, elsewhere
        decided: list[Decision] = []
        held_back: set[str] = set()
        for ticket in self.ready:
            if self._is_held_back(ticket, held_back, now_ms):
                put_off = self._put_off(ticket, now_ms)
                decided += [] if put_off is None else [put_off]
                continue
            self._ready.remove(ticket)
            self.occupy(ticket)
            decided.append(Begin(ticket))
        return decided

    # ── What holds back ──────────────────────────────────────────────────────────────────────

    def _is_held_back(self, ticket: Ticket, held_back: set[str], now_ms: int) -> bool:
        if ticket.not_before_ms > now_ms:
            self._look_at(ticket.not_before_ms)
            return True
        if self._has_no_room(ticket, held_back):
            return True
        rule, key = _throttle_of(ticket)
        if rule is None:
            return False
        earliest_ms = self._paces.earliest_ms(key, rule, now_ms)
        if key in held_back or earliest_ms > now_ms:
            held_back.add(key)
            self._look_at(earliest_ms)
            return True
        self._paces.take(key, rule, now_ms)
        return False

    def _has_no_room(self, ticket: Ticket, held_back: set[str]) -> bool:
        concurrency, key = ticket.plan.concurrency, ticket.keys.get("concurrency")
        if concurrency is None or key is None:
            return False
        if key in held_back or self._working.get(key, 0) + self._elsewhere >= concurrency.limit:
            held_back.add(key)
            return True
        return False

    def _put_off(self, ticket: Ticket, now_ms: int) -> PutOff | None:
        """Send it back to the lane, if the throttle would let it wait here for long."""
        rule, key = _throttle_of(ticket)
        if rule is None or not ticket.may_move or ticket.not_before_ms > now_ms:
            return None
        earliest_ms = self._paces.earliest_ms(key, rule, now_ms)
        if earliest_ms <= now_ms or (ticket.is_planned and earliest_ms <= now_ms + HOLD_MS):
            return None
        ticket.is_planned = True
        planned_ms = self._paces.plan(key, rule, now_ms)
        if planned_ms <= now_ms + HOLD_MS:
            return None
        self._ready.remove(ticket)
        return PutOff(ticket, planned_ms - AHEAD_MS)

    def _look_at(self, due_ms: int) -> None:
        self.next_due_ms = due_ms if self.next_due_ms is None else min(self.next_due_ms, due_ms)


def _throttle_of(ticket: Ticket) -> tuple[RateRule | None, str]:
    """Give the rule under which it may begin; a run that has begun goes on unthrottled."""
    if ticket.has_begun:
        return None, ""
    return ticket.plan.throttle, ticket.keys.get("throttle", "")
