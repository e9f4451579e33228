"""Arrivals: what comes from a lane's stream becomes tickets.

In: deliveries. Out: hands with tickets, their keys evaluated, their past recalled. A run whose flow
is gone goes to the dead letters; one whose key cannot be evaluated gets a verdict.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from actors.errors import PermanentError, UnavailableError
from actors.flows.control import ControlPlan
from actors.lanes.hand import Hand, has_begun
from actors.lanes.keys import keys_of
from actors.lanes.ports import LaneFlow, LanePorts
from actors.lanes.ticket import NO_KEYS, Ticket
from actors.nodes.scope import build_scope
from actors.outcomes import Failed, RunError, Settlement
from actors.ports import Continuation, DeadLetter, Delivery


@dataclass(slots=True)
class Arrived:
    """What has become of some deliveries."""

    hands: dict[str, Hand] = field(default_factory=dict)
    """By run."""
    failed: dict[Hand, Failed] = field(default_factory=dict)
    """Those whose key cannot be evaluated."""
    given_back: list[Delivery] = field(default_factory=list)


class Arrivals:
    """Makes tickets for one lane."""

    def __init__(self, tenant: str, ports: LanePorts) -> None:
        self._tenant = tenant
        self._ports = ports

    async def take(self, deliveries: Iterable[tuple[Delivery, Continuation]]) -> Arrived:
        """Make a hand for each delivery of a run that is not here yet."""
        arrived = Arrived()
        for delivery, waiting in deliveries:
            if waiting.run_id in arrived.hands:
                arrived.hands[waiting.run_id].join(delivery, waiting)
                continue
            try:
                found = await self._ports.flows.find(waiting)
                if isinstance(found, RunError):
                    await park(self._tenant, self._ports, waiting, found)
                    delivery.settle(Settlement.ACK)
                    continue
            except UnavailableError:
                delivery.settle(Settlement.NAK)
                arrived.given_back.append(delivery)
                continue
            hand = Hand(self._ticket(delivery, waiting, found), waiting, [delivery])
            arrived.hands[waiting.run_id] = hand
            failure = self._set_keys(hand, found)
            if failure is not None:
                arrived.failed[hand] = failure
        return arrived

    async def judge_again(self, hand: Hand) -> Failed | None:
        """Read a run's rules and keys anew: the flow, or the lane's worker, has changed."""
        try:
            found = await self._ports.flows.find(hand.front)
        except UnavailableError:
            return None
        if isinstance(found, RunError):
            return None  # its executor will tell, when its turn comes
        hand.ticket.plan = found.control
        return self._set_keys(hand, found)

    def _ticket(self, delivery: Delivery, waiting: Continuation, found: LaneFlow) -> Ticket:
        is_begun = has_begun(waiting)
        return Ticket(
            run_id=waiting.run_id,
            event_id=waiting.event.id,
            flow=waiting.flow,
            plan=found.control,
            sequence=delivery.sequence,
            arrived_ms=self._ports.clock.now_ms(),
            trigger=waiting.trigger,
            event_bytes=_event_bytes(waiting, found.control),
            members=tuple(event.id for event in waiting.events),
            is_judged=is_begun or waiting.round > 0 or bool(waiting.events),
            has_begun=is_begun,
            is_repeated=delivery.num_delivered > 1,
            is_planned=waiting.round > 0,
        )

    def _set_keys(self, hand: Hand, found: LaneFlow) -> Failed | None:
        event, flow = hand.front.event, found.flow
        scope = build_scope(
            event,
            env=self._ports.env,
            tenant=self._tenant,
            now_seconds=self._ports.clock.now_ms() // 1000,
            variables=flow.variables,
        )
        hand.ticket.keys = NO_KEYS
        try:
            hand.ticket.keys = keys_of(flow.name, found.control, scope)
        except PermanentError as error:
            if not hand.ticket.has_begun:
                return Failed(RunError(error.reason, None, str(error)))
        return None


async def park(tenant: str, ports: LanePorts, waiting: Continuation, error: RunError) -> None:
    """Keep a run that nobody can run any more among the dead letters. UnavailableError."""
    letter = DeadLetter(
        tenant=tenant,
        reason=error.code,
        error=error,
        attempts=waiting.attempt,
        letter_id=waiting.run_id,
        event=waiting.event,
        flow=waiting.flow,
        trigger=waiting.trigger,
        failed_ms=ports.clock.now_ms(),
        parent_run_id=waiting.parent_run_id,
        hops=waiting.hops,
        events=waiting.events,
    )
    await ports.dead_letters.park(letter)


def _event_bytes(waiting: Continuation, plan: ControlPlan) -> int:
    if plan.batch is None or waiting.events:
        return 0
    return len(json.dumps(waiting.event.as_mapping(), ensure_ascii=False).encode())
