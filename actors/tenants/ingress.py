"""The ingress actor of a tenant: gives events their identity and stores them.

In: what a provider made of a verified request. Out: an acknowledgement, after JetStream stored the
event and never before. It does not wait for one publish before it begins the next.

A delivery that came before, and whose event has dead letters by now, redrives those flows before it
is acknowledged (DESIGN 3, Deduplication): senders repeat what failed. The event is stored either
way, so an acknowledgement never fails for that.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from actors.errors import UnavailableError
from actors.events import Event, check_event_type
from actors.ids import delivery_message_id
from actors.kernel.actor import Actor
from actors.kernel.ref import ActorRef, Reply
from actors.observations import EventAccepted, EventRedriven, RedriveSkipped
from actors.ports import (
    Clock,
    Envelope,
    EventPublisher,
    NormalizedEvent,
    Observer,
    PublishAck,
    Redriver,
)
from actors.tenants.routes import RoutesInForce

ACCEPT_SECONDS_MAX: Final = 15.0
"""How long a caller waits for the acknowledgement before it is told to come back."""

REDRIVE_SECONDS_MAX: Final = 3.0
"""How long a repeated delivery waits for its event's dead letters to be redriven."""

REDRIVES_MAX: Final = 256
"""Repeated deliveries whose dead letters are looked for; more of them are only acknowledged."""


@dataclass(frozen=True, slots=True)
class Accept:
    """Ask the ingress actor to store what a provider made of a request."""

    provider: str
    normalized: NormalizedEvent
    event_id: str
    reply_to: str | None
    reply: Reply[PublishAck]


class NoRedriver:
    """For worlds without dead letters."""

    async def redrive_event(self, tenant: str, event_id: str) -> int:  # noqa: ARG002
        """Find none."""
        return 0


@dataclass(frozen=True, slots=True)
class IngressPorts:
    """What an ingress actor needs of the world."""

    publisher: EventPublisher
    observer: Observer
    clock: Clock
    redriver: Redriver = field(default_factory=NoRedriver)


class IngressActor(Actor[Accept]):
    """Takes events in for one tenant."""

    def __init__(self, tenant: str, ports: IngressPorts) -> None:
        self._tenant = tenant
        self._ports = ports
        self._redrives: set[asyncio.Task[None]] = set()

    async def on_stop(self) -> None:
        """Acknowledge at once what waits for its dead letters to be redriven."""
        for task in self._redrives:
            task.cancel()

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for dead letters; who waits for the bus needs no actor for that."""
        return not self._redrives

    async def receive(self, message: Accept) -> None:
        """Store one event; the reply comes when the bus has acknowledged it."""
        try:
            event, message_id = self._identify(message)
            envelope = Envelope(self._tenant, event, message_id, message.reply_to)
            acked = self._ports.publisher.publish(envelope)
        except Exception as error:  # noqa: BLE001 - the request's edge: a bad one stops no other
            message.reply.fail(error)
            return
        acked.add_done_callback(lambda future: self._answer(message, event, future))

    def _identify(self, message: Accept) -> tuple[Event, str]:
        normalized = message.normalized
        check_event_type(normalized.event_type)
        event = Event(
            id=message.event_id,
            event_type=normalized.event_type,
            source=normalized.source,
            timestamp=self._ports.clock.now_ms(),
            payload=normalized.payload,
            metadata=normalized.metadata,
        )
        if normalized.delivery_id is None:
            return event, message.event_id
        return event, delivery_message_id(
            message.provider, event.event_type, normalized.delivery_id
        )

    def _answer(self, message: Accept, event: Event, acked: "asyncio.Future[PublishAck]") -> None:
        if acked.cancelled():
            message.reply.fail(UnavailableError("the publish was given up"))
        elif (error := acked.exception()) is not None:
            message.reply.fail(error if isinstance(error, Exception) else UnavailableError("lost"))
        else:
            ack = acked.result()
            accepted = EventAccepted(
                self._tenant, event.event_type, ack.event_id, event.source, ack.is_duplicate
            )
            self._ports.observer.observe(accepted)
            if ack.is_duplicate:
                self._redrive(message, ack)
            else:
                message.reply.answer(ack)

    # ── Repeated deliveries ──────────────────────────────────────────────────────────────────

    def _redrive(self, message: Accept, ack: PublishAck) -> None:
        if len(self._redrives) >= REDRIVES_MAX:
            self._skip_redrive(ack, "too many at once")
            message.reply.answer(ack)
            return
        task = asyncio.get_running_loop().create_task(self._redrive_event(message, ack))
        self._redrives.add(task)
        task.add_done_callback(self._redrives.discard)

    async def _redrive_event(self, message: Accept, ack: PublishAck) -> None:
        try:
            async with asyncio.timeout(REDRIVE_SECONDS_MAX):
                letters = await self._ports.redriver.redrive_event(self._tenant, ack.event_id)
            if letters:
                redriven = EventRedriven(self._tenant, ack.event_id, letters)
                self._ports.observer.observe(redriven)
        except TimeoutError:
            self._skip_redrive(ack, "no answer in time")
        except Exception as error:  # noqa: BLE001 - the request's edge: the event is stored
            self._skip_redrive(ack, str(error) or type(error).__name__)
        finally:
            message.reply.answer(ack)

    def _skip_redrive(self, ack: PublishAck, reason: str) -> None:
        self._ports.observer.observe(RedriveSkipped(self._tenant, ack.event_id, reason))


class IngressDoor:
    """The way in to one tenant, as the HTTP ingress sees it."""

    def __init__(self, ref: ActorRef[Accept], routes: RoutesInForce) -> None:
        self._ref = ref
        self._routes = routes

    def answering_flows(self, event_type: str) -> int:
        """Count the flows that take this type and may answer."""
        return self._routes.current.table.answering_flows(event_type)

    async def accept(
        self, provider: str, normalized: NormalizedEvent, *, event_id: str, reply_to: str | None
    ) -> PublishAck:
        """Store the event; returns once the bus has it.

        InvalidEventError: this is no event. MailboxFullError, ActorStoppedError,
        UnavailableError: not stored, or not known to be; the sender must repeat it.
        """
        reply: Reply[PublishAck] = Reply()
        self._ref.tell_nowait(Accept(provider, normalized, event_id, reply_to, reply))
        # A timer costs a fifth of `asyncio.timeout`, and every webhook needs one.
        late = UnavailableError("the bus did not acknowledge in time")
        timer = asyncio.get_running_loop().call_later(ACCEPT_SECONDS_MAX, reply.fail, late)
        try:
            return await reply.wait()
        finally:
            timer.cancel()
