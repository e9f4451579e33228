"""Turns and lines by themselves: who is first, who has lost, and writers that get in between."""

import asyncio
from typing import Any

import pytest

from actors.errors import UnavailableError
from actors.outcomes import Completed
from actors.ports import StateEntry, StateScope
from actors.runs.begin import begin
from actors.runs.line import TRIES_MAX, Line
from actors.runs.overlap import OverlapGuard
from actors.runs.turns import RENEW_SECONDS, TURN_SECONDS, Claim, Turn, Turns, TurnState
from actors.runs.walk import Walker
from actors.testing.state import MemoryStateStore
from tests.support.builders import Yard, a_flow

ONE = Claim("demo", "timer.orders.1", "run-1", 1000)
TWO = Claim("demo", "timer.orders.1", "run-2", 2000)


class Crowded:
    """A store whose next writes come too late: somebody else was quicker."""

    def __init__(self, store: MemoryStateStore) -> None:
        self.store = store
        self.late = 0
        self.is_cut = False

    async def get(self, scope: StateScope, key: str) -> StateEntry:
        if self.is_cut:
            raise UnavailableError("cut off")
        return await self.store.get(scope, key)

    async def put(self, scope: StateScope, key: str, value: Any, **more: Any) -> bool:
        if self.late:
            self.late -= 1
            return False
        return await self.store.put(scope, key, value, **more)

    async def delete(self, scope: StateScope, key: str, **more: Any) -> None:
        await self.store.delete(scope, key, **more)


@pytest.fixture
def store(yard: Yard) -> Crowded:
    return Crowded(yard.leases)


@pytest.fixture
def turns(yard: Yard, store: Crowded) -> Turns:
    return Turns(store, yard.clock, yard.stage.ids)


@pytest.fixture
def line(yard: Yard, store: Crowded) -> Line:
    return Line(store, yard.clock)


@pytest.fixture
async def turn(turns: Turns) -> Turn:
    taken = await turns.take(ONE)
    assert taken is not None
    return taken


# ── Turns ────────────────────────────────────────────────────────────────────────────────────


async def test_one_has_the_turn_until_it_is_given_back(turns: Turns, turn: Turn) -> None:
    assert await turns.take(TWO) is None
    assert await turns.look(turn) is TurnState.HELD
    await turns.give_back(turn)
    assert await turns.look(turn) is TurnState.LOST
    holder = await turns.find_holder(TWO)
    assert holder is not None
    assert (holder.run_id, holder.is_over) == ("run-1", True)
    assert await turns.take(TWO) is not None


async def test_the_same_run_takes_the_turn_from_itself_and_the_first_has_lost_it(
    turns: Turns, turn: Turn
) -> None:
    again = await turns.take(ONE)
    assert again is not None
    assert await turns.look(turn) is TurnState.LOST
    await turns.give_back(turn)
    assert await turns.look(again) is TurnState.HELD, "the first one gave nothing back"


async def test_who_comes_too_late_has_no_turn(turns: Turns, store: Crowded) -> None:
    store.late = 1
    assert await turns.take(ONE) is None


async def test_a_turn_runs_out_unless_it_is_renewed(turns: Turns, turn: Turn, yard: Yard) -> None:
    for _ in range(10):
        await yard.clock.advance(RENEW_SECONDS)
        assert await turns.look(turn) is TurnState.HELD
    await yard.clock.advance(TURN_SECONDS)
    assert await turns.look(turn) is TurnState.LOST
    assert await turns.take(TWO) is not None


async def test_a_renewal_that_comes_too_late_is_tried_again(
    turns: Turns, turn: Turn, yard: Yard, store: Crowded
) -> None:
    await yard.clock.advance(RENEW_SECONDS)
    store.late = 1
    assert await turns.look(turn) is TurnState.HELD
    assert turn.renewed_at == 0.0
    assert await turns.look(turn) is TurnState.HELD
    assert turn.renewed_at == RENEW_SECONDS


async def test_one_word_cancels_and_a_free_turn_needs_none(turns: Turns, turn: Turn) -> None:
    await turns.cancel(TWO)
    await turns.cancel(Claim("demo", "timer.orders.1", "run-3", 3000))
    assert await turns.look(turn) is TurnState.CANCELLED
    holder = await turns.find_holder(TWO)
    assert holder is not None
    assert holder.cancelled_by == "run-2"
    await turns.give_back(turn)
    await turns.cancel(TWO)
    assert await turns.take(TWO) is not None


async def test_giving_back_insists(turns: Turns, turn: Turn, store: Crowded) -> None:
    store.late = 3
    await turns.give_back(turn)
    assert await turns.look(turn) is TurnState.LOST


async def test_giving_back_waits_for_the_bus_until_the_turn_runs_out_by_itself(
    turn: Turn, yard: Yard, store: Crowded
) -> None:
    seat = yard.seat(a_flow())
    guard = OverlapGuard(seat, store, Walker({}))
    run = begin(yard.request(seat.flow), seat)
    run.turn = turn
    store.is_cut = True
    giving = asyncio.ensure_future(guard.let_go(run, Completed(None)))
    await yard.clock.advance(TURN_SECONDS - 1)
    assert not giving.done()
    await yard.clock.advance(2)
    assert giving.done()


# ── Lines ────────────────────────────────────────────────────────────────────────────────────


async def test_the_earliest_tick_is_first_whoever_came_first(line: Line, yard: Yard) -> None:
    assert await line.is_first(TWO)
    now_ms = yard.clock.now_ms()
    assert await line.join(TWO) == now_ms + 1000
    assert await line.join(ONE) == now_ms + 1000
    assert await line.join(TWO) == now_ms + 2000
    assert (await line.is_first(ONE), await line.is_first(TWO)) == (True, False)
    await line.leave(ONE)
    await line.leave(ONE)
    assert await line.is_first(TWO)


@pytest.mark.parametrize("late", [1, TRIES_MAX - 1])
async def test_a_crowd_at_the_line_loses_nobody(line: Line, store: Crowded, late: int) -> None:
    store.late = late
    await line.join(ONE)
    assert not await line.is_first(TWO)
    store.late = late
    await line.leave(ONE)
    assert await line.is_first(TWO)


async def test_who_finds_no_place_in_a_crowd_comes_back_soon(
    line: Line, store: Crowded, yard: Yard
) -> None:
    store.late = TRIES_MAX
    assert await line.join(ONE) == yard.clock.now_ms() + 1000
    assert await line.is_first(TWO)
    await line.join(ONE)
    store.late = TRIES_MAX
    await line.leave(ONE)
    assert not await line.is_first(TWO), "its place is let go when it does not come back"


async def test_the_further_back_the_less_often_it_looks(line: Line, yard: Yard) -> None:
    now_ms = yard.clock.now_ms()
    waits = []
    for number in range(70):
        due_ms = await line.join(Claim("demo", "timer.orders.1", f"run-{number:02}", number))
        assert due_ms is not None
        waits.append((due_ms - now_ms) // 1000)
    assert waits == [min(1 + number, 60) for number in range(70)]
