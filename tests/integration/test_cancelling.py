"""Cancelling runs over a real server: in a worker's hand, asleep, or nowhere to be seen."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from actors.errors import InvalidSubjectError, PermanentError
from actors.events import Event
from actors.outcomes import Settlement
from actors.ports import Continuation, Delivery, JournalEntry
from actors.runs.journal_entries import CANCEL
from app.bootstrap.bus_side import open_canceller
from app.bus import cancelling
from app.bus.admin import JetStreamAdmin
from app.bus.cancelling import RunCanceller, listen_for_cancels
from app.bus.continuations import JetStreamContinuations
from app.bus.direct import DirectReader
from app.bus.journal import JetStreamJournal
from app.bus.server_folder import Endpoint
from app.control import names, streams
from app.system import SystemClock
from tests.support.bus_rig import TENANT, BusRig, a_rig

pytestmark = pytest.mark.server

EVENT = Event("e1", "order.created", "webhook", 5, {})
IN_AN_HOUR_MS = 3_600_000
OTHER = "other"


@dataclass
class Worker:
    """What a worker's runs in hand look like from the bus."""

    in_hand: set[tuple[str, str]] = field(default_factory=set)
    ended: list[tuple[str, str, str]] = field(default_factory=list)

    def cancel(self, tenant: str, run_id: str, reason: str) -> bool:
        if (tenant, run_id) not in self.in_hand:
            return False
        self.ended.append((tenant, run_id, reason))
        return True


@dataclass
class Scene:
    """One env with its streams, a canceller, and what it did."""

    rig: BusRig
    canceller: RunCanceller
    journal: JetStreamJournal
    reader: DirectReader

    async def wished(self, run_id: str, tenant: str = TENANT) -> list[JournalEntry]:
        entries = await self.journal.read(tenant, run_id)
        return [entry for entry in entries if entry.step == CANCEL]

    async def listen(self, *in_hand: str, tenant: str = TENANT) -> Worker:
        worker = Worker({(tenant, run_id) for run_id in in_hand})
        await listen_for_cancels(self.rig.bus, self.rig.env, worker.cancel)
        return worker

    async def put_to_sleep(self, run_id: str, tenant: str = TENANT, lane: str | None = None) -> int:
        clock = SystemClock()
        due_ms = clock.now_ms() + IN_AN_HOUR_MS
        waiting = Continuation(run_id, "orders", EVENT, due_ms=due_ms, leg=1, version="v1")
        continuations = JetStreamContinuations(self.rig.acked, env=self.rig.env, clock=clock)
        await continuations.schedule(tenant, waiting, lane=lane)
        return due_ms

    async def subjects(self) -> list[str]:
        """What lies in WORK, without the names that all subjects begin with."""
        stored = await self.rig.stored_raw(self.rig.work_stream)
        prefix = f"greentic.work.{self.rig.env}."
        return [subject.removeprefix(prefix) for subject, _, _ in stored]


@pytest.fixture
async def scene(
    nats_server: Endpoint, fresh_env: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    monkeypatch.setattr(cancelling, "ANSWER_SECONDS", 0.25)
    async with a_rig(nats_server, fresh_env) as rig:
        subjects = (f"greentic.journal.{fresh_env}.>",)
        await JetStreamAdmin(rig.bus).ensure_stream(streams.journal_spec(fresh_env, 0, subjects))
        reader = await DirectReader.start(rig.bus)
        stream = names.journal_stream(fresh_env, 0)
        journal = JetStreamJournal(rig.acked, reader, env=fresh_env, stream_of=lambda _: stream)
        canceller = RunCanceller(
            rig.acked, journal, SystemClock(), env=fresh_env, stream_of=lambda _: rig.work_stream
        )
        yield Scene(rig, canceller, journal, reader)
        await reader.close()


async def test_a_run_in_hand_is_ended_by_who_has_it(scene: Scene) -> None:
    worker, idle = await scene.listen("run-1", "run-2"), await scene.listen("run-3")
    found = await scene.canceller.cancel(TENANT, "run-1", "enough")
    assert (found.in_hand, found.was_asleep) == (1, False)
    assert worker.ended == [(TENANT, "run-1", "enough")]
    assert idle.ended == []
    (wish,) = await scene.wished("run-1")
    assert wish.value == {"reason": "enough"}
    assert await scene.wished("run-2") == []


async def test_a_run_that_two_workers_have_is_ended_by_both(scene: Scene) -> None:
    workers = [await scene.listen("run-1") for _ in range(2)]
    assert (await scene.canceller.cancel(TENANT, "run-1", "x")).in_hand == 2
    assert [len(worker.ended) for worker in workers] == [1, 1]


async def test_a_sleeper_is_woken_with_its_continuation(scene: Scene) -> None:
    due_ms = await scene.put_to_sleep("run-1")
    await scene.put_to_sleep("run-2")
    found = await scene.canceller.cancel(TENANT, "run-1", "enough")
    assert (found.in_hand, found.was_asleep) == (0, True)
    assert sorted(await scene.subjects()) == [f"{TENANT}.at.run-2", f"{TENANT}.run.run-1"]
    deliveries = scene.rig.deliveries()
    delivery: Delivery
    (delivery,) = await deliveries.pull(8)
    assert delivery.continuation is not None
    assert (delivery.continuation.run_id, delivery.continuation.due_ms) == ("run-1", due_ms)
    assert delivery.continuation.version == "v1"
    delivery.settle(Settlement.ACK)
    await scene.rig.wait_settled(scene.rig.work_stream, names.work_durable(TENANT))
    await deliveries.close()


async def test_a_sleeper_of_a_lane_wakes_on_its_lane(scene: Scene) -> None:
    await scene.put_to_sleep("run-1", lane="orders")
    assert (await scene.canceller.cancel(TENANT, "run-1", "x")).was_asleep
    assert await scene.subjects() == [f"{TENANT}.lane.orders"]


async def test_a_second_wish_wakes_nobody_twice(scene: Scene) -> None:
    await scene.put_to_sleep("run-1")
    await scene.canceller.cancel(TENANT, "run-1", "first")
    again = await scene.canceller.cancel(TENANT, "run-1", "second")
    assert (again.in_hand, again.was_asleep) == (0, False)
    assert await scene.subjects() == [f"{TENANT}.run.run-1"]
    (wish,) = await scene.wished("run-1")
    assert wish.value == {"reason": "first"}


async def test_where_nobody_has_the_run_the_wish_stays(scene: Scene) -> None:
    found = await scene.canceller.cancel(TENANT, "run-1", "x" * 10_000)
    assert (found.in_hand, found.was_asleep) == (0, False)
    (wish,) = await scene.wished("run-1")
    assert wish.value == {"reason": "x" * 500}


async def test_another_tenants_run_of_the_same_id_is_untouched(scene: Scene) -> None:
    worker = await scene.listen("run-1", tenant=OTHER)
    await scene.put_to_sleep("run-1", tenant=OTHER)
    found = await scene.canceller.cancel(TENANT, "run-1", "enough")
    assert (found.in_hand, found.was_asleep) == (0, False)
    assert worker.ended == []
    assert await scene.subjects() == [f"{OTHER}.at.run-1"]
    assert await scene.wished("run-1", OTHER) == []


@pytest.mark.parametrize(
    ("tenant", "run_id"),
    [(TENANT, "a.b"), (TENANT, "*"), (TENANT, ">"), (TENANT, ""), (TENANT, "x" * 129),
     ("*", "run-1"), ("a.b", "run-1"), ("", "run-1")],
)  # fmt: skip
async def test_names_that_are_none_are_refused(scene: Scene, tenant: str, run_id: str) -> None:
    worker = await scene.listen("run-1")
    with pytest.raises((PermanentError, InvalidSubjectError)):
        await scene.canceller.cancel(tenant, run_id, "x")
    assert worker.ended == []


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"1", b'"run-1"', b"{}", b'{"reason": "x"}', b"\xff", b"[" * 5000]
)
async def test_wishes_that_are_none_end_nothing(scene: Scene, data: bytes) -> None:
    worker = await scene.listen("run-1")
    subject = f"greentic.control.{scene.rig.env}.{TENANT}.cancel"
    scene.rig.bus.send(subject, data)
    found = await scene.canceller.cancel(TENANT, "run-1", "real")
    assert found.in_hand == 1
    assert worker.ended == [(TENANT, "run-1", "real")]


async def test_a_process_that_runs_nothing_can_cancel(scene: Scene) -> None:
    """As the command line does it."""
    await scene.put_to_sleep("run-1")
    canceller = await open_canceller(scene.rig.bus, scene.rig.env)
    found = await canceller.cancel(TENANT, "run-1", "by hand")
    assert replace(found, in_hand=0) == found
    assert found.was_asleep
