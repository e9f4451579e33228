"""One delivery, how its message is read, and where a message goes that is none.

In: a message off one of a tenant's consumers. Out: a delivery that settles itself. Refuses with
InvalidEventError what is no event, no continuation, or lies on a subject that is not its own;
`Parking` keeps those for a person to see.
"""

from dataclasses import dataclass
from typing import Final

from actors.errors import ActorsError, InvalidEventError, UnavailableError
from actors.events import Event
from actors.observations import DeliveryParked
from actors.outcomes import RunError, Settlement
from actors.ports import Clock, Continuation, DeadLetter, DeadLetters, Observer
from app.bus.codec import decode_event
from app.bus.connection import Bus
from app.bus.continuation_document import decode_continuation
from app.bus.headers import read_hops, read_reply_to
from app.bus.pulls import NAK, PulledMessage, PullHub

ACK: Final = b"+ACK"
IN_PROGRESS: Final = b"+WPI"
TERM: Final = b"+TERM"
TERM_NO_EVENT: Final = b"+TERM no event"

REASON_NO_EVENT: Final = "no_event"

_VERBS: Final = {Settlement.ACK: ACK, Settlement.NAK: NAK, Settlement.TERM: TERM}
_NO_SESSION: Final = -1


class BusDelivery:
    """One attempt of the bus to hand an event over; see `actors.ports.Delivery`."""

    __slots__ = (
        "_bus",
        "_clock",
        "_is_settled",
        "_new_in_session",
        "_reply",
        "continuation",
        "event",
        "hops",
        "kept_alive_at",
        "num_delivered",
        "reply_to",
        "sequence",
    )

    def __init__(
        self,
        message: PulledMessage,
        event: Event,
        hub: PullHub,
        continuation: Continuation | None,
        *,
        is_new: bool = False,
    ) -> None:
        self.event = event
        self.continuation = continuation
        self.sequence = message.ack.sequence
        self.num_delivered = message.ack.num_delivered
        self.kept_alive_at = message.received_at
        if continuation is None:
            self.reply_to = read_reply_to(message.headers)
            self.hops = read_hops(message.headers)
        else:
            self.reply_to = continuation.reply_to
            self.hops = continuation.hops
        self._bus: Bus = hub.bus
        self._clock: Clock = hub.clock
        self._reply = message.reply
        self._is_settled = False
        self._new_in_session = message.session if is_new else _NO_SESSION

    @property
    def may_be_repeated(self) -> bool:
        """False only where the bus can rule out that anybody was handed this before.

        True from the moment the connection is lost: a server that begins anew may have forgotten
        that we have it. So ask as late as may be.
        """
        return self._bus.session != self._new_in_session

    def settle(self, settlement: Settlement) -> None:
        """Say ack, nak or term, or leave it; never blocks. Twice is a bug and a ValueError."""
        if self._is_settled:
            raise ValueError(f"delivery {self.sequence} is settled already")
        self._is_settled = True
        if settlement is not Settlement.LEAVE:
            self._bus.send(self._reply, _VERBS[settlement])

    def keep_alive(self) -> None:
        """Say that work goes on; after `settle` it says nothing."""
        if not self._is_settled and self._bus.is_connected:
            self._bus.send(self._reply, IN_PROGRESS)
            self.kept_alive_at = self._clock.monotonic()


# ── Decoding ─────────────────────────────────────────────────────────────────────────────────


def read_event_delivery(
    message: PulledMessage, hub: PullHub, *, prefix: str, is_new: bool
) -> BusDelivery:
    """Read an event, whose type its subject spells out after ``prefix``."""
    event = decode_event(message.data)
    if prefix + event.event_type != message.subject:
        raise InvalidEventError("event_type", "is not that of the subject")
    return BusDelivery(message, event, hub, None, is_new=is_new)


def read_run_delivery(message: PulledMessage, hub: PullHub, *, prefix: str) -> BusDelivery:
    """Read a due continuation, whose run its subject names after ``prefix``."""
    continuation = decode_continuation(message.data)
    if prefix + continuation.run_id != message.subject:
        raise InvalidEventError("run_id", "is not that of the subject")
    return _continued(message, hub, continuation)


def read_lane_delivery(message: PulledMessage, hub: PullHub, *, subject: str) -> BusDelivery:
    """Read a continuation off a lane: `work_lane_subject`, one for all its runs."""
    if message.subject != subject:
        raise InvalidEventError("subject", "is not that of the lane")
    return _continued(message, hub, decode_continuation(message.data))


def _continued(message: PulledMessage, hub: PullHub, continuation: Continuation) -> BusDelivery:
    """Make a delivery of a continuation, which always may be repeated.

    WORK forgets a message once it is acked, and with it, when the server begins anew, its message
    id: a run that was started twice may come as two messages, the second of them a first delivery.
    """
    return BusDelivery(message, continuation.event, hub, continuation)


# ── Parking ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Parking:
    """Where a tenant's messages go that are no deliveries."""

    tenant: str
    hub: PullHub
    dead_letters: DeadLetters
    observer: Observer

    async def park(self, message: PulledMessage, error: ActorsError) -> None:
        """Keep it for a person to see, then end it; without the first never the second."""
        ack = message.ack
        letter = DeadLetter(
            tenant=self.tenant,
            reason=REASON_NO_EVENT,
            error=RunError(error.code, None, str(error)),
            attempts=ack.num_delivered,
            letter_id=f"{ack.stream}:{ack.sequence}",
            raw=message.data,
            subject=message.subject,
        )
        try:
            await self.dead_letters.park(letter)
        except BaseException as failure:
            self.hub.bus.send(message.reply, NAK)
            if isinstance(failure, UnavailableError):
                return
            raise
        self.hub.bus.send(message.reply, TERM_NO_EVENT)
        self.observer.observe(DeliveryParked(self.tenant, message.subject, error.code))
