"""The journal on a real server: lifetimes, lost acknowledgements, long runs, refusals."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.errors import PermanentError, UnavailableError
from actors.ports import JOURNAL_VALUE_BYTES_MAX, JournalEntry
from app.bus import journal as journal_module
from app.bus.admin import JetStreamAdmin
from app.bus.server_folder import Endpoint
from app.bus.wire import Received, build_headers
from tests.support.journals import JournalRig, a_journal
from tests.support.nats_server import KillableServer

TTL = 60
ENTRY = JournalEntry("a:0", {"n": 1})


@pytest.fixture
async def rig(nats_server: Endpoint, fresh_env: str) -> AsyncIterator[JournalRig]:
    async with a_journal(nats_server, fresh_env) as rig:
        yield rig


async def test_entry_is_forgotten_after_its_lifetime(rig: JournalRig) -> None:
    assert await rig.journal.write("acme", "r1", ENTRY, ttl_seconds=1)
    assert await rig.journal.write("acme", "r1", JournalEntry("b:0", 2), ttl_seconds=TTL)
    async with asyncio.timeout(10):
        while len(await rig.journal.read("acme", "r1")) > 1:
            await asyncio.sleep(0.05)
    assert await rig.journal.read("acme", "r1") == [JournalEntry("b:0", 2)]
    assert await rig.journal.write("acme", "r1", ENTRY, ttl_seconds=TTL), "the step is free again"


async def test_write_whose_acknowledgement_was_lost_is_ours(
    rig: JournalRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.bus.acked_publisher.RESEND_SECONDS", 0.1)
    answers = lose_answers(rig, 1)
    assert await rig.journal.write("acme", "r1", ENTRY, ttl_seconds=TTL)
    assert b"10077" in answers[1], "the repeat was refused, and known for our own"
    assert await rig.journal.read("acme", "r1") == [ENTRY]


async def test_entry_tried_again_after_its_deadline_is_ours_and_an_equal_one_is_not(
    nats_server: Endpoint, fresh_env: str
) -> None:
    async with a_journal(nats_server, fresh_env, deadline_seconds=0.3) as rig:
        answers = lose_answers(rig, 2)
        for run_id in ("r1", "r2"):
            with pytest.raises(UnavailableError):
                await rig.journal.write("acme", run_id, ENTRY, ttl_seconds=TTL)
        assert all(b'"seq"' in answer for answer in answers), "both were stored"
        equal = JournalEntry(ENTRY.step, ENTRY.value)
        assert await rig.journal.write("acme", "r1", ENTRY, ttl_seconds=TTL)
        assert not await rig.journal.write("acme", "r1", ENTRY, ttl_seconds=TTL)
        assert not await rig.journal.write("acme", "r2", equal, ttl_seconds=TTL)


async def test_few_entries_of_unknown_fate_are_remembered(
    nats_server: Endpoint, fresh_env: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "UNSURE_MAX", 1)
    async with a_journal(nats_server, fresh_env, deadline_seconds=0.3) as rig:
        lose_answers(rig, 2)
        for run_id in ("r1", "r2"):
            with pytest.raises(UnavailableError):
                await rig.journal.write("acme", run_id, ENTRY, ttl_seconds=TTL)
        assert not await rig.journal.write("acme", "r1", ENTRY, ttl_seconds=TTL)
        assert await rig.journal.write("acme", "r2", ENTRY, ttl_seconds=TTL)


def lose_answers(rig: JournalRig, count: int) -> list[bytes]:
    """Lose the first acknowledgements on their way to the publisher; give all that came."""
    answers: list[bytes] = []
    hear = rig.publisher._on_answer

    def lose(message: Received) -> None:
        answers.append(message.data)
        if len(answers) > count:
            hear(message)

    client: Any = rig.bus.client
    [sid] = [sid for sid, callback in client._direct.items() if callback == hear]
    client._direct[sid] = lose
    return answers


async def test_server_killed_under_writes_leaves_each_step_to_its_writer(
    killable_server: KillableServer, fresh_env: str
) -> None:
    async with a_journal(killable_server.endpoint, fresh_env, deadline_seconds=20) as rig:
        for round_ in range(3):
            writes = [
                asyncio.ensure_future(
                    rig.journal.write(
                        "acme", f"r{round_}", JournalEntry(f"a:{number}", number), ttl_seconds=TTL
                    )
                )
                for number in range(2000)
            ]
            while not any(write.done() for write in writes):
                await asyncio.sleep(0)
            await killable_server.restart()
            async with asyncio.timeout(30):
                assert all(await asyncio.gather(*writes)), "a repeat of our own is ours"
            entries = await rig.journal.read("acme", f"r{round_}")
            assert sorted(entry.value for entry in entries) == list(range(2000))


async def test_second_worker_is_refused_though_the_server_was_killed(
    killable_server: KillableServer, fresh_env: str
) -> None:
    endpoint = killable_server.endpoint
    async with a_journal(endpoint, fresh_env) as one, a_journal(endpoint, fresh_env) as other:
        assert await one.journal.write("acme", "r1", ENTRY, ttl_seconds=TTL)
        await killable_server.restart()
        assert not await other.journal.write("acme", "r1", ENTRY, ttl_seconds=TTL)
        assert await other.journal.read("acme", "r1") == [ENTRY]


async def test_entry_of_a_stranger_is_not_ours(rig: JournalRig, fresh_env: str) -> None:
    subject = f"greentic.journal.{fresh_env}.acme.r1.a:0"
    await rig.publisher.publish(subject, b"7", build_headers([("Nats-TTL", "60s")]))
    assert not await rig.journal.write("acme", "r1", ENTRY, ttl_seconds=TTL)
    assert await rig.journal.read("acme", "r1") == [JournalEntry("a:0", 7)]


async def test_run_of_more_entries_than_one_question_gives_is_read_whole(rig: JournalRig) -> None:
    count = 2100
    await asyncio.gather(
        *(
            rig.journal.write("acme", "r1", JournalEntry(f"a:{n}", n), ttl_seconds=TTL)
            for n in range(count)
        )
    )
    await rig.journal.write("acme", "r2", ENTRY, ttl_seconds=TTL)
    entries = await rig.journal.read("acme", "r1")
    assert [entry.value for entry in entries] == list(range(count))


async def test_read_goes_on_where_the_server_stopped_for_size(rig: JournalRig) -> None:
    value = "x" * (JOURNAL_VALUE_BYTES_MAX - 2)
    for number in range(8):
        entry = JournalEntry(f"a:{number}", value)
        await rig.journal.write("acme", "r1", entry, ttl_seconds=TTL)
    reader, ask = rig.reader, rig.reader._ask
    questions: list[Any] = []

    async def ask_for_less(stream: str, question: Any, bytes_max: int) -> Any:
        questions.append(dict(question))
        return await ask(stream, {**question, "max_bytes": 1024 * 1024}, bytes_max)

    reader._ask = ask_for_less  # type: ignore[method-assign]
    entries = await rig.journal.read("acme", "r1")
    assert [entry.step for entry in entries] == [f"a:{number}" for number in range(8)]
    assert len(questions) > 1


async def test_journal_larger_than_a_run_may_have_is_unreadable(
    rig: JournalRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "RUN_BYTES_MAX", 100)
    for number in range(3):
        entry = JournalEntry(f"a:{number}", "x" * 50)
        await rig.journal.write("acme", "r1", entry, ttl_seconds=TTL)
    with pytest.raises(PermanentError, match="over 100 bytes") as refused:
        await rig.journal.read("acme", "r1")
    assert refused.value.reason == "journal.unreadable"


@pytest.mark.parametrize(
    ("run_id", "step", "value", "reason"),
    [
        ("r1", "", 1, "journal.step"),
        ("r1", "x" * 641, 1, "journal.step"),
        ("r1", "." * 214, 1, "journal.step"),
        ("r1", "\ud800", 1, "journal.step"),
        ("r1.*", "a:0", 1, "journal.run"),
        ("", "a:0", 1, "journal.run"),
        ("r1", "a:0", float("nan"), "journal.value"),
        ("r1", "a:0", object(), "journal.value"),
        ("r1", "a:0", "x" * JOURNAL_VALUE_BYTES_MAX, "too_large"),
    ],
    ids=[
        *("no-step", "long-step", "long-dots", "half-character"),
        *("run-wildcard", "no-run", "nan", "no-json", "large"),
    ],
)
async def test_what_cannot_be_written_is_refused_before_it_is_sent(
    rig: JournalRig, run_id: str, step: str, value: Any, reason: str
) -> None:
    with pytest.raises(PermanentError) as refused:
        await rig.journal.write("acme", run_id, JournalEntry(step, value), ttl_seconds=TTL)
    assert refused.value.reason == reason
    info = await JetStreamAdmin(rig.bus).stream_info(rig.stream)
    assert info is not None
    assert info.last_sequence == 0


async def test_full_store_is_unavailable_and_no_other_writer(rig: JournalRig) -> None:
    info = await JetStreamAdmin(rig.bus).stream_info(rig.stream)
    assert info is not None
    await rig.bus.request(
        f"$JS.API.STREAM.UPDATE.{rig.stream}",
        json.dumps({**info.config, "max_bytes": 200}).encode(),
        timeout_seconds=5,
    )
    with pytest.raises(UnavailableError, match="maximum bytes"):
        await rig.journal.write("acme", "r1", JournalEntry("a:0", "x" * 500), ttl_seconds=TTL)


async def test_away_stream_is_unavailable_within_the_deadline(
    nats_server: Endpoint, fresh_env: str
) -> None:
    async with a_journal(nats_server, fresh_env, deadline_seconds=0.3) as rig:
        await JetStreamAdmin(rig.bus).delete_stream(rig.stream)
        async with asyncio.timeout(5):
            with pytest.raises(UnavailableError):
                await rig.journal.read("acme", "r1")
            with pytest.raises(UnavailableError):
                await rig.journal.write("acme", "r1", ENTRY, ttl_seconds=TTL)


async def test_closed_reader_is_unavailable(rig: JournalRig) -> None:
    await rig.reader.close()
    with pytest.raises(UnavailableError):
        await rig.journal.read("acme", "r1")


async def test_unreadable_entry_says_so(rig: JournalRig, fresh_env: str) -> None:
    subject = f"greentic.journal.{fresh_env}.acme.r1.a:0"
    await rig.publisher.publish(subject, b"{", build_headers([("Nats-TTL", "60s")]))
    with pytest.raises(PermanentError) as refused:
        await rig.journal.read("acme", "r1")
    assert refused.value.reason == "journal.unreadable"
