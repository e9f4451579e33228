"""Errands: what the board decided, done.

In: decisions. Out: requests to executors, continuations back on the lane, settled deliveries. An
executor that is away is asked again; what cannot be stored is tried until it is, or until its
delivery may be another worker's.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Final

from actors.errors import ActorStoppedError, MailboxFullError, UnavailableError
from actors.ids import run_id
from actors.kernel.ref import ActorRef
from actors.lanes.arrivals import park
from actors.lanes.board import Board
from actors.lanes.hand import Hand, HeldDelivery, place_of
from actors.lanes.hands import Hands
from actors.lanes.ports import LanePorts
from actors.lanes.ticket import Begin, CancelWork, Decision, Drop, Form, PutOff, Refuse
from actors.observations import LaneBatched, LanePutOff, LaneRefused
from actors.outcomes import Cancelled, Failed, RunError, RunOutcome, Settlement
from actors.ports import Continuation
from actors.runs.journal import JournalSeat, write_cancel
from actors.runs.request import OURS_SECONDS, RunRequest, SharedDelivery, request_of

AWAY_MS: Final = 1_000
"""An executor that is away is asked again after so long."""

RETRY_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Place:
    """The lane that errands are run for."""

    tenant: str
    lane: str
    hands: Hands
    ports: LanePorts
    hear: Callable[[Hand], None]
    """Called once something was said of a hand that is out."""
    beside: Callable[[Coroutine[Any, Any, None]], object]
    """Runs work beside the lane."""


class Errands:
    """Runs the errands of one lane."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._ports = place.ports
        self._hands = place.hands
        self._refused_late: list[tuple[int, Refuse]] = []

    @property
    def next_due_ms(self) -> int | None:
        """When a verdict is to be tried again."""
        return min((due_ms for due_ms, _ in self._refused_late), default=None)

    def take_late(self, now_ms: int) -> list[Refuse]:
        """Give the verdicts that could not be handed over and are due again."""
        due = [refuse for due_ms, refuse in self._refused_late if due_ms <= now_ms]
        self._refused_late = [one for one in self._refused_late if one[0] > now_ms]
        return due

    async def run(self, board: Board, decision: Decision) -> None:
        """Carry out one decision."""
        match decision:
            case Begin(ticket):
                hand = self._hands.find(ticket.run_id)
                if hand is not None and not await self._hand_over(hand, None):
                    board.withdraw(ticket, self._ports.clock.now_ms() + AWAY_MS)
            case Refuse():
                await self._refuse(decision)
            case CancelWork(ticket):
                self._ports.runs.cancel(ticket.run_id, ticket.cancelled or "")
            case PutOff():
                await self._put_off(board, decision)
            case Form():
                await self._form(board, decision)
            case Drop(ticket):
                self._leave(board, self._hands.find(ticket.run_id))

    # ── To the executor ──────────────────────────────────────────────────────────────────────

    async def _refuse(self, decision: Refuse) -> None:
        ticket = decision.ticket
        hand = self._hands.find(ticket.run_id)
        if hand is None or hand.is_out:
            return
        is_kept = await self._is_kept(decision)
        if is_kept and await self._hand_over(hand, decision.verdict):
            observation = LaneRefused(self._place.tenant, ticket.flow, decision.rule)
            self._ports.observer.observe(observation)
        else:
            self._refused_late.append((self._ports.clock.now_ms() + AWAY_MS, decision))

    async def _is_kept(self, decision: Refuse) -> bool:
        """Keep that a sleeping run is cancelled: its continuation may wake elsewhere."""
        ticket, verdict = decision.ticket, decision.verdict
        if not ticket.has_begun or not isinstance(verdict, Cancelled):
            return True
        ports = self._ports
        seat = JournalSeat(ports.journal, ports.clock, self._place.tenant, ticket.run_id)
        try:
            await write_cancel(seat, verdict.reason)
        except UnavailableError:
            return False
        return True

    async def _hand_over(self, hand: Hand, verdict: RunOutcome | None) -> bool:
        """Hand a run to its executor; False: it is away."""
        try:
            found = await self._ports.flows.find(hand.front)
        except UnavailableError:
            return False
        if isinstance(found, RunError):
            return await self._give_up(hand, found)
        share = SharedDelivery(HeldDelivery(hand, self._place.hear), 1)
        request = request_of(hand.front, found.flow, share)
        if request is None:
            message = f"{found.flow.name} has no trigger {hand.front.trigger} any more"
            request = request_of(replace(hand.front, trigger=None), found.flow, share)
            verdict = Failed(RunError("unknown_trigger", None, message))
        if request is None:
            return False

        def on_ended(outcome: RunOutcome) -> None:
            hand.outcome = outcome
            self._place.hear(hand)

        hand.is_out, hand.ran, hand.wake_ms = True, place_of(hand.front), None
        hand.settlement = hand.outcome = None
        if self._tell(found.executor, hand, replace(request, verdict=verdict, on_ended=on_ended)):
            return True
        hand.is_out = False
        return False

    def _tell(self, executor: ActorRef[RunRequest], hand: Hand, request: RunRequest) -> bool:
        try:
            executor.tell_nowait(request)
        except MailboxFullError:
            self._place.beside(self._tell_later(executor, hand, request))
        except ActorStoppedError:
            return False
        return True

    async def _tell_later(
        self, executor: ActorRef[RunRequest], hand: Hand, request: RunRequest
    ) -> None:
        try:
            await executor.tell(request)
        except ActorStoppedError:
            hand.settlement = Settlement.NAK
            self._place.hear(hand)

    async def _give_up(self, hand: Hand, error: RunError) -> bool:
        """Park a run whose flow has gone; False: try again."""
        try:
            await park(self._place.tenant, self._ports, hand.front, error)
        except UnavailableError:
            return False
        hand.settlement, hand.is_out = Settlement.ACK, True
        self._place.hear(hand)
        return True

    # ── Back to the lane ─────────────────────────────────────────────────────────────────────

    async def _put_off(self, board: Board, decision: PutOff) -> None:
        hand = self._hands.find(decision.ticket.run_id)
        if hand is None:
            return
        waiting = replace(hand.front, round=hand.front.round + 1, due_ms=decision.due_ms)
        if await self._schedule(waiting, [hand]):
            wait_ms = decision.due_ms - self._ports.clock.now_ms()
            self._ports.observer.observe(
                LanePutOff(self._place.tenant, hand.ticket.flow, max(0, wait_ms))
            )
            self._leave(board, hand)

    async def _form(self, board: Board, decision: Form) -> None:
        found = (self._hands.find(ticket.run_id) for ticket in decision.tickets)
        hands = [hand for hand in found if hand is not None]
        if not hands:
            return
        is_stored = await self._schedule(batch_of(hands), hands)
        for hand in hands:
            if is_stored:
                self._leave(board, hand)
            else:
                board.offer(hand.ticket)
        if is_stored:
            observation = LaneBatched(self._place.tenant, hands[0].ticket.flow, len(hands))
            self._ports.observer.observe(observation)

    async def _schedule(self, waiting: Continuation, hands: list[Hand]) -> bool:
        """Store a continuation while all it stands for is ours; False: it may be no longer.

        Then nothing is said: what is too old is given up, and comes again to whoever has it.
        """
        clock = self._ports.clock
        while all(clock.monotonic() - hand.kept_alive_at <= OURS_SECONDS for hand in hands):
            try:
                await self._ports.continuations.schedule(
                    self._place.tenant, waiting, lane=self._place.lane
                )
            except UnavailableError:
                await clock.sleep(RETRY_SECONDS)
            else:
                return True
        return False

    def _leave(self, board: Board, hand: Hand | None) -> None:
        if hand is None:
            return
        hand.settle(Settlement.ACK)
        self._hands.leave(hand)
        board.leave(hand.ticket)


def batch_of(hands: list[Hand]) -> Continuation:
    """Make one run of several; the same ones are the same run, others are another."""
    first = hands[0].front
    members = ",".join(hand.front.run_id for hand in hands)
    return Continuation(
        run_id=run_id(first.event.id, first.flow, f"batch:{members}"),
        flow=first.flow,
        event=first.event,
        hops=max(hand.front.hops for hand in hands),
        trigger=first.trigger,
        events=tuple(hand.front.event for hand in hands),
    )
