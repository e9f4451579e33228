"""Trees: what spent budgets do to a parent, and children that are set aside."""

import asyncio

import pytest

from actors.errors import ActorStoppedError, RestartBudgetError
from actors.kernel.budget import RestartBudget
from actors.kernel.observations import (
    ChildQuarantined,
)
from actors.kernel.specs import Quarantine, SupervisorSpec
from tests.support.kernel_tree import Boom, World, states


async def test_a_quarantined_child_leaves_its_siblings_alone(world: World) -> None:
    root = await world.grow(
        world.child("a", on_exhausted=Quarantine(60), own_budget=RestartBudget(1, 10)),
        world.child("b"),
        budget=RestartBudget(0, 10),
    )
    ref = root.ref_of("a")
    for message in ("crash", "crash", "waits"):
        ref.tell_nowait(message)
    await world.clock.advance(1)
    assert states(root) == {"a": "quarantined", "b": "running"}
    assert world.seen_of(ChildQuarantined)[0].retry_after_seconds == 60
    snapshot = root.children()[0]
    assert isinstance(snapshot.last_error, Boom)
    assert (snapshot.restarts, snapshot.depth, snapshot.path) == (1, 1, "root/a")
    with pytest.raises(ActorStoppedError):
        await ref.tell("refused meanwhile")
    await world.clock.advance(60)
    assert states(root) == {"a": "running", "b": "running"}
    assert world.lives["a"].handled == ["waits"]
    assert world.lives["b"].started == 1


async def test_a_child_out_of_quarantine_has_a_fresh_budget(world: World) -> None:
    root = await world.grow(
        world.child("a", on_exhausted=Quarantine(5), own_budget=RestartBudget(1, 100))
    )
    for _ in range(2):
        root.ref_of("a").tell_nowait("crash")
    await world.clock.advance(6)
    root.ref_of("a").tell_nowait("crash")
    await world.clock.advance(1)
    assert states(root) == {"a": "running"}
    root.ref_of("a").tell_nowait("crash")
    await world.clock.advance(1)
    assert states(root) == {"a": "quarantined"}


async def test_a_child_in_quarantine_can_be_removed(world: World) -> None:
    root = await world.grow(
        world.child("a", on_exhausted=Quarantine(5), own_budget=RestartBudget(0, 100))
    )
    root.ref_of("a").tell_nowait("crash")
    await world.clock.settle()
    report = await world.until(asyncio.ensure_future(root.remove("a")))
    assert report.finished == ("root/a",)
    await world.clock.advance(10)
    assert world.lives["a"].started == 1


async def test_a_nested_supervisor_that_failed_restarts_its_healthy_children_too(
    world: World,
) -> None:
    root = await world.grow()
    nested = await root.nest(
        SupervisorSpec(
            "t", children=(world.child("a"), world.child("b")), budget=RestartBudget(0, 10)
        )
    )
    late = await nested.spawn(world.child("late"))
    nested.ref_of("a").tell_nowait("crash")
    await world.clock.advance(1)
    assert states(nested) == {"a": "running", "b": "running", "late": "running"}
    assert world.lives["b"].started == 2
    assert root.children()[0].restarts == 1
    await late.tell("still the same ref")
    await world.clock.settle()
    assert world.lives["late"].handled == ["still the same ref"]


async def test_failures_climb_to_the_root(world: World) -> None:
    root = await world.grow(budget=RestartBudget(1, 60))
    nested = await root.nest(SupervisorSpec("t", budget=RestartBudget(0, 10)))
    ref = await nested.spawn(world.child("a"))
    ref.tell_nowait("crash")
    await world.clock.advance(1)
    assert not root.crashed
    ref.tell_nowait("crash")
    await world.clock.advance(1)
    assert isinstance(root.crash_reason, RestartBudgetError)


async def test_a_tenant_that_spent_its_budget_is_set_aside_at_once(world: World) -> None:
    root = await world.grow(world.child("other"))
    tenant = await root.nest(
        SupervisorSpec("t", budget=RestartBudget(1, 10), on_exhausted=Quarantine(60))
    )
    ref = await tenant.spawn(world.child("a"))
    ref.tell_nowait("crash")
    ref.tell_nowait("crash")
    await world.clock.advance(1)
    assert states(root) == {"other": "running", "t": "quarantined"}
    assert states(tenant) == {"a": "stopped"}
    with pytest.raises(ActorStoppedError):
        ref.tell_nowait("refused")
    spawned = await tenant.spawn(world.child("added meanwhile"[:5]))
    await world.clock.advance(60)
    assert states(tenant) == {"a": "running", "added": "running"}
    assert states(root)["t"] == "running"
    spawned.tell_nowait(1)
    ref.tell_nowait(2)
    await world.clock.settle()
    assert world.lives["a"].handled == [2]


async def test_a_grandchild_set_aside_comes_back_with_its_supervisor(world: World) -> None:
    root = await world.grow()
    tenant = await root.nest(SupervisorSpec("t", budget=RestartBudget(0, 10)))
    aside = await tenant.spawn(
        world.child("a", on_exhausted=Quarantine(1000), own_budget=RestartBudget(0, 10))
    )
    other = await tenant.spawn(world.child("b"))
    aside.tell_nowait("crash")
    await world.clock.settle()
    assert states(tenant)["a"] == "quarantined"
    other.tell_nowait("crash")
    await world.clock.advance(1)
    assert states(tenant) == {"a": "running", "b": "running"}
    aside.tell_nowait("taken")
    await world.clock.settle()
    assert world.lives["a"].handled == ["taken"]
