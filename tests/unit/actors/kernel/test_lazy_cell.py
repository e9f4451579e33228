"""Actors that exist only while they are wanted: built for a message, gone when idle, never lost."""

from typing import Any

import pytest

from actors.errors import ActorStoppedError
from actors.kernel.actor import Actor
from actors.kernel.budget import RestartBudget
from actors.kernel.observations import ActorCrashed, ActorRestarted
from actors.kernel.specs import ChildSpec, Quarantine
from actors.kernel.supervisor import Supervisor
from tests.support.kernel_tree import Life, World, ask_count, states

IDLE = 60.0


async def grow(world: World, life: Life | None = None, **fields: Any) -> Supervisor:
    return await world.grow(world.child("a", life, idle_seconds=IDLE, **fields))


async def test_nothing_is_built_before_the_first_message(world: World) -> None:
    root = await grow(world)
    await world.clock.advance(10 * IDLE)
    assert (world.lives["a"].built, states(root)) == (0, {"a": "running"})


async def test_the_first_message_has_it_built_once_and_all_are_handled_in_order(
    world: World,
) -> None:
    root = await grow(world)
    for number in range(5):
        root.ref_of("a").tell_nowait(number)
    await world.clock.advance(1)
    assert (world.lives["a"].started, world.lives["a"].handled) == (1, [0, 1, 2, 3, 4])


async def test_one_with_nothing_to_do_goes_and_the_next_message_has_another_built(
    world: World,
) -> None:
    root = await grow(world)
    life = world.lives["a"]
    root.ref_of("a").tell_nowait("first")
    await world.clock.advance(3 * IDLE)
    assert (life.started, life.stopped, states(root)) == (1, 1, {"a": "running"})
    root.ref_of("a").tell_nowait("second")
    await world.clock.advance(1)
    assert (life.started, life.handled) == (2, ["first", "second"])
    assert not world.seen_of(ActorRestarted)
    assert root.children()[0].restarts == 0


async def test_one_that_is_used_now_and_then_stays(world: World) -> None:
    root = await grow(world)
    for number in range(10):
        root.ref_of("a").tell_nowait(number)
        await world.clock.advance(IDLE * 0.75)
    assert (world.lives["a"].built, world.lives["a"].stopped) == (1, 0)


async def test_one_with_a_message_in_hand_stays(world: World) -> None:
    root = await grow(world)
    life = world.lives["a"]
    root.ref_of("a").tell_nowait("hang")
    await world.clock.advance(10 * IDLE)
    assert life.stopped == 0
    life.gate.set()
    await world.clock.advance(3 * IDLE)
    assert (life.handled, life.stopped) == (["hang"], 1)


async def test_one_with_work_beside_stays(world: World) -> None:
    root = await grow(world)
    life = world.lives["a"]

    async def work(actor: Actor[object]) -> None:
        actor.add_task(life.gate.wait())  # type: ignore[arg-type]  # nobody reads what it gives

    root.ref_of("a").tell_nowait(work)
    await world.clock.advance(10 * IDLE)
    assert life.stopped == 0
    life.gate.set()
    await world.clock.advance(3 * IDLE)
    assert life.stopped == 1


async def test_a_message_in_the_moment_it_goes_is_for_the_next_one(world: World) -> None:
    life = Life()

    class Late(Actor[object]):
        async def on_start(self) -> None:
            life.started += 1

        async def receive(self, message: object) -> None:
            life.handled.append((life.started, message))

        async def on_stop(self) -> None:
            life.stopped += 1
            if life.stopped == 1:
                ref.tell_nowait("late")

    root = await world.grow(ChildSpec("a", lambda _: Late(), idle_seconds=IDLE))
    ref = root.ref_of("a")
    ref.tell_nowait("early")
    await world.clock.advance(3 * IDLE)
    assert life.handled == [(1, "early"), (2, "late")]


async def test_an_ask_wakes_it_too(world: World) -> None:
    root = await grow(world)
    assert await ask_count(root.ref_of("a")) == 0


async def test_a_crash_is_a_crash_and_what_waits_is_handled_after_it(world: World) -> None:
    root = await grow(world)
    for message in ("crash", "well"):
        root.ref_of("a").tell_nowait(message)
    await world.clock.advance(5)
    assert (world.lives["a"].handled, root.children()[0].restarts) == (["well"], 1)


async def test_a_crash_with_nothing_left_to_do_leaves_it_asleep(world: World) -> None:
    root = await grow(world)
    root.ref_of("a").tell_nowait("crash")
    await world.clock.advance(5)
    assert (world.lives["a"].built, root.children()[0].restarts) == (1, 1)
    assert states(root) == {"a": "running"}


@pytest.mark.parametrize("how", ["fail", "hang"])
async def test_a_start_that_fails_is_a_crash(world: World, how: str) -> None:
    life = Life(fail_starts=how == "fail", hang_starts=how == "hang")
    root = await grow(world, life, start_timeout_seconds=3.0)
    root.ref_of("a").tell_nowait("well")
    await world.clock.advance(10)
    assert len(world.seen_of(ActorCrashed)) == 1
    assert (life.handled, root.children()[0].restarts) == (["well"], 1)


async def test_a_spent_budget_sets_it_aside_and_it_comes_back_to_its_messages(
    world: World,
) -> None:
    budget = RestartBudget(restarts=2, seconds=30)
    root = await grow(world, own_budget=budget, on_exhausted=Quarantine(100.0))
    ref = root.ref_of("a")
    for message in ("crash", "crash", "crash", "well"):
        ref.tell_nowait(message)
    await world.clock.advance(10)
    assert states(root) == {"a": "quarantined"}
    with pytest.raises(ActorStoppedError):
        ref.tell_nowait("refused")
    await world.clock.advance(100)
    assert (states(root), world.lives["a"].handled) == ({"a": "running"}, ["well"])


async def test_a_drain_of_one_asleep_is_over_at_once(world: World) -> None:
    root = await grow(world)
    report = await root.drain(10)
    assert (report.finished, world.lives["a"].built) == (("root/a",), 0)


async def test_a_drain_handles_what_has_only_begun_to_wake_it(world: World) -> None:
    root = await grow(world)
    ref = root.ref_of("a")
    ref.tell_nowait("well")
    report = await root.drain(10)
    assert report.is_complete
    assert (world.lives["a"].handled, world.lives["a"].drained) == (["well"], 1)
    with pytest.raises(ActorStoppedError):
        ref.tell_nowait("late")


async def test_one_that_is_stopped_wakes_no_more(world: World) -> None:
    root = await grow(world)
    ref = root.ref_of("a")
    ref.tell_nowait("well")
    await root.stop()
    with pytest.raises(ActorStoppedError):
        ref.tell_nowait("late")
    await world.clock.advance(5)
    assert world.lives["a"].started == world.lives["a"].stopped == 1


def test_idle_time_is_some_time() -> None:
    with pytest.raises(ValueError, match="idle"):
        ChildSpec("a", lambda _: Actor(), idle_seconds=0)  # type: ignore[abstract]
