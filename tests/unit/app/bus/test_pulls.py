"""Requests are few, bounded by what is asked, and never forgotten by either side."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from actors.errors import UnavailableError
from actors.events import Event
from actors.observations import DeliveryParked
from actors.outcomes import Settlement
from actors.ports import Continuation
from actors.testing.clock import VirtualClock
from actors.testing.dead_letters import MemoryDeadLetters
from actors.testing.observer import RecordingObserver
from app.bus.codec import encode_event
from app.bus.continuation_document import encode_continuation
from app.bus.deliveries import BusDelivery, TenantConsumers, TenantDeliveries
from app.bus.observations import ConsumerUnreachable
from app.bus.pulls import (
    DOUBT_SECONDS,
    PAUSE_SECONDS,
    SILENCE_SECONDS_MAX,
    UPKEEP_SECONDS,
    ConsumerName,
    PullHub,
)
from tests.support.scripted_bus import ScriptedBus, Sent, Told

EVENTS = ConsumerName("EV", "flows")
WORK = ConsumerName("WK", "work-acme")
NEXT = "$JS.API.CONSUMER.MSG.NEXT."
SUBJECT = "greentic.events.dev.acme.order.created"

ELECTED = "$JS.EVENT.ADVISORY.CONSUMER.LEADER_ELECTED"


def an_event(number: int = 1) -> Event:
    return Event(f"e{number}", "order.created", "webhook", 1, {"n": number})


@dataclass
class Yard:
    """A hub and a tenant's deliveries over a scripted bus."""

    bus: ScriptedBus = field(default_factory=ScriptedBus)
    clock: VirtualClock = field(default_factory=VirtualClock)
    observer: RecordingObserver = field(default_factory=RecordingObserver)
    letters: MemoryDeadLetters = field(default_factory=MemoryDeadLetters)
    hub: PullHub = field(init=False)
    deliveries: TenantDeliveries = field(init=False)
    delivered: int = 0

    async def open(self) -> None:
        self.hub = await PullHub.start(self.bus.as_bus(), self.clock, self.observer)
        self.deliveries = self.tenant(EVENTS, WORK)

    def tenant(self, events: ConsumerName, work: ConsumerName | None) -> TenantDeliveries:
        consumers = TenantConsumers("dev", "acme", events, work)
        return TenantDeliveries(
            self.hub, consumers, dead_letters=self.letters, observer=self.observer
        )

    def requests(self, consumer: ConsumerName = EVENTS) -> list[tuple[str, int]]:
        """Reply subject and batch of every request so far."""
        wanted = f"{NEXT}{consumer.stream}.{consumer.durable}"
        asked = [sent for sent in self.bus.sent if sent.subject == wanted]
        return [(sent.reply, json.loads(sent.data)["batch"]) for sent in asked]

    def said(self) -> list[tuple[str, bytes]]:
        """What was said about deliveries: (sequence token, verb)."""
        return [
            (sent.reply or sent.subject.split(".")[5], sent.data)
            for sent in self.bus.sent
            if sent.subject.startswith("$JS.ACK.")
        ]

    def bring(
        self,
        data: bytes,
        *,
        subject: str = SUBJECT,
        consumer: ConsumerName = EVENTS,
        headers: dict[str, str] | None = None,
    ) -> str:
        self.delivered += 1
        reply = f"$JS.ACK.{consumer.stream}.{consumer.durable}.1.{self.delivered}.1.1700.0"
        self.bus.tell(subject, data=data, reply=reply, headers=headers)
        return reply

    def bring_event(self, number: int = 1) -> str:
        return self.bring(encode_event(an_event(number)))

    def status(self, request: tuple[str, int], status: str, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.bus.tell(request[0], headers={"Status": status} | named)

    async def begin(self, messages_max: int = 8) -> "asyncio.Task[list[BusDelivery]]":
        async def pull() -> list[BusDelivery]:
            return list(await self.deliveries.pull(messages_max))

        task = asyncio.create_task(pull())
        await self.clock.settle()
        return task


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    yard = Yard()
    await yard.open()
    yield yard
    await yard.hub.close()


async def test_pull_asks_both_consumers_for_no_more_than_it_may_hold(yard: Yard) -> None:
    task = await yard.begin(8)
    [events], [work] = yard.requests(EVENTS), yard.requests(WORK)
    assert events[1] + work[1] == 8
    assert min(events[1], work[1]) >= 1
    yard.bring_event()
    assert [delivery.event for delivery in await task] == [an_event()]


async def test_without_a_pull_nothing_is_asked(yard: Yard) -> None:
    await yard.clock.advance(120)
    assert yard.requests() == []
    task = await yard.begin(8)
    yard.bring_event()
    await task
    before = len(yard.bus.sent)
    await yard.clock.advance(10)
    assert len(yard.bus.sent) == before


async def test_buffered_and_promised_never_exceed_what_was_asked(yard: Yard) -> None:
    received = 0
    for _ in range(20):
        task = await yard.begin(8)
        promised = sum(batch for _, batch in yard.requests()) - yard.delivered
        assert promised + yard.deliveries.buffered <= 8
        for _ in range(min(promised, 5)):
            yard.bring_event()
        received += len(await task)
    assert received == yard.delivered > 20


async def test_pull_of_one_still_hears_both_consumers(yard: Yard) -> None:
    task = await yard.begin(1)
    assert [batch for _, batch in yard.requests(EVENTS)] == [1]
    assert [batch for _, batch in yard.requests(WORK)] == [1]
    yard.bring_event(1)
    yard.bring_event(2)
    assert len(await task) == 1
    assert len(await (await yard.begin(1))) == 1


async def test_pull_of_none_is_a_bug(yard: Yard) -> None:
    with pytest.raises(ValueError, match="at least one"):
        await yard.deliveries.pull(0)


async def test_settling_says_each_verb_once(yard: Yard) -> None:
    task = await yard.begin(8)
    for number in (1, 2, 3):
        yard.bring_event(number)
    ack, nak, term = await task
    ack.settle(Settlement.ACK)
    nak.settle(Settlement.NAK)
    term.settle(Settlement.TERM)
    assert yard.said() == [("1", b"+ACK"), ("2", b"-NAK"), ("3", b"+TERM")]
    with pytest.raises(ValueError, match="settled already"):
        ack.settle(Settlement.NAK)
    assert len(yard.said()) == 3


async def test_left_delivery_is_settled_and_nothing_is_said(yard: Yard) -> None:
    task = await yard.begin(8)
    yard.bring_event()
    [delivery] = await task
    delivery.settle(Settlement.LEAVE)
    delivery.keep_alive()
    assert yard.said() == []
    with pytest.raises(ValueError, match="settled already"):
        delivery.settle(Settlement.ACK)


async def test_keep_alive_is_said_and_remembered_until_settled(yard: Yard) -> None:
    task = await yard.begin(8)
    yard.bring_event()
    [delivery] = await task
    assert delivery.kept_alive_at == 0
    await yard.clock.advance(10)
    delivery.keep_alive()
    assert delivery.kept_alive_at == 10
    yard.bus.lose()
    await yard.clock.advance(5)
    delivery.keep_alive()
    assert delivery.kept_alive_at == 10, "the bus did not hear us"
    yard.bus.return_()
    delivery.settle(Settlement.ACK)
    delivery.keep_alive()
    assert yard.said() == [("1", b"+WPI"), ("1", b"+ACK")]


async def test_headers_reach_the_delivery(yard: Yard) -> None:
    task = await yard.begin(8)
    headers = {"Greentic-Reply": "greentic.reply.i.e1", "Greentic-Hops": "4"}
    yard.bring(encode_event(an_event()), headers=headers)
    [delivery] = await task
    assert (delivery.reply_to, delivery.hops) == ("greentic.reply.i.e1", 4)
    assert (delivery.sequence, delivery.num_delivered) == (1, 1)
    assert delivery.continuation is None


async def test_continuation_comes_with_its_event(yard: Yard) -> None:
    continuation = Continuation(
        "r1", "orders", an_event(), attempt=2, hops=3, reply_to="greentic.reply.i.e1"
    )
    task = await yard.begin(8)
    yard.bring(
        encode_continuation(continuation),
        subject="greentic.work.dev.acme.run.r1",
        consumer=WORK,
        headers={"Greentic-Hops": "9"},
    )
    [delivery] = await task
    assert delivery.continuation == continuation
    assert (delivery.event, delivery.hops, delivery.reply_to) == (
        an_event(),
        3,
        "greentic.reply.i.e1",
    )


async def test_results_are_acked_unseen(yard: Yard) -> None:
    task = await yard.begin(8)
    for _ in range(6):
        yard.bring(b"not even json", subject=SUBJECT + ".result")
    await yard.clock.settle()
    assert yard.said() == [(str(number), b"+ACK") for number in range(1, 7)]
    assert not task.done()
    assert len(yard.requests()) == 2, "once its credit is used up it is asked again"
    yard.bring_event()
    assert len(await task) == 1


@pytest.mark.parametrize(
    ("subject", "data"),
    [
        (SUBJECT, b"{"),
        (SUBJECT, b"[]"),
        ("greentic.events.dev.acme.order.paid", encode_event(an_event())),
        ("greentic.events.dev.other.order.created", encode_event(an_event())),
        ("greentic.work.dev.acme.run.r1", b"{}"),
        (
            "greentic.work.dev.acme.run.r2",
            encode_continuation(Continuation("r1", "orders", an_event())),
        ),
    ],
)
async def test_message_that_is_no_event_is_parked_then_ended(
    yard: Yard, subject: str, data: bytes
) -> None:
    task = await yard.begin(8)
    yard.bring(data, subject=subject)
    await yard.clock.settle()
    assert not task.done()
    [letter] = yard.letters.parked
    assert (letter.tenant, letter.reason, letter.letter_id) == ("acme", "no_event", "EV:1")
    assert (letter.raw, letter.subject, letter.attempts) == (data, subject, 1)
    assert yard.said() == [("1", b"+TERM no event")]
    assert yard.observer.of(DeliveryParked) == [
        DeliveryParked("acme", subject, "actors.invalid_event")
    ]
    yard.bring_event(2)
    assert len(await task) == 1


async def test_message_that_cannot_be_parked_is_given_back(yard: Yard) -> None:
    yard.letters.is_available = False
    task = await yard.begin(8)
    yard.bring(b"{")
    yard.bring_event(2)
    assert len(await task) == 1
    assert yard.said() == [("1", b"-NAK")]
    assert yard.observer.of(DeliveryParked) == []


async def test_pull_cancelled_while_parking_gives_everything_back(yard: Yard) -> None:
    class SlowLetters(MemoryDeadLetters):
        async def park(self, _letter: object) -> None:
            await asyncio.Event().wait()

    yard.deliveries._parking = replace(yard.deliveries._parking, dead_letters=SlowLetters())
    task = await yard.begin(8)
    yard.bring_event(1)
    yard.bring(b"{")
    await yard.clock.settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert sorted(yard.said()) == [("1", b"-NAK"), ("2", b"-NAK")]


async def test_expired_request_is_replaced_for_what_it_did_not_bring(yard: Yard) -> None:
    await yard.begin(8)
    [request] = yard.requests()
    yard.bring(b"x", subject=SUBJECT + ".result")
    yard.status(request, "408", Nats_Pending_Messages=str(request[1] - 1))
    await yard.clock.settle()
    assert [batch for _, batch in yard.requests()] == [request[1]] * 2


async def test_heartbeat_asks_for_nothing_and_proves_life(yard: Yard) -> None:
    await yard.begin(8)
    [request] = yard.requests()
    await yard.clock.advance(SILENCE_SECONDS_MAX - 1)
    yard.status(request, "100", Description="Idle Heartbeat")
    assert yard.deliveries.last_polled_at == 0, "the other consumer may be gone"
    yard.status(yard.requests(WORK)[0], "100", Description="Idle Heartbeat")
    assert yard.deliveries.last_polled_at == SILENCE_SECONDS_MAX - 1
    await yard.clock.advance(SILENCE_SECONDS_MAX - 1)
    assert len(yard.requests()) == 1


async def test_silence_means_that_the_request_is_forgotten(yard: Yard) -> None:
    await yard.begin(8)
    await yard.clock.advance(SILENCE_SECONDS_MAX + 2 * UPKEEP_SECONDS)
    first, second = yard.requests()
    assert second[1] == first[1]
    assert second[0] != first[0]
    yard.status(first, "408", Nats_Pending_Messages="6")
    await yard.clock.settle()
    assert len(yard.requests()) == 2, "the forgotten request's end says nothing of the new one"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        pytest.param("503", "503 nobody leads it", id="503"),
        pytest.param("409", "409 Consumer Deleted", id="409"),
        pytest.param("400", "400 Consumer Deleted", id="400"),
    ],
)
async def test_refusal_is_observed_and_asked_again_after_a_pause(
    yard: Yard, status: str, reason: str
) -> None:
    await yard.begin(8)
    [request] = yard.requests()
    yard.status(request, status, Description="Consumer Deleted")
    await yard.clock.settle()
    assert len(yard.requests()) == 1
    assert yard.observer.of(ConsumerUnreachable) == [ConsumerUnreachable("EV", "flows", reason)]
    await yard.clock.advance(PAUSE_SECONDS + 2 * UPKEEP_SECONDS)
    assert len(yard.requests()) == 2


async def test_reconnect_asks_again_at_once(yard: Yard) -> None:
    await yard.begin(8)
    yard.bus.lose()
    await yard.clock.advance(3)
    assert len(yard.requests()) == 1
    yard.bus.return_()
    await yard.clock.settle()
    assert len(yard.requests()) == 2
    assert len(yard.requests(WORK)) == 2


async def test_pull_begun_during_an_outage_asks_when_it_is_over(yard: Yard) -> None:
    yard.bus.lose()
    task = await yard.begin(8)
    assert yard.requests() == []
    yard.bus.return_()
    await yard.clock.settle()
    assert len(yard.requests()) == 1
    yard.bring_event()
    assert len(await task) == 1


async def test_request_without_room_to_send_is_tried_again(yard: Yard) -> None:
    yard.bus.has_room = False
    await yard.begin(8)
    yard.bus.has_room = True
    await yard.clock.advance(2 * UPKEEP_SECONDS)
    assert len(yard.requests()) == 1


async def test_close_gives_back_what_is_buffered_and_what_still_comes(yard: Yard) -> None:
    task = await yard.begin(2)
    yard.bring_event(1)
    await task
    yard.bring_event(2)
    await yard.deliveries.close()
    assert yard.said() == [("2", b"-NAK")]
    yard.bring_event(3)
    assert yard.said() == [("2", b"-NAK"), ("3", b"-NAK")]
    assert await yard.deliveries.pull(8) == ()
    await yard.deliveries.close()


async def test_close_ends_a_waiting_pull(yard: Yard) -> None:
    task = await yard.begin(8)
    await yard.deliveries.close()
    assert await task == []


async def test_close_withdraws_requests_and_leaves_others_pulling(yard: Yard) -> None:
    other = yard.tenant(ConsumerName("OT", "flows"), None)
    waiting = asyncio.create_task(_list(other))
    await yard.begin(8)
    inbox = yard.bus.interests[-1].subject
    await yard.deliveries.close()
    await yard.clock.settle()
    assert yard.bus.ended == [(inbox, True)]
    old, new = yard.requests(ConsumerName("OT", "flows"))
    assert new[0].split(".")[:3] != old[0].split(".")[:3]
    yard.bring(encode_event(an_event()), consumer=ConsumerName("OT", "flows"))
    assert await waiting == [an_event()]


async def _list(deliveries: TenantDeliveries) -> list[Event]:
    return [delivery.event for delivery in await deliveries.pull(4)]


async def test_many_closes_at_once_share_few_moves(yard: Yard) -> None:
    others = [yard.tenant(ConsumerName(f"OT{number}", "flows"), None) for number in range(50)]
    await asyncio.gather(*(other.close() for other in others))
    assert len(yard.bus.ended) <= 2


async def test_close_without_a_bus_is_no_error(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_subject: str, _callback: object) -> None:
        raise UnavailableError("away")

    with monkeypatch.context() as patch:
        patch.setattr(yard.bus, "subscribe", refuse)
        await yard.deliveries.close()
    assert await yard.deliveries.pull(1) == ()


async def test_one_consumer_has_one_owner(yard: Yard) -> None:
    with pytest.raises(ValueError, match="already"):
        yard.tenant(EVENTS, None)


async def test_status_for_nobody_and_unknown_messages_are_harmless(yard: Yard) -> None:
    await yard.begin(8)
    sent: Sent = yard.bus.sent[0]
    yard.bus.tell(sent.reply.rsplit(".", 2)[0] + ".zz.0", headers={"Status": "408"})
    yard.bus.tell(sent.reply, headers=None)
    yard.bring(b"x", consumer=ConsumerName("XX", "flows"))
    assert yard.said() == [("1", b"-NAK")]


def elect(yard: Yard, consumer: ConsumerName) -> None:
    """Announce a consumer's new leader, as the server does."""
    subject = f"{ELECTED}.{consumer.stream}.{consumer.durable}"
    [interest] = [i for i in yard.bus.interests if i.subject == f"{ELECTED}.*.*"]
    interest.callback(Told(subject))


async def test_new_leader_is_asked_at_once_since_it_knows_no_requests(yard: Yard) -> None:
    task = await yard.begin(8)
    elect(yard, EVENTS)
    await yard.clock.settle()
    assert [batch for _, batch in yard.requests(EVENTS)] == [6, 6]
    assert len(yard.requests(WORK)) == 1, "the other consumer kept its leader"
    elect(yard, ConsumerName("STRANGER", "flows"))
    yard.bring_event()
    assert await task


async def test_new_leader_ends_the_pause_after_the_old_one_stepped_down(yard: Yard) -> None:
    task = await yard.begin(8)
    yard.status(yard.requests(EVENTS)[0], "409", Description="Leadership Change")
    await yard.clock.settle()
    assert len(yard.requests(EVENTS)) == 1
    elect(yard, EVENTS)
    await yard.clock.settle()
    assert len(yard.requests(EVENTS)) == 2
    yard.bring_event()
    assert await task


async def test_consumers_that_nobody_serves_become_doubt_of_the_server(yard: Yard) -> None:
    task = await yard.begin(8)
    yard.status(yard.requests(EVENTS)[0], "503", Description="No Responders")
    doubts = [yard.bus.doubt.is_raised]
    yard.bring_event()
    doubts.append(yard.bus.doubt.is_raised)
    assert doubts == [True, False]
    assert await task


@pytest.mark.parametrize("wakes_first", ["socket", "timers"])
async def test_what_a_frozen_process_hears_may_have_come_long_ago(
    yard: Yard, wakes_first: str
) -> None:
    pulling = asyncio.ensure_future(yard.deliveries.pull(1))
    await yard.clock.advance(5)
    if wakes_first == "timers":
        await yard.clock.jump(40)
    else:
        yard.clock._now_seconds += 40
    yard.bring(encode_event(an_event()))
    await asyncio.sleep(0)
    (delivery,) = await pulling
    assert yard.clock.monotonic() - delivery.kept_alive_at >= 40
    assert delivery.may_be_repeated


async def test_after_a_while_what_comes_is_taken_for_new_again(yard: Yard) -> None:
    pulling = asyncio.ensure_future(yard.deliveries.pull(1))
    await yard.clock.settle()
    await yard.clock.jump(40)
    await yard.clock.advance(DOUBT_SECONDS + 1)
    yard.bring(encode_event(an_event()))
    (delivery,) = await pulling
    assert delivery.kept_alive_at == yard.clock.monotonic()
