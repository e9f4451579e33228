"""What leaves a run means the same in memory and on JetStream: publishers and sinks.

Each port has a harness that performs it and one that reads back what was stored.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from actors.errors import InvalidEventError, UnavailableError
from actors.events import Event
from actors.outcomes import Answer, Ended, RunError, RunResult
from actors.ports import (
    Answers,
    Continuation,
    Continuations,
    DeadLetter,
    DeadLetters,
    Envelope,
    EventPublisher,
    PublishedResult,
    Results,
    RunRecord,
    RunRecords,
)
from actors.testing.answers import MemoryAnswers
from actors.testing.continuations import MemoryContinuations
from actors.testing.dead_letters import MemoryDeadLetters
from actors.testing.publisher import MemoryPublisher
from actors.testing.results import MemoryResults
from actors.testing.run_records import MemoryRunRecords
from app.bus.answers import AnswerInbox, NatsAnswers
from app.bus.codec import encode_json
from app.bus.continuations import JetStreamContinuations, decode_continuation
from app.bus.records import JetStreamRunRecords
from app.bus.results import JetStreamResults
from app.control import names
from app.system import SystemClock
from tests.support.bus_rig import TENANT, a_rig

EVENT = Event("e1", "order.created", "webhook", 5, {"total": 2**60 + 1}, {"headers": {"a": "b"}})
INSTANCE = "i1"


@dataclass
class Sinks:
    """The ports under test, and readers of what they stored, as the memory twins tell it."""

    publisher: EventPublisher
    results: Results
    records: RunRecords
    letters: DeadLetters
    continuations: Continuations
    answers: Answers
    read_events: Callable[[], Awaitable[list[tuple[str, Any]]]]
    read_results: Callable[[], Awaitable[list[dict[str, Any]]]]
    read_records: Callable[[], Awaitable[list[tuple[str, str]]]]
    read_letters: Callable[[], Awaitable[list[tuple[str, str]]]]
    read_continuations: Callable[[], Awaitable[list[Continuation]]]
    read_answers: Callable[[str, int], Awaitable[list[Answer | Ended]]]


def memory_sinks() -> Sinks:
    publisher, results, records = MemoryPublisher(), MemoryResults(), MemoryRunRecords()
    letters, continuations, answers = MemoryDeadLetters(), MemoryContinuations(), MemoryAnswers()

    async def read_events() -> list[tuple[str, Any]]:
        return [(kept.event.event_type, kept.event.as_mapping()) for kept in publisher.stored]

    async def read_results() -> list[dict[str, Any]]:
        return [kept.result.as_mapping() for kept in results.stored]

    async def read_records() -> list[tuple[str, str]]:
        return [(kept.result.flow, kept.result.run_id) for kept in records.stored]

    async def read_letters() -> list[tuple[str, str]]:
        return [(kept.letter_id, kept.reason) for kept in letters.parked]

    async def read_continuations() -> list[Continuation]:
        return list(continuations.scheduled.values())

    async def read_answers(reply_to: str, _count: int) -> list[Answer | Ended]:
        return answers.sent.get(reply_to, [])

    return Sinks(
        publisher,
        results,
        records,
        letters,
        continuations,
        answers,
        read_events,
        read_results,
        read_records,
        read_letters,
        read_continuations,
        read_answers,
    )


@pytest.fixture(params=["memory", "nats"])
async def sinks(request: pytest.FixtureRequest, fresh_env: str) -> AsyncIterator[Sinks]:
    if request.param == "memory":
        yield memory_sinks()
        return
    async with a_rig(request.getfixturevalue("nats_server"), fresh_env) as rig:
        prefix = f"greentic.events.{fresh_env}.{TENANT}."
        inbox = await AnswerInbox.start(rig.bus, INSTANCE + fresh_env)
        with inbox.open("e1") as waiter:

            async def read_events() -> list[tuple[str, Any]]:
                kept = await rig.stored(rig.events_stream)
                return [(subject.removeprefix(prefix), document) for subject, _, document in kept]

            async def read_results() -> list[dict[str, Any]]:
                kept = await rig.stored(rig.events_stream)
                return [document for subject, _, document in kept if subject.endswith(".result")]

            async def read_records() -> list[tuple[str, str]]:
                batches = await rig.stored(names.runs_stream(fresh_env, 0))
                return [
                    (record["flow"], record["run_id"])
                    for _, _, batch in batches
                    for record in batch
                ]

            async def read_letters() -> list[tuple[str, str]]:
                kept = await rig.stored(names.dead_stream(fresh_env))
                return [(document["letter_id"], document["reason"]) for _, _, document in kept]

            async def read_continuations() -> list[Continuation]:
                kept = await rig.stored(rig.work_stream)
                return [decode_continuation(encode_json(document, "c")) for _, _, document in kept]

            async def read_answers(_reply_to: str, count: int) -> list[Answer | Ended]:
                read = [await waiter.next_message(10) for _ in range(count)]
                return [message for message in read if message is not None]

            clock = SystemClock()
            yield Sinks(
                rig.publisher,
                JetStreamResults(rig.acked, env=fresh_env),
                JetStreamRunRecords(rig.acked, env=fresh_env),
                rig.dead_letters,
                JetStreamContinuations(rig.acked, env=fresh_env, clock=clock),
                _Readdressed(NatsAnswers(rig.bus), waiter.reply_to),
                read_events,
                read_results,
                read_records,
                read_letters,
                read_continuations,
                read_answers,
            )


@dataclass
class _Readdressed:
    """Sends to this test's own inbox whatever the suite sends to its usual one."""

    answers: NatsAnswers
    own: str

    def send(self, reply_to: str, message: Answer | Ended) -> None:
        self.answers.send(self.own if reply_to == REPLY_TO else reply_to, message)


REPLY_TO = f"greentic.reply.{INSTANCE}.e1"


# ── EventPublisher ───────────────────────────────────────────────────────────────────────────


async def test_stored_event_reads_back_exactly(sinks: Sinks) -> None:
    ack = await sinks.publisher.publish(Envelope(TENANT, EVENT, "m1"))
    assert (ack.event_id, ack.sequence, ack.is_duplicate) == ("e1", 1, False)
    assert await sinks.read_events() == [("order.created", EVENT.as_mapping())]


async def test_repeated_message_id_names_the_first_event(sinks: Sinks) -> None:
    first = await sinks.publisher.publish(Envelope(TENANT, EVENT, "m1"))
    again = await sinks.publisher.publish(Envelope(TENANT, replace(EVENT, id="e2"), "m1"))
    assert (again.event_id, again.sequence) == ("e1", first.sequence)
    assert again.is_duplicate
    assert len(await sinks.read_events()) == 1


async def test_same_event_under_another_message_id_is_stored_again(sinks: Sinks) -> None:
    for message_id in ("m1", "m2"):
        ack = await sinks.publisher.publish(Envelope(TENANT, EVENT, message_id))
        assert not ack.is_duplicate
    assert ack.sequence == 2


async def test_many_publishes_at_once_keep_their_order(sinks: Sinks) -> None:
    futures = [
        sinks.publisher.publish(Envelope(TENANT, replace(EVENT, id=f"e{n}"), f"m{n}"))
        for n in range(200)
    ]
    assert [(await future).sequence for future in futures] == list(range(1, 201))


# ── Results ──────────────────────────────────────────────────────────────────────────────────


def a_result(run_id: str = "r1", **fields: Any) -> PublishedResult:
    error = RunError("http.timeout", "call", "no answer")
    result = RunResult("e1", run_id, "auth/login", "1", "failed", {"n": 2**60}, error, 1, 2, 3)
    return PublishedResult(TENANT, "order.created", replace(result, **fields))


async def test_results_are_their_public_documents(sinks: Sinks) -> None:
    batch = [a_result("r1"), a_result("r2", output=None, error=None, status="completed")]
    await sinks.results.publish_all(batch)
    assert await sinks.read_results() == [one.result.as_mapping() for one in batch]


async def test_run_has_one_result(sinks: Sinks) -> None:
    await sinks.results.publish_all([a_result("r1")])
    await sinks.results.publish_all([a_result("r1", status="completed"), a_result("r2")])
    read = await sinks.read_results()
    assert [(one["run_id"], one["status"]) for one in read] == [("r1", "failed"), ("r2", "failed")]


async def test_no_results_are_no_work(sinks: Sinks) -> None:
    await sinks.results.publish_all([])
    assert await sinks.read_results() == []


# ── RunRecords ───────────────────────────────────────────────────────────────────────────────


async def test_records_of_many_flows_are_all_kept(sinks: Sinks) -> None:
    records = [
        RunRecord(TENANT, "a", "event", replace(a_result(f"r{n}").result, flow=flow), ("x", "y"))
        for n, flow in enumerate(["one", "auth/login"] * 150)
    ]
    await sinks.records.write_all(records)
    kept = await sinks.read_records()
    assert sorted(kept) == sorted((one.result.flow, one.result.run_id) for one in records)
    for flow in ("one", "auth/login"):
        mine = [run_id for name, run_id in kept if name == flow]
        assert mine == [one.result.run_id for one in records if one.result.flow == flow]


# ── DeadLetters ──────────────────────────────────────────────────────────────────────────────


async def test_repeated_letter_is_one(sinks: Sinks) -> None:
    error = RunError("c", None, "m")
    letter = DeadLetter(TENANT, "failed", error, 1, "r1", event=EVENT, flow="orders")
    await sinks.letters.park(letter)
    await sinks.letters.park(replace(letter, reason="later"))
    await sinks.letters.park(DeadLetter(TENANT, "no_event", error, 1, "S:9", raw=b"\xff"))
    assert await sinks.read_letters() == [("r1", "failed"), ("S:9", "no_event")]


# ── Continuations ────────────────────────────────────────────────────────────────────────────


async def test_continuation_is_stored_whole_once_per_attempt(sinks: Sinks) -> None:
    first = Continuation("r1", "auth/login", EVENT, parent_run_id="r0", hops=2)
    await sinks.continuations.schedule(TENANT, first)
    await sinks.continuations.schedule(TENANT, replace(first, hops=7))
    second = replace(first, attempt=2)
    await sinks.continuations.schedule(TENANT, second)
    assert await sinks.read_continuations() == [first, second]


async def test_a_run_that_is_put_off_again_is_another_continuation(sinks: Sinks) -> None:
    first = Continuation("r1", "orders", EVENT, trigger=3, round=1)
    await sinks.continuations.schedule(TENANT, first)
    await sinks.continuations.schedule(TENANT, replace(first, hops=7))
    again = replace(first, round=2)
    await sinks.continuations.schedule(TENANT, again)
    assert await sinks.read_continuations() == [first, again]


async def test_later_continuation_waits_with_its_due_time(sinks: Sinks) -> None:
    later = Continuation("r1", "orders", EVENT, due_ms=SystemClock().now_ms() + 3_600_000)
    await sinks.continuations.schedule(TENANT, later)
    assert await sinks.read_continuations() == [later]


# ── Answers ──────────────────────────────────────────────────────────────────────────────────


async def test_answers_arrive_in_order(sinks: Sinks) -> None:
    messages: list[Answer | Ended] = [
        Answer(201, {"x-a": "1"}, {"n": 2**60}),
        Answer(200, {}, "text"),
        Ended("r", "ok"),
    ]
    for message in messages:
        sinks.answers.send(REPLY_TO, message)
    assert await sinks.read_answers(REPLY_TO, 3) == messages


@pytest.mark.parametrize(
    "reply_to",
    ["", "greentic.reply.i1", "greentic.events.dev.acme.a", "greentic.reply.i1.*", "a b\r\nPUB x"],
)
async def test_answer_to_another_subject_is_not_sent(sinks: Sinks, reply_to: str) -> None:
    sinks.answers.send(reply_to, Answer(200))
    sinks.answers.send(REPLY_TO, Ended("r", "ok"))
    assert await sinks.read_answers(REPLY_TO, 1) == [Ended("r", "ok")]
    assert await sinks.read_events() == []


# ── All of them ──────────────────────────────────────────────────────────────────────────────


async def test_event_that_is_too_large_is_refused_by_the_real_bus(
    nats_server: Any, fresh_env: str
) -> None:
    async with a_rig(nats_server, fresh_env) as rig:
        event = replace(EVENT, payload="x" * 800_000)
        with pytest.raises(InvalidEventError, match="larger"):
            await rig.publisher.publish(Envelope(TENANT, event, "m1"))
        for message_id in ("", "a\r\nb", "ä"):
            with pytest.raises(InvalidEventError):
                await rig.publisher.publish(Envelope(TENANT, EVENT, message_id))


async def test_publish_without_a_stream_is_unavailable(nats_server: Any, fresh_env: str) -> None:
    async with a_rig(nats_server, fresh_env, deadline_seconds=0.3) as rig:
        with pytest.raises(UnavailableError) as failed:
            await rig.publisher.publish(Envelope("nobody", EVENT, "m1"))
        assert failed.value.retry_after_seconds is not None
