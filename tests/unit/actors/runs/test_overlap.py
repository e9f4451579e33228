"""What a tick does while the run of an earlier one goes on, with any number of workers."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from actors.errors import UnavailableError
from actors.flows.compiled import CompiledFlow
from actors.nodes.step import StepContext
from actors.outcomes import Advance, Settlement, StepOutcome
from actors.ports import StateEntry, StateScope
from actors.runs import line
from actors.runs.line import GRACE_MS
from actors.runs.turns import TURN_SECONDS, Claim, Turns
from actors.testing.state import MemoryStateStore
from tests.support.builders import Waiting, Yard, a_flow, a_node, a_timer
from tests.support.workshops import NEVER, Workshops

KEEP_ALIVE_SECONDS = 5.0


@dataclass
class Bench:
    """A node that takes its time, and knows which runs were at it."""

    yard: Yard
    seconds: float
    inside: set[str] = field(default_factory=set)
    most: int = 0
    began: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    fails_with: Exception | None = None

    async def step_waiting(self, context: StepContext) -> StepOutcome:
        self.began.append(context.run_id)
        self.inside.add(context.run_id)
        self.most = max(self.most, len(self.inside))
        try:
            await self.yard.clock.sleep(self.seconds)
            if self.fails_with is not None:
                raise self.fails_with
        except asyncio.CancelledError:
            self.cancelled.append(context.run_id)
            raise
        finally:
            self.inside.discard(context.run_id)
        return Advance(context.run_id)


class Cut:
    """A store that one worker may be cut off from."""

    def __init__(self, store: MemoryStateStore) -> None:
        self.store = store
        self.is_cut = False

    async def get(self, scope: StateScope, key: str) -> StateEntry:
        self._check()
        return await self.store.get(scope, key)

    async def put(self, scope: StateScope, key: str, value: Any, **more: Any) -> bool:
        self._check()
        return await self.store.put(scope, key, value, **more)

    async def delete(self, scope: StateScope, key: str, **more: Any) -> None:
        self._check()
        await self.store.delete(scope, key, **more)

    def _check(self) -> None:
        if self.is_cut:
            raise UnavailableError("cut off")


@pytest_asyncio.fixture
async def shops(yard: Yard) -> AsyncIterator[Workshops]:
    shops = Workshops(yard)
    yield shops
    await shops.close()


def flow_of(bench: Bench, overlap: str, **fields: Any) -> CompiledFlow:
    timer = a_timer(NEVER, overlap=overlap)
    return a_flow(a_node("first", Waiting(bench.step_waiting)), triggers=(timer,), **fields)


async def opened(shops: Workshops, overlap: str, seconds: float, workers: int = 2) -> Bench:
    bench = Bench(shops.yard, seconds)
    for _ in range(workers):
        await shops.open(flow_of(bench, overlap))
    return bench


def settled(shops: Workshops) -> Mapping[str, list[Settlement | None]]:
    said: dict[str, list[Settlement | None]] = {}
    for delivery in shops.stream.handed_out:
        said.setdefault(delivery.event.id, []).append(delivery.settlement)
    return said


async def somebody_holds_the_turn(shops: Workshops) -> None:
    """Leave the turn with a worker that is dead."""
    claim = Claim("demo", "timer.orders.1", "run-of-the-dead", shops.yard.clock.now_ms())
    assert await Turns(shops.yard.leases, shops.yard.clock, shops.yard.stage.ids).take(claim)


# ── Skip ─────────────────────────────────────────────────────────────────────────────────────


async def test_skip_rejects_a_tick_while_the_last_one_runs(shops: Workshops) -> None:
    bench = await opened(shops, "skip", 10)
    first = await shops.tick()
    await shops.work(4)
    second = await shops.tick()
    await shops.work(7)
    third = await shops.tick()
    await shops.work(11)
    assert shops.ends() == [(second, "rejected"), (first, "completed"), (third, "completed")]
    assert bench.most == 1
    (reason,) = shops.reasons()
    assert "overlap skip" in reason
    assert [record.result.status for record in shops.yard.records.stored] == [
        "rejected",
        "completed",
        "completed",
    ]
    assert all(said == [Settlement.ACK] for said in settled(shops).values())


async def test_a_short_run_leaves_its_turn_at_once(shops: Workshops) -> None:
    await opened(shops, "skip", 0)
    for _ in range(5):
        await shops.tick()
        await shops.work(0.25)
    assert [status for _, status in shops.ends()] == ["completed"] * 5


async def test_allow_runs_every_tick_and_asks_nobody(shops: Workshops) -> None:
    bench = Bench(shops.yard, 10)
    cut = Cut(shops.yard.leases)
    cut.is_cut = True
    await shops.open(flow_of(bench, "allow"), cut)
    await shops.tick()
    await shops.work(1)
    await shops.tick()
    await shops.work(10)
    assert bench.most == 2
    assert [status for _, status in shops.ends()] == ["completed"] * 2


async def test_a_filter_that_is_false_takes_no_turn(shops: Workshops) -> None:
    bench = Bench(shops.yard, 10)
    flow = flow_of(bench, "skip")
    (timer,) = flow.triggers

    class Never:
        def run(self, _scope: object) -> bool:
            return False

    object.__setattr__(timer, "filter", Never())
    await shops.open(flow)
    await shops.tick()
    await shops.work(1)
    assert shops.ends() == []
    assert bench.began == []


async def test_a_run_that_fails_in_an_unforeseen_way_leaves_its_turn(shops: Workshops) -> None:
    bench = await opened(shops, "skip", 0)
    bench.fails_with = RuntimeError("oops")
    first = await shops.tick()
    await shops.work(1)
    bench.fails_with = None
    second = await shops.tick()
    await shops.work(1)
    assert shops.ends() == [(first, "failed"), (second, "completed")]


async def test_a_store_that_is_broken_fails_the_run_and_not_the_worker(shops: Workshops) -> None:
    class Broken(Cut):
        async def get(self, scope: StateScope, key: str) -> StateEntry:
            raise RuntimeError(f"{scope} {key}")

    bench = Bench(shops.yard, 1)
    await shops.open(flow_of(bench, "skip"), Broken(shops.yard.leases))
    tick = await shops.tick()
    await shops.work(1)
    assert shops.ends() == [(tick, "failed")]
    assert bench.began == []


async def test_flows_take_turns_of_their_own(shops: Workshops) -> None:
    """Two timers of one tenant do not wait for each other."""
    bench = Bench(shops.yard, 10)
    triggers = (a_timer(NEVER), a_timer(NEVER, number=2))
    node = a_node("first", Waiting(bench.step_waiting))
    await shops.open(a_flow(node, triggers=triggers))
    await shops.tick()
    await shops.tick(number=2)
    await shops.work(11)
    assert bench.most == 2


# ── A holder that dies ───────────────────────────────────────────────────────────────────────


async def test_a_redelivered_run_has_its_turn_again_at_once(shops: Workshops) -> None:
    bench = await opened(shops, "skip", 20, workers=1)
    first = await shops.tick()
    await shops.work(2)
    (worker,) = shops.workers
    await worker.until(worker.host.root.stop(), 1)
    assert shops.ends() == []
    await shops.open(flow_of(bench, "skip"))
    await shops.work(0.25)
    assert bench.began[0] == bench.began[1]
    second = await shops.tick()
    await shops.work(21)
    assert shops.ends() == [(second, "rejected"), (first, "completed")]


async def test_the_turn_of_a_dead_worker_is_free_after_a_while(shops: Workshops) -> None:
    await opened(shops, "skip", 0)
    await somebody_holds_the_turn(shops)
    ends: list[str] = []
    while "completed" not in ends:
        await shops.tick()
        await shops.work(1)
        ends = [status for _, status in shops.ends()]
    assert ends == ["rejected"] * round(TURN_SECONDS) + ["completed"]


async def test_who_is_cut_off_stops_before_its_turn_is_free_and_its_run_is_repeated(
    shops: Workshops,
) -> None:
    bench = Bench(shops.yard, 1000)
    cut = Cut(shops.yard.leases)
    await shops.open(flow_of(bench, "skip"), cut)
    first = await shops.tick()
    await shops.work(15)
    cut.is_cut = True
    await shops.work(TURN_SECONDS - 15)
    assert bench.cancelled == bench.began
    assert shops.ends() == []
    (worker,) = shops.workers
    await worker.until(worker.host.root.stop(), 1)
    bench.seconds = 1
    await shops.open(flow_of(bench, "skip"))
    await shops.work(2)
    assert shops.ends() == [(first, "completed")]
    assert len(set(bench.began)) == 1


async def test_a_long_run_keeps_its_turn(shops: Workshops) -> None:
    bench = await opened(shops, "skip", 200)
    first = await shops.tick()
    for _ in range(4):
        await shops.work(45)
        await shops.tick()
    await shops.work(30)
    assert [status for _, status in shops.ends()] == ["rejected"] * 4 + ["completed"]
    assert shops.ends()[-1] == (first, "completed")
    assert bench.most == 1


async def test_a_bus_that_is_away_for_a_moment_costs_no_run(shops: Workshops) -> None:
    bench = Bench(shops.yard, 30)
    cut = Cut(shops.yard.leases)
    await shops.open(flow_of(bench, "skip"), cut)
    cut.is_cut = True
    await shops.tick()
    await shops.work(3)
    assert bench.began == []
    cut.is_cut = False
    await shops.work(5)
    cut.is_cut = True
    await shops.work(15)
    cut.is_cut = False
    await shops.work(15)
    assert [status for _, status in shops.ends()] == ["completed"]
    assert len(bench.began) == 1


async def test_who_cannot_ask_leaves_the_delivery_to_whoever_gets_it_next(shops: Workshops) -> None:
    bench = Bench(shops.yard, 1)
    cut = Cut(shops.yard.leases)
    await shops.open(flow_of(bench, "skip"), cut)
    cut.is_cut = True
    await shops.tick()
    (delivery,) = shops.stream.handed_out
    delivery.keep_alive = lambda: None  # type: ignore[method-assign]  # nobody hears it
    await shops.work(20)
    assert delivery.settlement is Settlement.LEAVE
    assert bench.began == []


# ── Queue ────────────────────────────────────────────────────────────────────────────────────


async def test_queue_runs_every_tick_one_after_the_other_in_order(shops: Workshops) -> None:
    bench = await opened(shops, "queue", 5)
    ticks = []
    for _ in range(6):
        ticks.append(await shops.tick())
        await shops.work(1)
    assert shops.stream.unsettled <= 1, "what waits holds no delivery"
    await shops.work(60)
    assert shops.ends() == [(tick, "completed") for tick in ticks]
    assert bench.most == 1
    assert shops.reasons() == []


async def test_a_tick_does_not_overtake_those_that_wait(shops: Workshops) -> None:
    bench = await opened(shops, "queue", 5)
    ticks = [await shops.tick()]
    await shops.work(1.5)
    ticks.append(await shops.tick())
    await shops.work(3.75)
    assert len(bench.began) == 1, "the first has ended, the second has not looked again yet"
    ticks.append(await shops.tick())
    await shops.work(20)
    assert shops.ends() == [(tick, "completed") for tick in ticks]


async def test_the_line_is_not_endless(shops: Workshops, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.runs.line.WAITING_MAX", 3)
    await opened(shops, "queue", 30)
    ticks = []
    for _ in range(6):
        ticks.append(await shops.tick())
        await shops.work(1)
    assert shops.ends() == [(tick, "rejected") for tick in ticks[4:]]
    await shops.work(150)
    assert shops.ends()[2:] == [(tick, "completed") for tick in ticks[:4]]


async def test_a_run_that_vanished_holds_up_nobody(shops: Workshops) -> None:
    await opened(shops, "queue", 5)
    first = await shops.tick()
    await shops.work(1)
    lost = await shops.tick()
    shops.lose_put_off()
    await shops.work(10)
    third = await shops.tick()
    await shops.work(GRACE_MS / 1000 + 62)
    assert shops.ends() == [(first, "completed"), (third, "completed")]
    assert lost < third


async def test_a_changed_flow_keeps_its_queue(shops: Workshops) -> None:
    bench = await opened(shops, "queue", 5, workers=1)
    await shops.tick()
    await shops.tick(-0.001)
    await shops.work(1)
    (worker,) = shops.workers
    await shops.redeploy(worker, flow_of(bench, "queue", version="2", digest="d2"))
    await shops.work(20)
    versions = [kept.result.flow_version for kept in shops.yard.results.stored]
    assert versions == ["1.0", "2"]


async def test_a_run_whose_timer_is_gone_goes_to_the_dead_letters(shops: Workshops) -> None:
    bench = await opened(shops, "queue", 5, workers=1)
    await shops.tick()
    await shops.tick(-0.001)
    await shops.work(0.5)
    (worker,) = shops.workers
    node = a_node("first", Waiting(bench.step_waiting))
    await shops.redeploy(worker, a_flow(node, digest="d2"))
    await shops.work(10)
    (letter,) = shops.yard.letters.parked
    assert letter.reason == "unknown_trigger"


# ── Cancel ───────────────────────────────────────────────────────────────────────────────────


async def test_cancel_ends_the_run_under_way_and_begins_the_new_one(shops: Workshops) -> None:
    bench = await opened(shops, "cancel", 30)
    first = await shops.tick()
    await shops.work(10)
    second = await shops.tick()
    await shops.work(3)
    assert shops.ends() == [(first, "cancelled")]
    assert bench.cancelled == bench.began[:1]
    await shops.work(30)
    assert shops.ends()[1:] == [(second, "completed")]
    assert bench.most == 1
    assert shops.reasons() == ["overlap cancel: a later tick took its turn"]
    assert shops.yard.letters.parked == []


async def test_of_many_ticks_the_last_one_runs(shops: Workshops) -> None:
    bench = await opened(shops, "cancel", 30)
    ticks = []
    for _ in range(5):
        ticks.append(await shops.tick())
        await shops.work(0.25)
    await shops.work(60)
    ends = dict(shops.ends())
    assert [ends[tick] for tick in ticks] == ["cancelled"] * 4 + ["completed"]
    assert bench.most == 1


async def test_an_old_tick_does_not_take_the_turn_of_a_later_one(shops: Workshops) -> None:
    bench = await opened(shops, "cancel", 3)
    later = await shops.tick()
    await shops.work(1)
    earlier = await shops.tick(10)
    await shops.work(5)
    too_late = await shops.tick(10)
    await shops.work(5)
    ends = [(earlier, "cancelled"), (later, "completed"), (too_late, "cancelled")]
    assert shops.ends() == ends
    assert len(bench.began) == 1


async def test_the_run_of_a_dead_worker_is_replaced_when_its_turn_runs_out(
    shops: Workshops,
) -> None:
    await opened(shops, "cancel", 1)
    await somebody_holds_the_turn(shops)
    await shops.work(1)
    tick = await shops.tick()
    await shops.work(TURN_SECONDS - 1)
    assert shops.ends() == []
    await shops.work(5)
    assert shops.ends() == [(tick, "completed")]


# ── Odd times ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("payload", [None, {}, {"scheduled_ms": "soon"}, {"scheduled_ms": 10**30}])
@pytest.mark.parametrize("overlap", ["skip", "queue", "cancel"])
async def test_an_event_that_is_no_tick_of_ours_takes_its_turn_too(
    shops: Workshops, overlap: str, payload: object
) -> None:
    await opened(shops, overlap, 0.1)
    await shops.tick(payload=payload)
    await shops.work(2)
    await shops.tick()
    await shops.work(2)
    assert [kept.result.status for kept in shops.yard.results.stored] == ["completed"] * 2


async def test_a_line_or_a_turn_that_cannot_be_read_is_none(shops: Workshops) -> None:
    await opened(shops, "queue", 0.1)
    scope = StateScope("demo")
    await shops.yard.leases.put(scope, "turn:timer.orders.1", ["what?"])
    await shops.yard.leases.put(scope, "line:timer.orders.1", {"waiting": [1]})
    await shops.tick()
    await shops.work(2)
    assert [kept.result.status for kept in shops.yard.results.stored] == ["completed"]
    assert line.WAITING_MAX == 1000
