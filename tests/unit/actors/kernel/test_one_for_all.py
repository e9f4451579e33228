"""Children that stand and fall together."""

import asyncio

from actors.kernel.budget import RestartBudget
from tests.support.kernel_tree import Life, World, states

NAMES = ("a", "b", "c", "d", "e")


async def test_one_for_all_restarts_all_in_their_order(world: World) -> None:
    order: list[str] = []
    root = await world.grow(
        *(world.child(name, Life(order=order)) for name in ("a", "b", "c")), strategy="one_for_all"
    )
    assert order == ["a", "b", "c"]
    root.ref_of("b").tell_nowait("crash")
    root.ref_of("c").tell_nowait("crash")
    await world.clock.advance(1)
    assert order == ["a", "b", "c"] * 2
    assert set(states(root).values()) == {"running"}


async def test_one_for_all_counts_a_common_crash_once(world: World) -> None:
    root = await world.grow(
        *(world.child(name) for name in NAMES), strategy="one_for_all", budget=RestartBudget(1, 10)
    )
    for name in NAMES:
        root.ref_of(name).tell_nowait("crash")
    await world.clock.advance(1)
    assert set(states(root).values()) == {"running"}
    root.ref_of("a").tell_nowait("crash")
    await world.clock.advance(1)
    assert root.crashed


async def test_one_for_all_sees_a_crash_during_its_restart(world: World) -> None:
    root = await world.grow(
        world.child("a"), world.child("b", Life(fail_starts=0)), strategy="one_for_all"
    )
    world.lives["b"].fail_starts = 2
    root.ref_of("a").tell_nowait("crash")
    await world.clock.advance(3)
    assert set(states(root).values()) == {"running"}
    assert world.lives["a"].started == 4


async def test_one_for_all_leaves_out_a_child_removed_meanwhile(world: World) -> None:
    root = await world.grow(world.child("a"), world.child("b"), strategy="one_for_all")
    root.ref_of("a").tell_nowait("crash")
    await world.clock.settle()
    await world.until(asyncio.ensure_future(root.remove("b", drain=False)), 0)
    await world.clock.advance(1)
    assert states(root) == {"a": "running"}
    assert world.lives["b"].started == 1


async def test_one_for_all_with_a_temporary_child_lets_it_go(world: World) -> None:
    root = await world.grow(
        world.child("a"), world.child("b", restart="temporary"), strategy="one_for_all"
    )
    root.ref_of("b").tell_nowait("crash")
    await world.clock.advance(1)
    assert states(root) == {"a": "running"}
    assert world.lives["a"].started == 1


async def test_one_for_all_takes_in_a_child_that_is_still_starting(world: World) -> None:
    root = await world.grow(world.child("a"), strategy="one_for_all")
    spawning = asyncio.ensure_future(root.spawn(world.child("b", Life(hang_starts=1))))
    await world.clock.settle()
    root.ref_of("a").tell_nowait("crash")
    await world.clock.advance(1)
    await spawning
    assert states(root) == {"a": "running", "b": "running"}
