"""The delivery router: takes a tenant's deliveries from the bus to its flows' executors.

In: deliveries, pulled. Out: run requests in the executors' mailboxes. A full mailbox stops the
pull, which is all the back-pressure there is: nothing is ever dropped. An event that no flow wants
is acked and counted, but not before it is sure that no newer deployment wants it: a consumer's
filter, which other workers share, may grow before this one has heard of the trigger. A continuation
of a flow that is gone goes to the dead letters.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Never

from actors.errors import ActorStoppedError, UnavailableError
from actors.flows.compiled import CompiledFlow, CompiledTrigger
from actors.ids import run_id
from actors.kernel.actor import Actor
from actors.kernel.ref import ActorRef
from actors.observations import DeliveryUnwanted
from actors.outcomes import RunError, Settlement
from actors.ports import (
    Clock,
    Continuation,
    DeadLetter,
    DeadLetters,
    Deliveries,
    Delivery,
    Observer,
)
from actors.runs.request import OURS_SECONDS, RunRequest, SharedDelivery, request_of
from actors.runs.shares import FairShare, FairShares
from actors.tenants.executors import Executors
from actors.tenants.routes import Routes, RoutesInForce
from actors.tenants.routing import Match

PULL_MAX: Final = 128
"""Deliveries fetched at once."""

DISPATCH_MAX: Final = 16
"""Deliveries handed on in one go."""

KEEP_ALIVE_EVERY_SECONDS: Final = 5.0
"""Well below half of the consumer's ack_wait of 30 s."""

PULL_RETRY_SECONDS: Final = 1.0

_Wanted = tuple[CompiledFlow, tuple[CompiledTrigger, ...]]

Confirm = Callable[[], Awaitable[None]]
"""Returns once all that was deployed before the call is in force here. UnavailableError: nobody can
tell now."""


async def is_the_last() -> None:
    """Confirm at once: in a world where nothing is ever deployed anew."""


@dataclass(frozen=True, slots=True)
class RouterPorts:
    """What a router needs of the world."""

    deliveries: Deliveries
    dead_letters: DeadLetters
    observer: Observer
    clock: Clock
    share: FairShare | None = None
    """The tenant's, of what the worker's tenants share; None: it is alone."""
    confirm: Confirm = is_the_last


class DeliveryRouter(Actor[Never]):
    """Pulls and dispatches for one tenant; it gets no messages."""

    def __init__(
        self,
        tenant: str,
        routes: RoutesInForce,
        ports: RouterPorts,
        executors: Executors | None = None,
        in_flight: dict[int, Delivery] | None = None,
    ) -> None:
        """``in_flight``: where others may see how much it has in hand."""
        self._tenant = tenant
        self._routes = routes
        self._executors = executors or Executors(routes)
        self._ports = ports
        self._share = ports.share or FairShares(ports.clock).of(tenant)
        self._in_flight: dict[int, Delivery] = {} if in_flight is None else in_flight
        self._in_flight.clear()  # of a router before, that is no more
        self._pulled: deque[Delivery] = deque()
        self._is_confirmed = False
        self._pulling: asyncio.Future[None] | None = None
        self._keeping: asyncio.Future[None] | None = None
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    async def on_start(self) -> None:
        """Start pulling."""
        self._pulling = self.add_task(self._pull())

    async def receive(self, message: Never) -> None:
        """Take no message: deliveries are pulled."""

    async def on_drain(self) -> None:
        """Stop pulling, then wait until everything in flight is settled."""
        await self._ports.deliveries.close()
        if self._pulling is not None:
            await asyncio.wait({self._pulling})  # it may have deliveries in its hands
        await self._is_idle.wait()

    async def on_stop(self) -> None:
        """Stop pulling and give back what no flow was told of.

        What a flow has is settled by its executor, or comes back by redelivery.
        """
        await self._ports.deliveries.close()
        while self._pulled:
            self._settle_alone(self._pulled.popleft(), Settlement.NAK)

    # ── Pull ─────────────────────────────────────────────────────────────────────────────────

    async def _pull(self) -> None:
        while True:
            try:
                deliveries = await self._share.charge(self._pull_some)
            except UnavailableError:
                await self._ports.clock.sleep(PULL_RETRY_SECONDS)
                continue
            if not deliveries:
                return
            for delivery in deliveries:
                self._in_flight[id(delivery)] = delivery
            self._pulled.extend(deliveries)
            self._is_confirmed = False
            self._is_idle.clear()
            if self._keeping is None or self._keeping.done():
                self._keeping = self.add_task(self._keep_alive())
            while self._pulled:
                await self._share.charge(self._dispatch_some)

    async def _pull_some(self) -> Sequence[Delivery]:
        return await self._ports.deliveries.pull(PULL_MAX)

    async def _dispatch_some(self) -> None:
        for _ in range(min(DISPATCH_MAX, len(self._pulled))):
            await self._dispatch(self._pulled.popleft())

    async def _keep_alive(self) -> None:
        """Keep alive what is in flight; a tenant that has nothing costs no timer."""
        clock = self._ports.clock
        while self._in_flight:
            await clock.sleep(KEEP_ALIVE_EVERY_SECONDS)
            now = clock.monotonic()
            for delivery in tuple(self._in_flight.values()):
                age = now - delivery.kept_alive_at
                # One that is older may be another worker's by now: a process that was frozen must
                # not take it for its own again.
                if KEEP_ALIVE_EVERY_SECONDS <= age <= OURS_SECONDS:
                    delivery.keep_alive()

    # ── Dispatch ─────────────────────────────────────────────────────────────────────────────

    async def _dispatch(self, delivery: Delivery) -> None:
        continuation = delivery.continuation
        if continuation is not None:
            await self._dispatch_continuation(delivery, continuation)
            return
        routes, wanted = self._find_wanted(delivery)
        if not wanted:
            try:
                await self._confirm_routes()
            except UnavailableError:
                # Given back it would come again at once, and nobody knows more then.
                self._settle_alone(delivery, Settlement.LEAVE)
                return
            routes, wanted = self._find_wanted(delivery)
        if not wanted:
            observation = DeliveryUnwanted(self._tenant, delivery.event.event_type)
            self._ports.observer.observe(observation)
            self._settle_alone(delivery, Settlement.ACK)
            return
        share = SharedDelivery(delivery, len(wanted), self._forget)
        for flow, triggers in wanted:
            request = RunRequest(
                run_id=run_id(delivery.event.id, flow.name),
                event=delivery.event,
                triggers=triggers,
                share=share,
                hops=delivery.hops,
                reply_to=delivery.reply_to,
            )
            # By the routes that chose the triggers: a newer version may not have their targets.
            await self._tell(routes.executors[flow.name], request)

    def _find_wanted(self, delivery: Delivery) -> tuple[Routes, list[_Wanted]]:
        """Give the routes in force, and by them the flows that want the event, with triggers."""
        routes, event_type = self._routes.current, delivery.event.event_type
        matches = routes.table.match(event_type)
        wanted = _in_force(matches, delivery.sequence)
        if matches and not wanted:
            # Who names its type has come since: until then it was for those who take the rest.
            wanted = _in_force(routes.table.match_defaults(event_type), delivery.sequence)
        return routes, wanted

    async def _confirm_routes(self) -> None:
        """Make sure of the routes once for all that was pulled together."""
        if not self._is_confirmed:
            await self._ports.confirm()
            self._is_confirmed = True

    async def _dispatch_continuation(self, delivery: Delivery, waiting: Continuation) -> None:
        try:
            executor = await self._executors.find(waiting)
        except UnavailableError:
            # Given back it would come again at once, and as often as the store is away.
            self._settle_alone(delivery, Settlement.LEAVE)
            return
        if isinstance(executor, RunError):
            await self._park(delivery, waiting, executor)
            return
        share = SharedDelivery(delivery, 1, self._forget)
        request = request_of(waiting, executor.flow, share)
        if request is None:
            message = f"{waiting.flow} has no trigger {waiting.trigger} any more"
            await self._park(delivery, waiting, RunError("unknown_trigger", None, message))
            return
        await self._tell(executor.ref, request)

    async def _tell(self, executor: ActorRef[RunRequest], request: RunRequest) -> None:
        try:
            await executor.tell(request)
        except ActorStoppedError:
            # The deployment changed, or the worker is going: whoever has the flow takes it.
            request.share.settle_one(Settlement.NAK)

    async def _park(self, delivery: Delivery, waiting: Continuation, error: RunError) -> None:
        letter = DeadLetter(
            tenant=self._tenant,
            reason=error.code,
            error=error,
            attempts=waiting.attempt,
            letter_id=waiting.run_id,
            event=waiting.event,
            flow=waiting.flow,
        )
        try:
            await self._ports.dead_letters.park(letter)
        except UnavailableError:
            self._settle_alone(delivery, Settlement.NAK)
        else:
            self._settle_alone(delivery, Settlement.ACK)

    def _settle_alone(self, delivery: Delivery, settlement: Settlement) -> None:
        delivery.settle(settlement)
        self._forget(delivery)

    def _forget(self, delivery: Delivery) -> None:
        self._in_flight.pop(id(delivery), None)
        if not self._in_flight:
            self._is_idle.set()


def _in_force(matches: Sequence[Match], sequence: int) -> list[_Wanted]:
    """Give the flows of which a trigger was in force when the event was stored."""
    return [
        (match.flow, triggers) for match in matches if (triggers := match.triggers_for(sequence))
    ]
