"""Pull requests for any number of consumers over one shared inbox (DESIGN 3, Pulls).

In: how many messages a consumer's owner wants. Out: those messages, told apart by their ``$JS.ACK``
reply subject, to the owner's callback. Refuses nothing; a consumer that does not answer is asked
again: after a reconnect, after a missed heartbeat, after a refusal with a pause. A leader that is
killed takes all requests with it and tells nobody; the next one's election is announced.

Credit is what the server still may send for requests it holds. It is counted per consumer, since
the server serves the requests of one consumer in turn. One task looks after all pulls.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from actors.ports import Clock, Observer
from app.bus.ack_subject import AckSubject, parse_ack_subject
from app.bus.connection import Bus, Subscription
from app.bus.observations import ConsumerUnreachable
from app.bus.pinned import PINNED_EXPIRES_SECONDS, WRONG_PIN, Pin
from app.bus.wire import Received

EXPIRES_SECONDS: Final = 30
HEARTBEAT_SECONDS: Final = 10
SILENCE_SECONDS_MAX: Final = 2 * HEARTBEAT_SECONDS + 2
"""A consumer that owes messages and says nothing for this long has forgotten our requests."""
PAUSE_SECONDS: Final = 1.0
UPKEEP_SECONDS: Final = 0.5
LATE_SECONDS: Final = 2.0
"""What comes when the last upkeep was so long ago may have waited for us as long."""
DOUBT_SECONDS: Final = 2.0
"""How long after such a pause what is read may have lain there: timers may go on before reading."""
LATE_SESSION: Final = -2
"""Of a message of which nobody knows when it came: no session of the bus."""

NAK: Final = b"-NAK"
NAK_LATER: Final = b'-NAK {"delay": 1000000000}'
"""In a second: what we are handed without being pinned must not come again and again at once."""

_NANOSECONDS: Final = 1_000_000_000
_HEARTBEAT: Final = "100"
_REQUEST_OVER: Final = frozenset({"404", "408"})
_ANSWERS: Final = _REQUEST_OVER | {_HEARTBEAT, WRONG_PIN}
_NO_RESPONDERS: Final = "503"
_ELECTED: Final = "$JS.EVENT.ADVISORY.CONSUMER.LEADER_ELECTED"
_PENDING_MESSAGES: Final = "Nats-Pending-Messages"


@dataclass(frozen=True, slots=True)
class ConsumerName:
    """A durable consumer."""

    stream: str
    durable: str


@dataclass(frozen=True, slots=True)
class PulledMessage:
    """A message as it came, with what its acknowledgement subject tells."""

    subject: str
    reply: str
    data: bytes
    headers: dict[str, str] | None
    ack: AckSubject
    received_at: float
    """On the monotonic clock, in seconds."""
    session: int = 0
    """`Bus.session` it came in."""


class Pull:
    """One consumer's side of the hub. ``on_change`` is called when asking again makes sense."""

    def __init__(
        self,
        hub: "PullHub",
        consumer: ConsumerName,
        *,
        on_message: Callable[[PulledMessage], None],
        on_change: Callable[[], None],
        token: str,
        pin: Pin | None = None,
    ) -> None:
        self.consumer = consumer
        self.pin = pin
        self.on_message = on_message
        self.on_change = on_change
        self.token = token
        self.generation = 0
        self.credit = 0
        self.heard_at = float("-inf")
        """When the server last said anything, or we began to wait for it to."""
        self.answered_at = float("-inf")
        """When it last proved that it serves our requests; asking alone proves nothing."""
        self.requested_at = float("-inf")
        self.paused_until = float("-inf")
        self._hub = hub

    def request(self, count: int) -> None:
        """Ask for ``count`` more messages; while paused or cut off it asks for none."""
        self._hub.request(self, count)

    def forget_requests(self) -> None:
        """Count every request as gone; what they still bring is taken all the same."""
        self.credit = 0
        self.generation += 1


class PullHub:
    """All pulls of one connection. Make one with `PullHub.start`."""

    def __init__(self, bus: Bus, clock: Clock, observer: Observer) -> None:
        self._bus = bus
        self._clock = clock
        self._observer = observer
        self._pulls: dict[tuple[str, str], Pull] = {}
        self._by_token: dict[str, Pull] = {}
        self._opened = 0
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._elections: Subscription | None = None
        self._moving = asyncio.Lock()
        self._releases = 0
        self._releases_done = 0
        self._upkeep: asyncio.Task[None] | None = None
        self._turned_at = self._away_since = clock.monotonic()
        self._doubted_until = float("-inf")

    @classmethod
    async def start(cls, bus: Bus, clock: Clock, observer: Observer) -> "PullHub":
        """Listen, and look after pulls until `close`."""
        hub = cls(bus, clock, observer)
        hub._elections = await bus.subscribe(f"{_ELECTED}.*.*", hub._on_election)
        await hub._listen()
        bus.on_reconnect(hub._on_reconnect)
        hub._upkeep = asyncio.get_running_loop().create_task(hub._look_after())
        return hub

    @property
    def bus(self) -> Bus:
        """The connection it pulls on."""
        return self._bus

    @property
    def clock(self) -> Clock:
        """What deliveries are timed with."""
        return self._clock

    def open(
        self,
        consumer: ConsumerName,
        *,
        on_message: Callable[[PulledMessage], None],
        on_change: Callable[[], None],
        pin: Pin | None = None,
    ) -> Pull:
        """Begin to pull from a consumer; one owner per consumer and process (ValueError).

        ``pin``: the consumer serves one client at a time, and this is our memory of being the one.
        """
        key = (consumer.stream, consumer.durable)
        if key in self._pulls:
            raise ValueError(f"{consumer.stream}/{consumer.durable} is pulled from already")
        self._opened += 1
        token = f"{self._opened:x}"
        pull = Pull(
            self, consumer, on_message=on_message, on_change=on_change, token=token, pin=pin
        )
        self._pulls[key] = pull
        self._by_token[pull.token] = pull
        return pull

    async def release(self, pulls: Iterable[Pull]) -> None:
        """Stop pulling for these; what still comes for them is given back at once.

        The only way to withdraw a request is to end the interest in its inbox, so all pulls move
        to a new one; nothing that was on its way to the old one is lost.
        """
        for pull in pulls:
            self._pulls.pop((pull.consumer.stream, pull.consumer.durable), None)
            self._by_token.pop(pull.token, None)
        self._releases += 1
        mine = self._releases
        async with self._moving:
            if self._releases_done < mine:  # else a move begun after our release did it for us
                covered = self._releases
                await self._move_inbox()
                self._releases_done = covered

    async def close(self) -> None:
        """Stop pulling altogether."""
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.gather(self._upkeep, return_exceptions=True)
        self._pulls.clear()
        self._by_token.clear()
        if self._elections is not None:
            await self._bus.unsubscribe(self._elections)
        if self._subscription is not None:
            await self._bus.unsubscribe(self._subscription, drains=self._bus.is_connected)

    def request(self, pull: Pull, count: int) -> None:
        """See `Pull.request`."""
        now = self._clock.monotonic()
        if count < 1 or now < pull.paused_until or not self._bus.is_connected:
            return
        document = {"batch": count, **_terms(pull.pin)}
        consumer = pull.consumer
        was_sent = self._bus.send(
            f"$JS.API.CONSUMER.MSG.NEXT.{consumer.stream}.{consumer.durable}",
            msgspec.json.encode(document),
            reply=f"{self._inbox}.{pull.token}.{pull.generation}",
        )
        if was_sent:
            if not pull.credit:
                pull.heard_at = max(pull.heard_at, now)
            if pull.answered_at == float("-inf"):
                pull.answered_at = now  # it has from the first request on
            pull.credit += count
            pull.requested_at = now

    # ── What comes back ──────────────────────────────────────────────────────────────────────

    def _on_answer(self, message: Received) -> None:
        ack = parse_ack_subject(message.reply)
        if ack is None:
            self._on_status(message)
            return
        pull = self._pulls.get((ack.stream, ack.durable))
        if pull is None:
            self._bus.send(message.reply, NAK)
            return
        now = self._clock.monotonic()
        self._note_answer(pull, now)
        pull.credit = max(0, pull.credit - 1)
        if pull.pin is not None and not pull.pin.is_ours(message.headers):
            self._bus.send(message.reply, NAK_LATER)
            return
        pull.on_message(
            PulledMessage(
                message.subject,
                message.reply,
                message.data,
                message.headers,
                ack,
                *self._arrival(now),
            )
        )

    def _arrival(self, now: float) -> tuple[float, int]:
        """Say when a message came, and in which session.

        A process that was frozen hears what came meanwhile only now: it may have lain here since,
        and another worker may have been handed it after us.
        """
        if now - self._turned_at > LATE_SECONDS:
            return self._turned_at, LATE_SESSION
        if now < self._doubted_until:
            return self._away_since, LATE_SESSION
        return now, self._bus.session

    def _turn(self) -> float:
        """Note that the loop turns, and whether it has not for long; give the time."""
        now = self._clock.monotonic()
        if now - self._turned_at > LATE_SECONDS:
            self._away_since, self._doubted_until = self._turned_at, now + DOUBT_SECONDS
        self._turned_at = now
        return now

    def _on_status(self, message: Received) -> None:
        token, _, generation = message.subject[len(self._inbox) + 1 :].partition(".")
        pull = self._by_token.get(token)
        if pull is None or generation != str(pull.generation):
            return  # of a request already counted as gone
        pull.heard_at = self._clock.monotonic()
        headers = message.headers or {}
        status = headers.get("Status", "")
        if status in _ANSWERS:
            self._note_answer(pull, pull.heard_at)
        if status == _HEARTBEAT:
            return
        if status in _REQUEST_OVER:
            pending = headers.get(_PENDING_MESSAGES, "")
            pull.credit -= min(pull.credit, int(pending) if pending.isdigit() else pull.credit)
        elif status == WRONG_PIN and pull.pin is not None:
            pull.pin.lose()
            pull.forget_requests()
        else:
            self._on_refusal(pull, status, headers.get("Description", ""))
        pull.on_change()

    def _note_answer(self, pull: Pull, now: float) -> None:
        pull.heard_at = pull.answered_at = now
        if self._bus.doubt.is_raised:
            self._bus.doubt.heard()

    def _on_election(self, message: Received) -> None:
        """Ask a consumer again that has another leader: it knows nothing of our requests or pin."""
        stream, _, durable = message.subject[len(_ELECTED) + 1 :].partition(".")
        pull = self._pulls.get((stream, durable))
        if pull is None:
            return
        if pull.pin is not None:
            pull.pin.lose()
        pull.forget_requests()
        pull.paused_until = float("-inf")
        pull.on_change()

    def _on_refusal(self, pull: Pull, status: str, description: str) -> None:
        """No such consumer, its leader moved, too many requests: ask again after a pause."""
        if status == _NO_RESPONDERS:
            self._bus.doubt.unheard()
            description = "nobody leads it"
        pull.forget_requests()
        pull.paused_until = self._clock.monotonic() + PAUSE_SECONDS
        consumer = pull.consumer
        self._observer.observe(
            ConsumerUnreachable(consumer.stream, consumer.durable, f"{status} {description}")
        )

    # ── Upkeep ───────────────────────────────────────────────────────────────────────────────

    def _on_reconnect(self) -> None:
        for pull in list(self._pulls.values()):
            pull.forget_requests()
            pull.paused_until = float("-inf")
            if pull.answered_at > float("-inf"):
                pull.answered_at = self._clock.monotonic()  # the outage was not its silence
            pull.on_change()

    async def _look_after(self) -> None:
        while True:
            await self._clock.sleep(UPKEEP_SECONDS)
            now = self._turn()
            for pull in list(self._pulls.values()):
                if pull.credit and now - pull.heard_at > SILENCE_SECONDS_MAX:
                    self._bus.doubt.unheard()
                    pull.forget_requests()
                if not pull.credit and now >= pull.paused_until:
                    pull.on_change()
                if pull.pin is not None and pull.pin.is_due(now - pull.requested_at):
                    pull.request(1)  # for the pin's sake: nobody may want messages now

    async def _listen(self) -> None:
        self._inbox = self._bus.new_inbox()
        self._subscription = await self._bus.subscribe(self._inbox + ".*.*", self._on_answer)

    async def _move_inbox(self) -> None:
        old = self._subscription
        await self._listen()
        if old is not None:
            await self._bus.unsubscribe(old, drains=self._bus.is_connected)
        for pull in list(self._pulls.values()):
            pull.forget_requests()
            pull.on_change()


def _terms(pin: Pin | None) -> dict[str, Any]:
    """How long a request lasts, and for whom it is. What lasts shortly needs no heartbeat."""
    if pin is not None and pin.id is not None:
        return {"expires": PINNED_EXPIRES_SECONDS * _NANOSECONDS, **pin.fields()}
    return {
        "expires": EXPIRES_SECONDS * _NANOSECONDS,
        "idle_heartbeat": HEARTBEAT_SECONDS * _NANOSECONDS,
        **({} if pin is None else pin.fields()),
    }
