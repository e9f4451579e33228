"""Continuations on the bus: what a run remembers comes back, and nothing larger or stranger."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import InvalidEventError, InvalidSubjectError
from actors.events import Event
from actors.ports import Continuation
from actors.testing.clock import VirtualClock
from app.bus import continuations
from app.bus.acked_publisher import AckedPublisher
from app.bus.codec import EVENT_BYTES_MAX
from tests.support.scripted_bus import ScriptedBus

EVENT = Event("e1", "order.created", "webhook", 5, {"total": 2**60 + 1})
PLAIN = Continuation("r1", "f", EVENT)
REPLY_TO = "greentic.reply.i1.e1"

COUNTS = st.integers(0, 2**53)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def a_batch(count: int) -> tuple[Event, ...]:
    return (EVENT, *(replace(EVENT, id=f"e{number}") for number in range(2, count + 1)))


def again(continuation: Continuation) -> Continuation:
    return continuations.decode_continuation(continuations.encode_continuation(continuation))


def document(continuation: Continuation = PLAIN) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(continuations.encode_continuation(continuation))
    return written


def read(changed: dict[str, Any]) -> Continuation:
    return continuations.decode_continuation(json.dumps(changed).encode())


@given(
    numbers=st.tuples(st.none() | st.integers(1, 9), COUNTS, COUNTS, COUNTS),
    retries=st.dictionaries(st.just("") | TEXTS, COUNTS, max_size=8),
    version=st.none() | TEXTS,
    reply_to=st.none() | st.just(REPLY_TO),
    events=st.just(()) | st.integers(1, 5).map(a_batch),
)
def test_what_a_run_remembers_comes_back(
    numbers: tuple[int | None, int, int, int],
    retries: dict[str, int],
    version: str | None,
    reply_to: str | None,
    events: tuple[Event, ...],
) -> None:
    trigger, round_, leg, spent_ms = numbers
    continuation = replace(
        PLAIN,
        trigger=trigger,
        round=round_,
        leg=leg,
        spent_ms=spent_ms,
        retries=retries,
        version=version,
        reply_to=reply_to,
        events=events,
    )
    assert again(continuation) == continuation


def test_what_says_nothing_is_not_written() -> None:
    assert document().keys() == {
        *("run_id", "flow", "event", "attempt", "due_ms", "parent_run_id", "hops")
    }


def test_document_of_the_first_version_is_read() -> None:
    first = {
        "run_id": "r1",
        "flow": "f",
        "event": EVENT.as_mapping(),
        "attempt": 3,
        "due_ms": 7,
        "parent_run_id": None,
        "hops": 1,
    }
    assert read(first) == Continuation("r1", "f", EVENT, 3, 7, None, 1)
    assert read({**first, "trigger": None, "round": 0}) == Continuation(
        "r1", "f", EVENT, 3, 7, None, 1
    )


@pytest.mark.parametrize(
    "reply_to", ["greentic.events.dev.acme.a", "greentic.reply.*.e", "_INBOX.x", "", 7, None, []]
)
def test_reply_that_aims_elsewhere_is_dropped(reply_to: object) -> None:
    assert read({**document(), "reply_to": reply_to}).reply_to is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("leg", -1),
        ("leg", True),
        ("leg", 2**53 + 1),
        ("spent_ms", 1.5),
        ("retries", []),
        ("retries", {"a:0": -1}),
        ("retries", {"a:0": "1"}),
        ("retries", {"x" * 1025: 1}),
        ("retries", {str(number): 1 for number in range(65)}),
        ("version", ""),
        ("version", 7),
        ("version", "x" * 257),
        ("events", {}),
        ("events", [EVENT.as_mapping()] * 10_000),
    ],
    ids=[
        *("leg-below", "leg-bool", "leg-above", "spent", "retries-list", "retries-below"),
        *("retries-text", "retries-long", "retries-many", "version-empty", "version-number"),
        *("version-long", "events-object", "events-many"),
    ],
)
def test_field_that_breaks_its_rule_is_named(field: str, value: object) -> None:
    with pytest.raises(InvalidEventError) as refused:
        read({**document(), field: value})
    assert refused.value.field == field


def test_event_of_a_batch_is_checked_like_any_event() -> None:
    broken = {**EVENT.as_mapping(), "event_type": "Not A Type"}
    with pytest.raises(InvalidEventError) as refused:
        read({**document(), "events": [broken]})
    assert refused.value.field == "event_type"


def test_field_of_no_continuation_is_refused() -> None:
    with pytest.raises(InvalidEventError):
        read({**document(), "lag": 1})


def test_batch_begins_with_its_event() -> None:
    with pytest.raises(InvalidEventError, match="events"):
        continuations.encode_continuation(replace(PLAIN, events=(replace(EVENT, id="e9"),)))


def test_batch_is_no_larger_than_a_continuation_may_be() -> None:
    large = replace(EVENT, payload="x" * 100_000)
    fits = replace(PLAIN, event=large, events=(large,) * 8)
    assert again(fits) == fits
    with pytest.raises(InvalidEventError, match="larger"):
        continuations.encode_continuation(replace(fits, events=(large,) * 9))


def test_largest_event_continues_with_all_its_retries() -> None:
    event = replace(EVENT, payload="x" * (EVENT_BYTES_MAX - 200))
    retries = {f"{number}" + "s" * 700: 21 for number in range(64)}
    assert again(replace(PLAIN, event=event, retries=retries)).retries == retries


def test_every_place_of_a_run_is_a_message_of_its_own() -> None:
    places = [
        replace(PLAIN, attempt=attempt, round=round_, leg=leg)
        for attempt in (1, 2, 11)
        for round_ in (0, 1, 11)
        for leg in (0, 1, 11)
    ]
    assert len({continuations.message_id("acme", place) for place in places}) == 27
    assert continuations.message_id("acme", PLAIN) == "acme:r1:1.0.0"


# ── Where it is stored ───────────────────────────────────────────────────────────────────────


async def sent_as(continuation: Continuation, lane: str | None) -> tuple[str, bytes]:
    """Schedule it and give what went out: subject and headers."""
    bus = ScriptedBus()
    publisher = await AckedPublisher.start(bus.as_bus())
    scheduler = continuations.JetStreamContinuations(publisher, env="dev", clock=VirtualClock())
    storing = asyncio.ensure_future(scheduler.schedule("acme", continuation, lane=lane))
    sent = await bus.wait_sent(1)
    bus.tell(sent.reply, data=b'{"stream":"WORK","seq":1}')
    await storing
    publisher.close()
    return sent.subject, sent.headers


@pytest.mark.parametrize(
    ("lane", "target"),
    [
        (None, "greentic.work.dev.acme.run.r1"),
        ("auth.login", "greentic.work.dev.acme.lane.auth.login"),
        ("~", "greentic.work.dev.acme.lane.~"),
    ],
)
async def test_due_continuation_goes_where_it_is_worked_on(lane: str | None, target: str) -> None:
    subject, headers = await sent_as(PLAIN, lane)
    assert subject == target
    assert b"Nats-Schedule" not in headers
    name = "acme:r1:1.0.0" if lane is None else f"acme:r1:1.0.0@{lane}"
    assert f"Nats-Msg-Id: {name}\r\n".encode() in headers


@pytest.mark.parametrize(
    ("lane", "target"),
    [
        (None, "greentic.work.dev.acme.run.r1"),
        ("auth.login", "greentic.work.dev.acme.lane.auth.login"),
    ],
)
async def test_later_continuation_waits_on_its_runs_schedule(lane: str | None, target: str) -> None:
    later = replace(PLAIN, due_ms=2**45)
    subject, headers = await sent_as(later, lane)
    assert subject == "greentic.work.dev.acme.at.r1"
    assert f"Nats-Schedule-Target: {target}\r\n".encode() in headers
    assert b"Nats-TTL: never\r\n" in headers


@pytest.mark.parametrize("lane", ["", "*", "a.*", ">", "a..b", ".a", "a b", "ä", "a~", "x" * 513])
async def test_lane_that_reaches_elsewhere_is_refused(lane: str) -> None:
    publisher = await AckedPublisher.start(ScriptedBus().as_bus())
    scheduler = continuations.JetStreamContinuations(publisher, env="dev", clock=VirtualClock())
    with pytest.raises(InvalidSubjectError):
        await scheduler.schedule("acme", PLAIN, lane=lane)


async def test_run_that_is_no_token_is_refused() -> None:
    publisher = await AckedPublisher.start(ScriptedBus().as_bus())
    scheduler = continuations.JetStreamContinuations(publisher, env="dev", clock=VirtualClock())
    with pytest.raises(InvalidEventError, match="run_id"):
        await scheduler.schedule("acme", replace(PLAIN, run_id="r.*"))
