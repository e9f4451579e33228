"""The promise: every child runs, or is on its way, or is visibly aside, or the parent knows."""

import asyncio

import pytest
from mode.types.supervisors import SupervisorStrategyT

from actors.errors import ActorStoppedError, RestartBudgetError
from actors.kernel.budget import Backoff, RestartBudget
from actors.kernel.observations import (
    ActorCrashed,
    ActorRestarted,
    ActorStarted,
    ActorStopFailed,
    SupervisorFailed,
)
from actors.kernel.ports import KernelPorts
from actors.kernel.specs import SupervisorSpec
from actors.kernel.supervisor import Supervisor
from tests.support.kernel_tree import Boom, Life, World, ask_count, states

NAMES = ("a", "b", "c", "d", "e")


async def test_five_children_that_crash_together_all_come_back(world: World) -> None:
    root = await world.grow(*(world.child(name) for name in NAMES))
    for name in NAMES:
        root.ref_of(name).tell_nowait("crash")
    await world.clock.advance(1)
    assert set(states(root).values()) == {"running"}
    assert [child.restarts for child in root.children()] == [1] * 5
    assert not root.crashed


async def test_a_crash_during_the_restart_of_another_is_not_lost(world: World) -> None:
    slow = Life(hang_starts=0)
    root = await world.grow(world.child("slow", slow), world.child("b"))
    slow.hang_starts = 1
    root.ref_of("slow").tell_nowait("crash")
    await world.clock.advance(1)
    assert states(root)["slow"] == "restarting"
    root.ref_of("b").tell_nowait("crash")
    await world.clock.advance(1)
    assert states(root) == {"slow": "restarting", "b": "running"}
    await world.clock.advance(30)
    assert states(root) == {"slow": "running", "b": "running"}


async def test_a_crash_right_after_a_restart_is_seen(world: World) -> None:
    root = await world.grow(world.child("a"))
    for _ in range(4):
        root.ref_of("a").tell_nowait("crash")
    root.ref_of("a").tell_nowait("well")
    await world.clock.advance(5)
    assert world.lives["a"].handled == ["well"]
    assert root.children()[0].restarts == 4


async def test_restarts_wait_longer_each_time(world: World) -> None:
    root = await world.grow(
        world.child("a"), backoff=Backoff(initial_seconds=1, factor=2, max_seconds=4)
    )
    for _ in range(3):
        root.ref_of("a").tell_nowait("crash")
    restarts: list[float] = []
    for _ in range(32):
        await world.clock.advance(0.25)
        if len(world.seen_of(ActorRestarted)) > len(restarts):
            restarts.append(world.clock.monotonic())
    assert restarts == [1.0, 3.0, 7.0]


async def test_chance_spreads_the_restarts(world: World) -> None:
    chances = iter((0.0, 0.5))
    ports = KernelPorts(world.clock, lambda: next(chances), world.seen.append)
    spec = SupervisorSpec(
        "root",
        children=(world.child("a"), world.child("b")),
        backoff=Backoff(initial_seconds=1, jitter=1),
    )
    root = Supervisor(spec, ports)
    world.roots.append(root)
    await root.start()
    root.ref_of("a").tell_nowait("crash")
    root.ref_of("b").tell_nowait("crash")
    await world.clock.advance(0.6)
    assert states(root) == {"a": "restarting", "b": "running"}


async def test_a_spent_budget_fails_the_supervisor(world: World) -> None:
    root = await world.grow(world.child("a"), world.child("b"), budget=RestartBudget(2, 10))
    failing = asyncio.ensure_future(root.wait_failed())
    for name in ("a", "b"):
        root.ref_of(name).tell_nowait("crash")
    await world.clock.advance(1)
    assert not failing.done()
    root.ref_of("a").tell_nowait("crash")
    await world.clock.settle()
    error = await failing
    assert isinstance(error, RestartBudgetError)
    assert isinstance(error.__cause__, Boom)
    assert world.seen_of(SupervisorFailed) == [SupervisorFailed("root", "root/a")]


async def test_crashes_spread_over_time_spend_no_budget(world: World) -> None:
    root = await world.grow(world.child("a"), budget=RestartBudget(1, 10))
    for _ in range(5):
        root.ref_of("a").tell_nowait("crash")
        await world.clock.advance(11)
    assert states(root) == {"a": "running"}
    assert root.children()[0].restarts == 5


async def test_a_child_may_have_a_tighter_budget_of_its_own(world: World) -> None:
    root = await world.grow(
        world.child("a", own_budget=RestartBudget(1, 10)), budget=RestartBudget(5, 10)
    )
    root.ref_of("a").tell_nowait("crash")
    root.ref_of("a").tell_nowait("crash")
    await world.clock.advance(1)
    assert root.crashed


async def test_a_failing_start_is_a_crash_like_any_other(world: World) -> None:
    root = await world.grow(world.child("a", Life(fail_starts=2)), world.child("b"))
    assert states(root) == {"a": "restarting", "b": "running"}
    await world.clock.advance(2)
    assert states(root) == {"a": "running", "b": "running"}
    assert len(world.seen_of(ActorCrashed)) == 2
    assert world.lives["a"].stopped == 2
    root.ref_of("b").tell_nowait("crash")
    await world.clock.advance(1)
    assert states(root)["b"] == "running"


async def test_a_start_that_hangs_ends_at_its_limit(world: World) -> None:
    starting = asyncio.ensure_future(
        world.grow(world.child("a", Life(hang_starts=1), start_timeout_seconds=7))
    )
    await world.clock.advance(6)
    assert not starting.done()
    root = await world.until(starting, 10)
    await world.clock.advance(1)
    assert states(root) == {"a": "running"}
    assert world.seen_of(ActorCrashed)[0].error_code == "actors.actor_stopped"


async def test_a_start_cancelled_from_within_is_a_crash(world: World) -> None:
    class Cancelled(Life):
        pass

    life = Cancelled()
    spec = world.child("a", life)
    root = await world.grow()
    tries = 0

    def build(ref: object) -> object:
        nonlocal tries
        tries += 1
        actor = spec.build(ref)  # type: ignore[arg-type]
        if tries == 1:

            async def cancelled() -> None:
                raise asyncio.CancelledError

            actor.on_start = cancelled  # type: ignore[method-assign]
        return actor

    await root.spawn(type(spec)("a", build))  # type: ignore[arg-type]
    assert states(root) == {"a": "restarting"}
    await world.clock.advance(1)
    assert states(root) == {"a": "running"}


async def test_a_builder_that_raises_is_a_crash(world: World) -> None:
    def build(_: object) -> object:
        raise Boom("build")

    root = await world.grow(budget=RestartBudget(1, 10))
    await root.spawn(type(world.child("x"))("a", build))  # type: ignore[arg-type]
    await world.clock.advance(5)
    assert root.crashed


async def test_a_failing_stop_does_not_hold_up_the_restart(world: World) -> None:
    root = await world.grow(world.child("a", Life(fail_stops=1)), world.child("b"))
    root.ref_of("a").tell_nowait("crash")
    await world.clock.advance(1)
    assert states(root) == {"a": "running", "b": "running"}
    [fact] = world.seen_of(ActorStopFailed)
    assert (fact.name, fact.error_code) == ("root/a", "test.boom")


async def test_a_transient_child_comes_back_only_after_a_crash(world: World) -> None:
    root = await world.grow(world.child("a", restart="transient"))
    root.ref_of("a").tell_nowait("crash")
    await world.clock.advance(1)
    assert states(root) == {"a": "running"}
    root.ref_of("a").tell_nowait("finish")
    await world.clock.advance(1)
    assert root.children() == ()


async def test_a_temporary_child_that_crashes_is_gone_and_its_asks_answered(world: World) -> None:
    root = await world.grow(world.child("a", restart="temporary"))
    ref = root.ref_of("a")
    ref.tell_nowait("crash")
    asking = ask_count(ref)
    await world.clock.settle()
    with pytest.raises(ActorStoppedError):
        await asking
    assert root.children() == ()


async def test_children_come_and_go_at_run_time(world: World) -> None:
    root = await world.grow()
    ref = await root.spawn(world.child("a"))
    ref.tell_nowait(1)
    report = await world.until(asyncio.ensure_future(root.remove("a")))
    assert report.is_complete
    assert world.lives["a"].handled == [1]
    assert root.children() == ()
    again = await root.spawn(world.child("a"))
    assert again is not ref
    assert ref.is_stopped


async def test_a_tree_can_be_written_on_one_page(world: World) -> None:
    root = await world.grow(
        SupervisorSpec("t", children=(world.child("a"), world.child("b"))), world.child("c")
    )
    assert states(root) == {"t": "running", "c": "running"}
    assert [child.path for child in root.children()[0].children] == ["root/t/a", "root/t/b"]
    root.supervisor_of("t").ref_of("a").tell_nowait(1)
    assert root.depth == 1


async def test_a_supervisor_that_failed_keeps_its_first_reason(world: World) -> None:
    root = await world.grow()
    await root.crash(Boom("first"))
    await root.crash(Boom("second"))
    assert str(root.crash_reason) == "first"


async def test_names_are_unique_and_known(world: World) -> None:
    root = await world.grow(world.child("a"))
    await root.nest(SupervisorSpec("t"))
    with pytest.raises(ValueError, match="exists"):
        await root.spawn(world.child("a"))
    with pytest.raises(ValueError, match="exists"):
        await root.nest(SupervisorSpec("a"))
    with pytest.raises(LookupError):
        await root.remove("unknown")
    with pytest.raises(LookupError):
        root.ref_of("unknown")
    with pytest.raises(LookupError):
        root.ref_of("t")
    with pytest.raises(LookupError):
        root.supervisor_of("a")
    assert root.supervisor_of("t").path == "root/t"


async def test_a_child_spawned_before_the_start_starts_with_it(world: World) -> None:
    root = Supervisor(SupervisorSpec("root"), world.ports)
    world.roots.append(root)
    await root.spawn(world.child("a"))
    assert states(root) == {"a": "stopped"}
    await root.start()
    assert states(root) == {"a": "running"}


async def test_a_stopped_supervisor_takes_no_children_and_does_not_start(world: World) -> None:
    root = await world.grow()
    await world.until(asyncio.ensure_future(root.stop()))
    with pytest.raises(ActorStoppedError):
        await root.spawn(world.child("a"))
    with pytest.raises(ActorStoppedError):
        await root.start()


async def test_a_removed_tree_takes_no_children(world: World) -> None:
    root = await world.grow()
    nested = await root.nest(SupervisorSpec("t", children=(world.child("a"),)))
    await world.until(asyncio.ensure_future(root.remove("t", drain=False)))
    with pytest.raises(ActorStoppedError):
        await nested.spawn(world.child("b"))
    assert root.beacon.children == []
    assert world.lives["a"].stopped == 1


async def test_it_fits_modes_strategy_interface(world: World) -> None:
    root = await world.grow(world.child("a"))
    assert isinstance(root, SupervisorStrategyT)
    service = root.beacon.children[0].data
    assert root.service_operational(service)
    await root.restart_service(service)
    assert not root.service_operational(service)
    await world.clock.advance(1)
    assert world.lives["a"].started == 2
    with pytest.raises(TypeError):
        root.add(service)
    with pytest.raises(TypeError):
        root.discard(service)


async def test_a_broken_observer_breaks_nothing(world: World) -> None:
    def observe(_: object) -> None:
        raise Boom("observer")

    ports = KernelPorts(world.clock, lambda: 0.0, observe)
    root = Supervisor(SupervisorSpec("root", children=(world.child("a"),)), ports)
    world.roots.append(root)
    await root.start()
    root.ref_of("a").tell_nowait("crash")
    await world.clock.advance(1)
    assert states(root) == {"a": "running"}


async def test_observations_hide_the_text_of_errors(world: World) -> None:
    root = await world.grow(world.child("a"))
    root.ref_of("a").tell_nowait("crash")
    await world.clock.advance(1)
    assert world.seen == [
        ActorStarted("root/a"),
        ActorCrashed("root/a", world.seen[1].error, "test.boom"),
        ActorRestarted("root/a", 1),
    ]
    assert "receive" not in repr(world.seen)


async def test_an_error_in_the_kernel_itself_reaches_the_parent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = await world.grow(world.child("a"))

    def broken(*_: object) -> None:
        raise Boom("kernel")

    monkeypatch.setattr(root, "_look", broken)
    root.wakeup()
    await world.clock.settle()
    assert isinstance(root.crash_reason, Boom)
    assert isinstance(await root.wait_failed(), Boom)


async def test_an_operation_that_breaks_reaches_the_parent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = await world.grow(world.child("a"))

    async def broken(_: float) -> None:
        raise Boom("clock")

    monkeypatch.setattr(world.clock, "sleep", broken)
    root.ref_of("a").tell_nowait("crash")
    await world.clock.settle()
    monkeypatch.undo()
    assert isinstance(root.crash_reason, Boom)
