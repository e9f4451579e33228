"""The lane: takes the runs of flows with flow control from where they wait to their executors.

In: deliveries of one private lane. Out: run requests, each when its rules let it begin. What waits
is held unsettled and kept alive, at most `HOLD_MAX` deliveries; past that nothing is pulled, and
the lane grows in the stream. All that is decided is a matter of what is held, so that another
worker that is handed it decides alike; what is not held is stored before it counts (`memory`).

One task decides: it hears what came, what ended and what is due, asks the board, and does what the
board says.
"""

import asyncio
from collections import deque
from typing import Final, Never

from actors.errors import UnavailableError
from actors.kernel.actor import Actor
from actors.kernel.deadline import wait_done_within
from actors.lanes.arrivals import Arrivals
from actors.lanes.board import Board
from actors.lanes.endings import end_without_lane, is_heard, is_interrupted
from actors.lanes.errands import Errands, Place
from actors.lanes.hand import Hand
from actors.lanes.hands import Hands
from actors.lanes.memory import LaneMemory, needs_marks
from actors.lanes.paces import Paces
from actors.lanes.ports import LanePorts
from actors.lanes.tenure import Tenure
from actors.lanes.ticket import OPEN_STAGES, Stage
from actors.observations import LaneHeld
from actors.outcomes import Continued, Settlement
from actors.ports import Continuation, Delivery, LaneName
from actors.runs.request import OURS_SECONDS

HOLD_MAX: Final = 1_000
"""Deliveries of an exclusive lane held at once: no fewer than its consumer hands out unsettled
(`max_ack_pending`), or what another worker had could find no room here."""

SHARED_HOLD_MAX: Final = 128
"""Of a lane that all workers share: each takes little more than it can run."""

PULL_MAX: Final = 128
PULL_RETRY_SECONDS: Final = 1.0
KEEP_ALIVE_EVERY_SECONDS: Final = 5.0
CANCEL_EVERY_MS: Final = 250


class LaneActor(Actor[Never]):
    """One lane on one worker; it gets no messages."""

    def __init__(self, name: LaneName, ports: LanePorts) -> None:
        self._name = name
        self._ports = ports
        self._clock = ports.clock
        self._hold_max = HOLD_MAX if name.is_exclusive else SHARED_HOLD_MAX
        self._hands = Hands()
        self._arrived: deque[Delivery] = deque()
        self._tenure = Tenure(
            name, ports.deliveries, self._ours, clock=ports.clock, observer=ports.observer
        )
        self._gate = self._tenure.gate
        self._paces = Paces()
        self._board = Board(self._gate, self._paces)
        self._memory = LaneMemory(name.tenant, ports.leases, ports.clock)
        self._arrivals = Arrivals(name.tenant, ports)
        place = Place(name.tenant, name.lane, self._hands, ports, self._hear, self.add_task)
        self._errands = Errands(place)
        self._heard: deque[Hand] = deque()
        self._stale: list[Hand] = []
        self._revision = ports.flows.revision
        self._pulling: asyncio.Future[None] | None = None
        self._wake = asyncio.Event()
        self._has_room = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._is_leaving = self._is_gone = False
        self._is_disturbed = False
        """Something that was here comes again, or came late: what is later must wait for it."""

    async def on_start(self) -> None:
        """Start pulling, deciding, and keeping alive what is held."""
        self._pulling = self.add_task(self._pull())
        self.add_task(self._keep_alive())
        self.add_task(self._work())

    async def receive(self, message: Never) -> None:
        """Take no message: deliveries are pulled."""

    async def on_drain(self) -> None:
        """Stop pulling, give back what has not begun, and wait until the rest has ended."""
        self._is_leaving = True
        await self._ports.deliveries.close()
        self._has_room.set()
        if self._pulling is not None:
            await asyncio.wait({self._pulling})
        self._wake.set()
        await self._is_empty.wait()

    async def on_stop(self) -> None:
        """Stop pulling and give back what no executor has; what one has it settles itself."""
        self._is_gone = True
        await self._ports.deliveries.close()
        while self._heard:
            end_without_lane(self._heard.popleft())
        while self._arrived:
            self._arrived.popleft().settle(Settlement.NAK)
        for hand in self._hands:
            if not hand.is_out:
                self._give_back(hand)

    # ── Beside deciding ──────────────────────────────────────────────────────────────────────

    async def _pull(self) -> None:
        while True:
            room = self._room
            if room <= 0 and not self._is_leaving:
                self._has_room.clear()
                await self._has_room.wait()
                continue
            try:
                deliveries = await self._ports.deliveries.pull(min(PULL_MAX, max(1, room)))
            except UnavailableError:
                await self._clock.sleep(PULL_RETRY_SECONDS)
                continue
            if not deliveries:
                return
            self._tenure.heard_from()
            self._arrived.extend(deliveries)
            self._wake.set()

    async def _keep_alive(self) -> None:
        while True:
            await self._clock.sleep(KEEP_ALIVE_EVERY_SECONDS)
            self._stale = self._hands.keep_alive(self._clock.monotonic(), KEEP_ALIVE_EVERY_SECONDS)
            if self._stale:
                self._wake.set()
            self._report()

    def _hear(self, hand: Hand) -> None:
        """Take note that a run which was handed out has ended, or something was said of it."""
        if self._is_gone:
            end_without_lane(hand)
            return
        self._heard.append(hand)
        self._wake.set()

    # ── Deciding ─────────────────────────────────────────────────────────────────────────────

    async def _work(self) -> None:
        while True:
            await self._wait()
            is_lost = await self._tenure.look(is_pulling=self._room > 0)
            await self._follow()
            self._end_stale()
            self._end_heard()
            await self._take_arrived()
            if self._is_disturbed:
                self._line_up_again()
            if self._is_leaving or is_lost:
                self._give_back_idle()
            elif not self._tenure.is_held_up:
                self._wake_sleepers()
                await self._decide()
            if self._room > 0:
                self._has_room.set()

    async def _decide(self) -> None:
        now_ms = self._clock.now_ms()
        decisions = [
            *self._errands.take_late(now_ms),
            *self._board.decide(now_ms, is_full=self._room <= 0),
        ]
        judged = [ticket for ticket in self._board.take_judged() if needs_marks(ticket)]
        await self._memory.save(self._paces, judged)
        for decision in decisions:
            await self._errands.run(self._board, decision)

    async def _wait(self) -> None:
        """Wait until something happens or is due."""
        due_ms = self._next_due_ms()
        if not self._wake.is_set():
            waking = asyncio.ensure_future(self._wake.wait())
            try:
                if due_ms is None:
                    await waking
                else:
                    seconds = max(0, due_ms - self._clock.now_ms()) / 1000
                    await wait_done_within(self._clock, seconds, waking)
            finally:
                waking.cancel()
        self._wake.clear()

    def _next_due_ms(self) -> int | None:
        if self._is_leaving:
            return None
        is_busy = len(self._hands) > 0 or len(self._arrived) > 0
        look_ms = self._tenure.next_look_ms if is_busy else None
        if self._tenure.is_held_up:
            return look_ms
        dues = [
            self._board.next_due_ms,
            self._errands.next_due_ms,
            self._hands.next_wake_ms(),
            look_ms,
            self._clock.now_ms() + CANCEL_EVERY_MS if self._board.has_to_cancel else None,
        ]
        return min((due for due in dues if due is not None), default=None)

    def _wake_sleepers(self) -> None:
        """Let runs go on whose time has come, or whose continuation is here.

        They do not wait for their turn in the stream: it may be behind those that wait for them.
        """
        now_ms = self._clock.now_ms()
        for hand in self._hands:
            if hand.wake_ms is not None and hand.wake_ms <= now_ms:
                hand.wake_ms = None
                self._board.wake(hand.ticket)

    # ── What came ────────────────────────────────────────────────────────────────────────────

    async def _take_arrived(self) -> None:
        fresh: list[tuple[Delivery, Continuation]] = []
        while self._arrived:
            delivery = self._arrived.popleft()
            if not self._take_known(delivery) and delivery.continuation is not None:
                fresh.append((delivery, delivery.continuation))
        if not fresh:
            return
        arrived = await self._arrivals.take(fresh)
        for delivery in arrived.given_back:
            self._gate.expect(delivery.sequence)
        tickets = [hand.ticket for hand in arrived.hands.values()]
        await self._memory.recall_judged(tickets)
        await self._memory.recall_paces(tickets, self._paces)
        for hand in arrived.hands.values():
            self._hands.take(hand)
            if hand in arrived.failed:
                self._board.fail(hand.ticket, arrived.failed[hand])
            else:
                self._board.offer(hand.ticket)

    def _take_known(self, delivery: Delivery) -> bool:
        """Take a further delivery of a run that is here, or was."""
        waiting = delivery.continuation
        self._gate.arrive(delivery.sequence)
        if waiting is None:
            delivery.settle(Settlement.TERM)
            return True
        if self._hands.has_ended(waiting.run_id):
            delivery.settle(Settlement.ACK)
            return True
        hand = self._hands.find(waiting.run_id)
        if hand is None:
            return False
        if hand.join(delivery, waiting):
            self._is_disturbed = True
        if hand.ticket.stage is Stage.ASLEEP and not hand.is_out and hand.is_due:
            hand.wake_ms = 0
        return True

    # ── What ended ───────────────────────────────────────────────────────────────────────────

    def _end_heard(self) -> None:
        while self._heard:
            hand = self._heard.popleft()
            if self._hands.is_held(hand) and is_heard(hand):
                self._end(hand)

    def _end(self, hand: Hand) -> None:
        settlement, outcome = hand.settlement, hand.outcome
        hand.is_out, hand.settlement, hand.outcome = False, None, None
        if settlement is not None and is_interrupted(settlement):
            self._give_back(hand, settlement)
        elif isinstance(outcome, Continued):
            self._put_to_sleep(hand, outcome)
        else:
            self._hands.end(hand.ticket.run_id)
            hand.settle(Settlement.ACK)
            self._leave(hand)

    def _put_to_sleep(self, hand: Hand, outcome: Continued) -> None:
        ticket = hand.ticket
        keeps_key = ticket.keeps_key and ticket.stage is not Stage.CLOSING
        is_due = hand.is_due
        hand.settle_past(Settlement.ACK, keep_first=keeps_key)
        if keeps_key:
            if isinstance(outcome.continuation, Continuation):
                hand.come_to(outcome.continuation)
                hand.wake_ms = 0 if is_due else outcome.due_ms
            self._board.sleep(ticket)
            return
        self._board.leave(ticket)
        if not hand.deliveries:
            self._hands.leave(hand)
            return
        # Its continuation is here already.
        ticket.has_begun = ticket.is_judged = True
        ticket.sequence = hand.sequence
        self._board.offer(ticket)

    def _end_stale(self) -> None:
        """Give up what another worker may have by now; what is under way ends by itself."""
        stale, self._stale = self._stale, []
        for hand in stale:
            if self._hands.is_held(hand) and not hand.is_out:
                self._give_back(hand, Settlement.LEAVE)

    def _give_back(self, hand: Hand, settlement: Settlement = Settlement.NAK) -> None:
        """Let it come again, to whoever has the lane then; what is later waits for it."""
        if self._clock.monotonic() - hand.kept_alive_at > OURS_SECONDS:
            settlement = Settlement.LEAVE
        for delivery in hand.deliveries:
            self._gate.expect(delivery.sequence)
        self._is_disturbed = True
        hand.settle(settlement)
        self._leave(hand)

    def _give_back_idle(self) -> None:
        while self._arrived:
            self._arrived.popleft().settle(Settlement.NAK)
        for hand in self._hands:
            if not hand.is_out:
                self._give_back(hand)
        if self._is_leaving and not len(self._hands):
            self._is_empty.set()

    def _leave(self, hand: Hand) -> None:
        self._hands.leave(hand)
        self._board.leave(hand.ticket)

    # ── Beginning anew ───────────────────────────────────────────────────────────────────────

    async def _follow(self) -> None:
        """Begin anew with what is held, once the lane or its flows have changed."""
        revision = self._ports.flows.revision
        if await self._tenure.follow() or self._tenure.has_news:
            self._tenure.has_news = False
            self._paces = Paces()  # whoever had the lane may have moved them on
        elif revision == self._revision:
            return
        self._revision = revision
        await self._rebuild()

    async def _rebuild(self) -> None:
        """Judge all runs anew: their flow has changed, or what was known of their keys."""
        for hand in self._hands:
            failure = await self._arrivals.judge_again(hand)
            if failure is not None and not hand.is_out and hand.ticket.stage in OPEN_STAGES:
                self._board.fail(hand.ticket, failure)
        await self._memory.recall_paces([hand.ticket for hand in self._hands], self._paces)
        self._line_up_again()

    def _line_up_again(self) -> None:
        """Send everything that has not begun back before the gate."""
        self._is_disturbed = False
        board = Board(self._gate, self._paces, self._board.leftover)
        for hand in self._hands.in_order():
            if hand.is_out or hand.ticket.stage not in OPEN_STAGES:
                board.restore(hand.ticket)
            else:
                board.offer(hand.ticket)
        self._board = board

    def _ours(self) -> set[int]:
        return self._hands.sequences() | {delivery.sequence for delivery in self._arrived}

    @property
    def _room(self) -> int:
        return self._hold_max - self._hands.deliveries - len(self._arrived)

    def _report(self) -> None:
        out = sum(hand.is_out for hand in self._hands)
        asleep = sum(hand.ticket.stage is Stage.ASLEEP for hand in self._hands)
        waiting = len(self._hands) - out - asleep
        held = LaneHeld(
            self._name.tenant, self._name.lane, waiting, out, asleep, max(0, self._room)
        )
        self._ports.observer.observe(held)
