"""The board: where every run of a lane stands, and what is to be done next.

    gate → singleton, rate limit → debounce | batch → singleton → ordered → concurrency, throttle

In: runs as they come, begin, fall asleep and end, with the time. Out: decisions, in the order they
are to be carried out. It waits for nothing and reads no clock.
"""

from bisect import insort
from dataclasses import dataclass, field
from typing import Final

from actors.lanes.gate import Gate
from actors.lanes.gathering import GatheringBook, Group
from actors.lanes.owners import Owners
from actors.lanes.paces import Paces
from actors.lanes.quiet import QuietBook
from actors.lanes.starts import Starts
from actors.lanes.ticket import (
    CancelWork,
    Decision,
    Drop,
    Form,
    Refuse,
    Stage,
    Ticket,
)
from actors.outcomes import Cancelled, Failed, Rejected

CANCEL_AGAIN_MS: Final = 250
"""A run that is on its way to its executor is in nobody's hand: it is looked for again."""

MEMBERS_MAX: Final = 50_000
"""Events of formed batches that are remembered."""

SINGLETON_SKIP: Final = "singleton skip: an earlier run of its key has not ended"
SINGLETON_CANCEL: Final = "singleton cancel: a later run of its key took its place"
DEBOUNCED: Final = "debounce: a later event of its key came"


@dataclass(slots=True)
class Leftover:
    """What one board leaves to the next."""

    members: dict[tuple[str, str], str] = field(default_factory=dict)
    """Events of formed batches, by flow and event."""
    judged: list[Ticket] = field(default_factory=list)
    decided: list[Decision] = field(default_factory=list)


class Board:
    """Decides for one lane. ``gate`` is the lane's: it outlives a board.

    ``leftover`` is of the board that this one takes the place of.
    """

    def __init__(self, gate: Gate, paces: Paces, leftover: "Leftover | None" = None) -> None:
        self._gate = gate
        self._paces = paces
        self._gated: list[Ticket] = []
        self._quiet = QuietBook()
        self._gathering = GatheringBook()
        self._single = Owners()
        self._lines = Owners()
        self._starts = Starts(paces)
        self._to_cancel: list[Ticket] = []
        before = leftover or Leftover()
        self._members, self._judged = before.members, before.judged
        self._decided = before.decided

    @property
    def leftover(self) -> "Leftover":
        """What outlives this board."""
        final: list[Decision] = [one for one in self._decided if isinstance(one, Refuse | Drop)]
        return Leftover(self._members, self._judged, final)

    # ── What happens ─────────────────────────────────────────────────────────────────────────

    def offer(self, ticket: Ticket) -> None:
        """Take a run that came."""
        if ticket.members:
            self._know_members(ticket)
        ticket.stage = Stage.GATED
        insort(self._gated, ticket, key=lambda one: one.sequence)

    def restore(self, ticket: Ticket) -> None:
        """Take one that is under way or asleep; the board is new, it is not."""
        stage = ticket.stage
        if stage is Stage.CLOSING:
            return
        for owners, rule in ((self._single, "singleton"), (self._lines, "ordered")):
            if rule in ticket.keys:
                owners.take(ticket.keys[rule], ticket)
        if stage is Stage.WORKING:
            self._starts.occupy(ticket)
            if ticket.cancelled is not None:
                self._to_cancel.append(ticket)

    def fail(self, ticket: Ticket, verdict: Failed) -> None:
        """Let a run fail before it begins."""
        self._refuse(ticket, verdict, "key")

    def sleep(self, ticket: Ticket) -> None:
        """Take note that a run goes on later; it keeps its key."""
        self._stop_working(ticket)
        ticket.stage = Stage.ASLEEP
        ticket.has_begun = ticket.is_judged = True
        if ticket.cancelled is not None:
            self._refuse(ticket, Cancelled(ticket.cancelled), "singleton")

    def wake(self, ticket: Ticket) -> None:
        """Let a run that slept go on."""
        if ticket.stage is Stage.ASLEEP:
            self._starts.add(ticket)

    def withdraw(self, ticket: Ticket, not_before_ms: int) -> None:
        """Take back one whose executor is away; it is tried again."""
        self._stop_working(ticket)
        ticket.not_before_ms = not_before_ms
        self._starts.add(ticket)

    def leave(self, ticket: Ticket) -> None:
        """Forget a run: it has ended, or left the lane. Whoever waited for its key has it now."""
        self._stop_working(ticket)
        self._stop_waiting(ticket)
        ticket.stage = Stage.NEW
        if "ordered" in ticket.keys:
            heir = self._lines.leave(ticket.keys["ordered"], ticket)
            if heir is not None and heir.stage is Stage.LINED_UP:
                self._starts.add(heir)
        if "singleton" in ticket.keys:
            heir = self._single.leave(ticket.keys["singleton"], ticket)
            if heir is not None and heir.stage is Stage.KEPT_OUT:
                self._line_up(heir)

    # ── What follows ─────────────────────────────────────────────────────────────────────────

    @property
    def next_due_ms(self) -> int | None:
        """When to decide again, if nothing happens before."""
        dues = [self._quiet.next_due_ms, self._gathering.next_due_ms, self._starts.next_due_ms]
        return min((due for due in dues if due is not None), default=None)

    @property
    def has_to_cancel(self) -> bool:
        """Whether runs under way are still to be ended: decide again soon."""
        return bool(self._to_cancel)

    def take_judged(self) -> list[Ticket]:
        """Give those that were let in since the last time."""
        judged, self._judged = self._judged, []
        return judged

    def decide(self, now_ms: int, *, is_full: bool = False) -> list[Decision]:
        """Give all that is to be done now. ``is_full``: the lane can hold no more."""
        self._pass_gate(now_ms)
        if is_full:
            self._gathering.hurry()
            self._quiet.hurry()
        for group in self._gathering.take_due(now_ms):
            self._form(group)
        for ticket in self._quiet.take_due(now_ms):
            self._let_in(ticket)
        self._decided += self._starts.decide(now_ms, elsewhere=self._gate.missing)
        self._to_cancel = [ticket for ticket in self._to_cancel if ticket.stage is Stage.WORKING]
        self._decided += [CancelWork(ticket) for ticket in self._to_cancel]
        decided, self._decided = self._decided, []
        return decided

    # ── Gate ─────────────────────────────────────────────────────────────────────────────────

    def _pass_gate(self, now_ms: int) -> None:
        waiting, self._gated = self._gated, []
        for ticket in waiting:
            if self._may_pass(ticket):
                self._judge(ticket, now_ms)
            else:
                self._gated.append(ticket)

    def _may_pass(self, ticket: Ticket) -> bool:
        plan, gate = ticket.plan, self._gate
        if not plan.is_exclusive:
            return True
        if plan.batch is not None and ticket.is_repeated and not ticket.members:
            return gate.is_clear  # it may be part of a batch that is missing here
        if plan.batch is not None and not ticket.members:
            return not gate.is_shut  # to be gathered is not to begin
        if plan.singleton is not None:
            return gate.is_clear  # a later one of its key may be under way
        return gate.is_open_for(ticket.sequence)

    # ── Rules ────────────────────────────────────────────────────────────────────────────────

    def _judge(self, ticket: Ticket, now_ms: int) -> None:
        """Let the rules speak that refuse and gather."""
        if ticket.is_judged:
            self._take_key(ticket)
        elif (ticket.flow, ticket.event_id) in self._members and ticket.is_repeated:
            self._decided.append(Drop(ticket))
        elif self._is_second(ticket):
            self._refuse(ticket, Rejected(SINGLETON_SKIP), "singleton")
        elif not self._is_in_time(ticket, now_ms):
            rule = ticket.plan.rate_limit
            limit = "" if rule is None else f" of {rule.limit} in {rule.period_ms} ms"
            self._refuse(ticket, Rejected(f"rate_limit: more than its pace{limit}"), "rate_limit")
        else:
            self._gather(ticket)

    def _is_second(self, ticket: Ticket) -> bool:
        rule = ticket.plan.singleton
        if rule is None or rule.mode == "cancel":
            return False
        return self._single.owner_of(ticket.keys["singleton"]) is not None

    def _is_in_time(self, ticket: Ticket, now_ms: int) -> bool:
        rule = ticket.plan.rate_limit
        if rule is None:
            return True
        key = ticket.keys["rate_limit"]
        if self._paces.earliest_ms(key, rule, now_ms) > now_ms:
            return False
        self._paces.take(key, rule, now_ms)
        return True

    def _gather(self, ticket: Ticket) -> None:
        if ticket.plan.debounce is not None:
            loser = self._quiet.offer(ticket)
            if loser is not None:
                self._refuse(loser, Rejected(DEBOUNCED), "debounce")
        elif ticket.plan.batch is not None and not ticket.members:
            for group in self._gathering.offer(ticket):
                self._form(group)
        else:
            self._let_in(ticket)

    def _let_in(self, ticket: Ticket) -> None:
        """Take note that it is past judgement; a repetition is not judged otherwise."""
        ticket.is_judged = True
        self._judged.append(ticket)
        self._take_key(ticket)

    def _form(self, group: Group) -> None:
        self._decided.append(Form(group))

    def _take_key(self, ticket: Ticket) -> None:
        """Let it have its key, or wait until it is free."""
        key = ticket.keys.get("singleton")
        if key is None or self._single.take(key, ticket):
            self._line_up(ticket)
            return
        ticket.stage = Stage.KEPT_OUT
        rule = ticket.plan.singleton
        if rule is None or rule.mode == "skip" or ticket.has_begun:
            return
        for other in (*self._single.heirs_of(key), self._single.owner_of(key)):
            if other is None or other is ticket:
                continue
            if other.sequence > ticket.sequence:
                self._refuse(ticket, Cancelled(SINGLETON_CANCEL), "singleton")
                return
            self._cancel(other)

    def _line_up(self, ticket: Ticket) -> None:
        key = ticket.keys.get("ordered")
        if key is None or self._lines.take(key, ticket):
            self._starts.add(ticket)
        else:
            ticket.stage = Stage.LINED_UP

    # ── Ends ─────────────────────────────────────────────────────────────────────────────────

    def _cancel(self, ticket: Ticket) -> None:
        """End a run in favour of a later one, wherever it stands."""
        if ticket.stage is Stage.CLOSING or ticket.cancelled is not None:
            return
        ticket.cancelled = SINGLETON_CANCEL
        if ticket.stage is Stage.WORKING:
            self._to_cancel.append(ticket)
        else:
            self._refuse(ticket, Cancelled(SINGLETON_CANCEL), "singleton")

    def _refuse(self, ticket: Ticket, verdict: Rejected | Cancelled | Failed, rule: str) -> None:
        self._stop_waiting(ticket)
        key = ticket.keys.get("singleton")
        if key is not None and self._single.owner_of(key) is not ticket:
            self._single.leave(key, ticket)
        ticket.stage = Stage.CLOSING
        self._decided.append(Refuse(ticket, verdict, rule))

    def _stop_working(self, ticket: Ticket) -> None:
        if ticket.stage is Stage.WORKING:
            self._starts.release(ticket)

    def _stop_waiting(self, ticket: Ticket) -> None:
        match ticket.stage:
            case Stage.GATED:
                self._gated = [one for one in self._gated if one is not ticket]
            case Stage.QUIET:
                self._quiet.remove(ticket)
            case Stage.GATHERING:
                self._gathering.remove(ticket)
            case Stage.READY:
                self._starts.remove(ticket)
            case _:
                pass
        self._decided = [
            one for one in self._decided if isinstance(one, Form) or one.ticket is not ticket
        ]

    # ── Batches ──────────────────────────────────────────────────────────────────────────────

    def _know_members(self, batch: Ticket) -> None:
        """Remember the events of a batch; those that gather again are part of it already."""
        if len(self._members) > MEMBERS_MAX:
            self._members.clear()
        ours = {(batch.flow, event_id) for event_id in batch.members}
        self._members.update(dict.fromkeys(ours, batch.run_id))
        for ticket in self._gathering.gathered():
            if (ticket.flow, ticket.event_id) in ours:
                self._gathering.remove(ticket)
                self._decided.append(Drop(ticket))
