"""A lane's deliveries know in which term they were made, and say nothing that is another's to say."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from actors.errors import UnavailableError
from actors.events import Event
from actors.outcomes import Settlement
from actors.ports import Continuation, LaneName
from actors.testing.clock import VirtualClock
from actors.testing.dead_letters import MemoryDeadLetters
from actors.testing.observer import RecordingObserver
from app.bus.continuations import encode_continuation
from app.bus.direct import DirectReader
from app.bus.lane_deliveries import JetStreamLaneDeliveries, LaneDelivery, LanePlace
from app.bus.observations import ConsumerUnreachable
from app.bus.pinned import PIN_TTL_SECONDS, PINNED_EXPIRES_SECONDS, RENEW_SECONDS, Pin
from app.bus.pulls import NAK_LATER, UPKEEP_SECONDS, ConsumerName, PullHub
from tests.support.scripted_bus import ScriptedBus

CONSUMER = ConsumerName("WK", "lane-acme-L-orders")
SUBJECT = "greentic.work.dev.acme.lane.orders"
NEXT = "$JS.API.CONSUMER.MSG.NEXT.WK.lane-acme-L-orders"
UNPIN = "$JS.API.CONSUMER.UNPIN.WK.lane-acme-L-orders"
INFO = "$JS.API.CONSUMER.INFO.WK.lane-acme-L-orders"
SECONDS = 1_000_000_000
ACK_WAIT_SECONDS = 30


def a_continuation(number: int) -> Continuation:
    event = Event(f"e{number}", "order.created", "webhook", 1, {"n": number})
    return Continuation(f"r{number}", "orders", event)


@dataclass
class Yard:
    """A hub and one lane over a scripted bus."""

    is_exclusive: bool = True
    bus: ScriptedBus = field(default_factory=ScriptedBus)
    clock: VirtualClock = field(default_factory=VirtualClock)
    observer: RecordingObserver = field(default_factory=RecordingObserver)
    letters: MemoryDeadLetters = field(default_factory=MemoryDeadLetters)
    hub: PullHub = field(init=False)
    lane: JetStreamLaneDeliveries = field(init=False)
    delivered: int = 0

    async def open(self) -> None:
        self.hub = await PullHub.start(self.bus.as_bus(), self.clock, self.observer)
        self.bus.answers[UNPIN] = {}
        name = LaneName("acme", "orders", self.is_exclusive)
        self.lane = JetStreamLaneDeliveries(
            self.hub,
            LanePlace("dev", name, CONSUMER, ACK_WAIT_SECONDS),
            reader=DirectReader(self.bus.as_bus(), deadline_seconds=1),
            dead_letters=self.letters,
            observer=self.observer,
        )

    def requests(self) -> list[dict[str, Any]]:
        return [json.loads(sent.data) for sent in self.bus.sent if sent.subject == NEXT]

    def last_request(self) -> str:
        """The reply subject of the last request."""
        return [sent.reply for sent in self.bus.sent if sent.subject == NEXT][-1]

    def said(self) -> list[tuple[str, bytes]]:
        return [
            (sent.subject.split(".")[5], sent.data)
            for sent in self.bus.sent
            if sent.subject.startswith("$JS.ACK.")
        ]

    def bring(self, pin: str | None, data: bytes | None = None, subject: str = SUBJECT) -> None:
        self.delivered += 1
        number = self.delivered
        reply = f"$JS.ACK.WK.{CONSUMER.durable}.1.{number}.{number}.1700.0"
        data = encode_continuation(a_continuation(number)) if data is None else data
        headers = None if pin is None else {"Nats-Pin-Id": pin}
        self.bus.tell(subject, data=data, reply=reply, headers=headers)

    def refuse(self, request: str | None = None) -> None:
        headers = {"Status": "423", "Description": "Nats-Wrong-Pin-Id"}
        self.bus.tell(request or self.last_request(), headers=headers)

    async def begin(self, messages_max: int = 8) -> "asyncio.Task[list[LaneDelivery]]":
        async def pull() -> list[LaneDelivery]:
            return list(await self.lane.pull(messages_max))

        task = asyncio.create_task(pull())
        await self.clock.settle()
        return task

    async def take(self, pin: str | None = "A") -> LaneDelivery:
        """Have one delivery brought and taken."""
        task = await self.begin()
        self.bring(pin)
        [delivery] = await task
        return delivery


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    yard = Yard()
    await yard.open()
    yield yard
    await yard.hub.close()


@pytest.fixture
async def shared() -> AsyncIterator[Yard]:
    yard = Yard(is_exclusive=False)
    await yard.open()
    yield yard
    await yard.hub.close()


# ── The pin ──────────────────────────────────────────────────────────────────────────────────


def test_a_pin_names_itself_in_requests_once_it_is_known() -> None:
    pin = Pin()
    assert pin.fields() == {"group": "lane"}
    assert pin.is_ours({"Nats-Pin-Id": "A"})
    assert pin.fields() == {"group": "lane", "id": "A"}
    pin.lose()
    assert pin.fields() == {"group": "lane"}


def test_term_grows_with_each_new_pin_and_only_then() -> None:
    pin = Pin()
    terms = []
    for name in ("A", "A", "B", "B", "C"):
        assert pin.is_ours({"Nats-Pin-Id": name})
        terms.append(pin.term)
    assert terms == [1, 1, 2, 2, 3]
    pin.lose()
    pin.lose()
    assert (pin.id, pin.term) == (None, 3)
    assert not pin.is_ours({"Nats-Pin-Id": "C"}), "made before we lost it"
    assert pin.is_ours({"Nats-Pin-Id": "D"})
    assert pin.term == 4


@pytest.mark.parametrize("headers", [None, {}, {"Nats-Pin-Id": ""}])
def test_delivery_without_a_pin_is_not_ours(headers: dict[str, str] | None) -> None:
    pin = Pin()
    assert not pin.is_ours(headers)
    assert pin.term == 0


def test_pin_is_renewed_well_before_it_ends() -> None:
    assert PINNED_EXPIRES_SECONDS < RENEW_SECONDS
    assert 2 * RENEW_SECONDS <= PIN_TTL_SECONDS
    pin = Pin()
    assert not pin.is_due(1000)
    assert not pin.is_held(0)
    pin.is_ours({"Nats-Pin-Id": "A"})
    assert [pin.is_due(RENEW_SECONDS - 0.1), pin.is_due(RENEW_SECONDS)] == [False, True]
    assert [pin.is_held(PIN_TTL_SECONDS - 0.1), pin.is_held(PIN_TTL_SECONDS)] == [True, False]


# ── Asking ───────────────────────────────────────────────────────────────────────────────────


async def test_unpinned_worker_stands_in_line(yard: Yard) -> None:
    await yard.begin(8)
    [request] = yard.requests()
    assert request == {
        "batch": 8,
        "expires": 30 * SECONDS,
        "idle_heartbeat": 10 * SECONDS,
        "group": "lane",
    }


async def test_pinned_worker_names_its_pin_and_asks_for_short(yard: Yard) -> None:
    await yard.take("A")
    assert yard.lane.term == 1
    for _ in range(5):
        task = await yard.begin(8)
        yard.bring("A")
        await task
    request = yard.requests()[-1]
    assert request["id"] == "A"
    assert request["expires"] == PINNED_EXPIRES_SECONDS * SECONDS
    assert "idle_heartbeat" not in request
    assert yard.lane.term == 1


async def test_pin_is_renewed_though_nobody_pulls(yard: Yard) -> None:
    await yard.take("A")
    before = len(yard.requests())
    await yard.clock.advance(3 * PIN_TTL_SECONDS)
    renewals = yard.requests()[before:]
    assert {(one["batch"], one["id"]) for one in renewals} == {(1, "A")}
    assert len(renewals) >= 3 * PIN_TTL_SECONDS / (RENEW_SECONDS + UPKEEP_SECONDS) - 1
    yard.refuse()
    await yard.clock.advance(3 * PIN_TTL_SECONDS)
    assert len(yard.requests()) == before + len(renewals), "without a pin nothing is renewed"


async def test_lost_pin_is_forgotten_and_asked_without_at_once(yard: Yard) -> None:
    await yard.take("A")
    await yard.begin(8)
    await yard.clock.advance(RENEW_SECONDS + UPKEEP_SECONDS)
    assert yard.requests()[-1]["id"] == "A"
    old = yard.last_request()
    yard.refuse()
    await yard.clock.settle()
    assert "id" not in yard.requests()[-1]
    assert yard.requests()[-1]["batch"] == 8
    assert yard.observer.of(ConsumerUnreachable) == [], "it is no trouble"
    count = len(yard.requests())
    yard.refuse(old)  # of a request that is counted as gone
    await yard.clock.settle()
    assert len(yard.requests()) == count


async def test_next_pin_is_another_term(yard: Yard) -> None:
    lost = [yard.lane.is_lost]
    first = await yard.take("A")
    lost.append(yard.lane.is_lost)
    yard.refuse()
    lost.append(yard.lane.is_lost)
    second = await yard.take("B")
    lost.append(yard.lane.is_lost)
    assert lost == [False, False, True, False]
    assert (first.term, second.term, yard.lane.term) == (1, 2, 2)


@pytest.mark.parametrize("pin", [None, "", "A"])
async def test_delivery_that_is_not_ours_goes_back_later(yard: Yard, pin: str | None) -> None:
    await yard.take("A")
    yard.refuse()
    task = await yard.begin()
    yard.bring(pin)
    await yard.clock.settle()
    assert yard.said() == [("2", NAK_LATER)]
    assert not task.done()
    yard.bring("B")
    assert len(await task) == 1


async def test_shared_lane_knows_no_pin(shared: Yard) -> None:
    delivery = await shared.take(None)
    assert "group" not in shared.requests()[0]
    assert (delivery.term, shared.lane.term) == (0, 0)
    await shared.clock.advance(PIN_TTL_SECONDS)
    await shared.lane.close()
    assert shared.bus.asked == []


async def test_pull_asks_again_once_half_is_used(yard: Yard) -> None:
    task = await yard.begin(8)
    for _ in range(3):
        yard.bring("A")
    assert len(await task) == 3
    task = await yard.begin(8)
    assert len(yard.requests()) == 1
    yard.bring("A")
    await task
    await yard.begin(8)
    assert [one["batch"] for one in yard.requests()] == [8, 4]


async def test_pull_of_none_is_a_bug(yard: Yard) -> None:
    with pytest.raises(ValueError, match="at least one"):
        await yard.lane.pull(0)


# ── Deliveries ───────────────────────────────────────────────────────────────────────────────


async def test_delivery_tells_what_the_port_promises(yard: Yard) -> None:
    delivery = await yard.take()
    assert delivery.continuation == a_continuation(1)
    assert delivery.event == a_continuation(1).event
    assert (delivery.sequence, delivery.num_delivered, delivery.hops) == (1, 1, 0)
    assert (delivery.reply_to, delivery.may_be_repeated) == (None, True)
    assert delivery.kept_alive_at == yard.clock.monotonic()


async def test_settling_in_its_own_term_says_each_verb(yard: Yard) -> None:
    deliveries = [await yard.take() for _ in range(4)]
    verbs = (Settlement.ACK, Settlement.NAK, Settlement.TERM, Settlement.LEAVE)
    for delivery, settlement in zip(deliveries, verbs, strict=True):
        delivery.settle(settlement)
    assert yard.said() == [("1", b"+ACK"), ("2", b"-NAK"), ("3", b"+TERM")]
    with pytest.raises(ValueError, match="settled already"):
        deliveries[3].settle(Settlement.ACK)


async def test_after_the_pin_is_lost_acks_are_said_and_naks_are_not(yard: Yard) -> None:
    done, waiting = await yard.take(), await yard.take()
    yard.refuse()
    waiting.settle(Settlement.NAK)
    done.settle(Settlement.ACK)
    assert yard.said() == [("1", b"+ACK")]
    with pytest.raises(ValueError, match="settled already"):
        waiting.settle(Settlement.ACK)


async def test_delivery_of_an_earlier_term_is_not_called_back_in_the_next(yard: Yard) -> None:
    old = await yard.take("A")
    yard.refuse()
    new = await yard.take("B")
    old.settle(Settlement.NAK)
    new.settle(Settlement.NAK)
    assert yard.said() == [("2", b"-NAK")]


async def test_run_that_goes_on_keeps_its_delivery_from_the_next_worker(yard: Yard) -> None:
    running = await yard.take()
    yard.refuse()
    await yard.clock.advance(ACK_WAIT_SECONDS - 1)
    running.keep_alive()
    assert yard.said() == [("1", b"+WPI")]
    assert running.kept_alive_at == yard.clock.monotonic()


async def test_what_was_silent_too_long_is_neither_kept_nor_called_back(yard: Yard) -> None:
    one, other = await yard.take(), await yard.take()
    kept_alive_at = one.kept_alive_at
    await yard.clock.advance(ACK_WAIT_SECONDS)
    one.keep_alive()
    other.settle(Settlement.NAK)
    assert yard.said() == []
    assert one.kept_alive_at == kept_alive_at, "its run sees that it is no longer ours"


async def test_what_is_buffered_when_the_pin_is_lost_is_left(yard: Yard) -> None:
    task = await yard.begin(8)
    for _ in range(5):
        yard.bring("A")
    assert len(await task) == 5
    yard.bring("A")
    assert yard.lane.buffered == 1
    yard.refuse()
    assert yard.lane.buffered == 0
    task = await yard.begin(8)
    assert not task.done()
    yard.bring("B")
    assert [one.sequence for one in await task] == [7]
    assert yard.said() == []


async def test_what_was_buffered_too_long_comes_again_and_is_not_handed_out(yard: Yard) -> None:
    await yard.take()
    yard.bring("A")
    await yard.clock.advance(ACK_WAIT_SECONDS)
    task = await yard.begin(8)
    assert not task.done()
    yard.bring("A")
    assert [one.sequence for one in await task] == [3]
    assert yard.said() == []


async def test_pin_lost_while_something_is_parked_hands_nothing_out(yard: Yard) -> None:
    go_on = asyncio.Event()

    class SlowLetters(MemoryDeadLetters):
        async def park(self, letter: Any) -> None:
            await go_on.wait()
            await super().park(letter)

    yard.lane._parking = type(yard.lane._parking)("acme", yard.hub, SlowLetters(), yard.observer)
    task = await yard.begin(8)
    yard.bring("A")
    yard.bring("A", b"{")
    await yard.clock.settle()
    yard.refuse()
    go_on.set()
    await yard.clock.settle()
    assert not task.done()
    assert yard.said() == [("2", b"+TERM no event")]


@pytest.mark.parametrize(
    ("subject", "data"),
    [
        (SUBJECT, b"{"),
        (SUBJECT, b"{}"),
        (SUBJECT + ".more", encode_continuation(a_continuation(1))),
        ("greentic.work.dev.other.lane.orders", encode_continuation(a_continuation(1))),
    ],
)
async def test_what_is_no_continuation_of_the_lane_is_parked(
    yard: Yard, subject: str, data: bytes
) -> None:
    task = await yard.begin()
    yard.bring("A", data, subject)
    await yard.clock.settle()
    assert not task.done()
    [letter] = yard.letters.parked
    assert (letter.tenant, letter.reason, letter.raw) == ("acme", "no_event", data)
    assert yard.said() == [("1", b"+TERM no event")]


async def test_cancelled_pull_gives_back_what_it_took(yard: Yard) -> None:
    class StuckLetters(MemoryDeadLetters):
        async def park(self, _letter: object) -> None:
            await asyncio.Event().wait()

    yard.lane._parking = type(yard.lane._parking)("acme", yard.hub, StuckLetters(), yard.observer)
    task = await yard.begin()
    yard.bring("A")
    yard.bring("A", b"{")
    await yard.clock.settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert sorted(yard.said()) == [("1", b"-NAK"), ("2", b"-NAK")]


# ── Closing ──────────────────────────────────────────────────────────────────────────────────


async def test_close_frees_the_lane_and_gives_back_what_is_buffered(yard: Yard) -> None:
    held = await yard.take()
    yard.bring("A")
    waiting = await yard.begin(1)
    assert len(await waiting) == 1
    yard.bring("A")
    await yard.lane.close()
    assert yard.said() == [("3", b"-NAK")]
    assert yard.bus.asked == [UNPIN]
    held.settle(Settlement.NAK)
    assert yard.said() == [("3", b"-NAK"), ("1", b"-NAK")], "we gave the lane up ourselves"
    assert await yard.lane.pull(8) == ()
    await yard.lane.close()
    assert yard.bus.asked == [UNPIN]
    assert yard.lane.is_closed


async def test_close_takes_the_lane_from_nobody_else(yard: Yard) -> None:
    await yard.take()
    yard.bus.lose()  # nothing can be asked, so the pin may end unseen
    await yard.clock.advance(PIN_TTL_SECONDS)
    yard.bus.return_()
    yard.lane._pull.requested_at = yard.clock.monotonic() - PIN_TTL_SECONDS
    await yard.lane.close()
    assert yard.bus.asked == []


async def test_worker_that_was_never_pinned_frees_nothing(yard: Yard) -> None:
    task = await yard.begin()
    await yard.lane.close()
    assert await task == []
    assert yard.bus.asked == []


async def test_close_without_a_bus_is_no_error(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_subject: str, _callback: object) -> None:
        raise UnavailableError("away")

    with monkeypatch.context() as patch:
        patch.setattr(yard.bus, "subscribe", refuse)
        await yard.lane.close()
    assert await yard.lane.pull(1) == ()


# ── What lies on the lane ────────────────────────────────────────────────────────────────────


async def test_outstanding_without_an_answer_is_unavailable(yard: Yard) -> None:
    with pytest.raises(UnavailableError):
        await yard.lane.outstanding()


async def test_outstanding_that_is_refused_is_unavailable(yard: Yard) -> None:
    yard.bus.answers[INFO] = {"error": {"code": 400, "err_code": 10001, "description": "no"}}
    with pytest.raises(UnavailableError, match="cannot be read"):
        await yard.lane.outstanding()


async def test_where_there_is_no_consumer_nothing_is_outstanding(yard: Yard) -> None:
    yard.bus.answers[INFO] = {"error": {"code": 404, "err_code": 10014, "description": "none"}}
    assert await yard.lane.outstanding() == []
