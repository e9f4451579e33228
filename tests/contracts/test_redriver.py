"""`Redriver` means the same in memory and at the desk: an event's letters become runs, once."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from actors.errors import UnavailableError
from actors.ids import run_id
from actors.outcomes import RunError
from actors.ports import Continuation, DeadLetter, DeadLetters, Redriver
from actors.testing.continuations import MemoryContinuations
from actors.testing.dead_letters import MemoryDeadLetters, MemoryRedriver
from app.control import names
from tests.support.builders import an_event
from tests.support.bus_rig import TENANT, a_rig
from tests.support.letters import a_desk

EVENT = an_event("evt-1")
FAILED = RunError("http.timeout", "call", "no answer")
LETTER = DeadLetter(
    TENANT, "http.timeout", FAILED, 3, "r1", event=EVENT, flow="orders", trigger=2, hops=1
)


@dataclass
class World:
    """The port under test and what it works on."""

    redriver: Redriver
    letters: DeadLetters
    scheduled: MemoryContinuations
    read_letters: Callable[[], Awaitable[list[str]]]


@pytest.fixture(params=["memory", "nats"])
async def world(request: pytest.FixtureRequest, fresh_env: str) -> AsyncIterator[World]:
    scheduled = MemoryContinuations()
    if request.param == "memory":
        letters = MemoryDeadLetters()

        async def parked() -> list[str]:
            return [letter.letter_id for letter in letters.parked]

        yield World(MemoryRedriver(letters, scheduled), letters, scheduled, parked)
        return
    async with (
        a_rig(request.getfixturevalue("nats_server"), fresh_env) as rig,
        a_desk(rig, scheduled) as desk,
    ):

        async def stored() -> list[str]:
            kept = await rig.stored(names.dead_stream(fresh_env))
            return [document["letter_id"] for _, _, document in kept]

        yield World(desk, rig.dead_letters, scheduled, stored)


async def test_letters_of_the_event_become_runs_and_no_others(world: World) -> None:
    other = replace(LETTER, letter_id="r2", flow="billing", trigger=1)
    elsewhere = replace(LETTER, letter_id="r3", event=an_event("evt-2"))
    foreign = replace(LETTER, tenant="other", letter_id="r4")
    for letter in (LETTER, other, elsewhere, foreign):
        await world.letters.park(letter)
    assert await world.redriver.redrive_event(TENANT, "evt-1") == 2
    assert list(world.scheduled.scheduled.values()) == [
        Continuation(run_id("evt-1", "orders", "r1"), "orders", EVENT, trigger=2, hops=1),
        Continuation(run_id("evt-1", "billing", "r2"), "billing", EVENT, trigger=1, hops=1),
    ]
    assert {key[0] for key in world.scheduled.scheduled} == {TENANT}
    assert await world.read_letters() == ["r3", "r4"]


async def test_second_time_there_is_nothing_left(world: World) -> None:
    await world.letters.park(LETTER)
    assert await world.redriver.redrive_event(TENANT, "evt-1") == 1
    assert await world.redriver.redrive_event(TENANT, "evt-1") == 0
    assert len(world.scheduled.scheduled) == 1


async def test_event_without_letters_has_none(world: World) -> None:
    assert await world.redriver.redrive_event(TENANT, "evt-1") == 0
    assert world.scheduled.scheduled == {}


async def test_letter_that_is_no_run_stays(world: World) -> None:
    await world.letters.park(replace(LETTER, flow=None))
    await world.letters.park(DeadLetter(TENANT, "no_event", FAILED, 1, "S:1", raw=b"\xff"))
    assert await world.redriver.redrive_event(TENANT, "evt-1") == 0
    assert await world.read_letters() == ["r1", "S:1"]


async def test_run_of_a_batch_and_of_a_parent_comes_back_whole(world: World) -> None:
    batch = (EVENT, an_event("evt-9"))
    letter = replace(LETTER, events=batch, parent_run_id="r0", trigger=None, attempts=4)
    await world.letters.park(letter)
    await world.redriver.redrive_event(TENANT, "evt-1")
    [waiting] = world.scheduled.scheduled.values()
    assert (waiting.events, waiting.parent_run_id, waiting.trigger) == (batch, "r0", None)
    assert (waiting.attempt, waiting.leg, waiting.round, waiting.version) == (1, 0, 0, None)


async def test_letter_whose_run_cannot_be_stored_stays(world: World) -> None:
    await world.letters.park(LETTER)

    async def refuse(*_: Any, **__: Any) -> None:
        raise UnavailableError("WORK is away")

    schedule, world.scheduled.schedule = world.scheduled.schedule, refuse  # type: ignore[method-assign]
    with pytest.raises(UnavailableError):
        await world.redriver.redrive_event(TENANT, "evt-1")
    assert await world.read_letters() == ["r1"]
    world.scheduled.schedule = schedule  # type: ignore[method-assign]
    assert await world.redriver.redrive_event(TENANT, "evt-1") == 1
