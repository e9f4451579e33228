"""Draining and stopping: in parallel, within their time, and honest about who did not finish."""

import asyncio

import pytest

from actors.errors import ActorStoppedError
from actors.kernel.budget import RestartBudget
from actors.kernel.observations import ActorAbandoned
from actors.kernel.specs import Quarantine, SupervisorSpec
from tests.support.kernel_tree import Life, Probe, World, ask_count


async def test_a_drain_lets_everybody_finish(world: World) -> None:
    root = await world.grow(world.child("a"))
    nested = await root.nest(SupervisorSpec("t", children=(world.child("b"),)))
    for ref in (root.ref_of("a"), nested.ref_of("b")):
        for number in range(50):
            ref.tell_nowait(number)
    report = await world.until(asyncio.ensure_future(root.drain(10)))
    assert report.finished == ("root/a", "root/t/b")
    assert report.is_complete
    for name in "ab":
        life = world.lives[name]
        assert life.handled == list(range(50))
        assert (life.drained, life.stopped) == (1, 1)


async def test_a_drain_is_bounded_and_names_those_who_did_not_finish(world: World) -> None:
    root = await world.grow(world.child("slow"), world.child("quick"))
    root.ref_of("slow").tell_nowait("hang")
    root.ref_of("quick").tell_nowait(1)
    draining = asyncio.ensure_future(root.drain(10))
    await world.clock.advance(9.9)
    assert not draining.done()
    await world.clock.advance(0.2)
    report = await draining
    assert (report.finished, report.unfinished) == (("root/quick",), ("root/slow",))
    assert not report.is_complete
    assert world.lives["slow"].stopped == 1


async def test_drains_run_side_by_side(world: World) -> None:
    root = await world.grow(*(world.child(name) for name in "abc"))
    for name in "abc":
        root.ref_of(name).tell_nowait("hang")
    draining = asyncio.ensure_future(root.drain(10))
    await world.clock.advance(10.1)
    assert len((await draining).unfinished) == 3


async def test_a_draining_supervisor_takes_nothing_new(world: World) -> None:
    root = await world.grow(world.child("a"))
    root.ref_of("a").tell_nowait("hang")
    draining = asyncio.ensure_future(root.drain(10))
    await world.clock.settle()
    with pytest.raises(ActorStoppedError):
        root.ref_of("a").tell_nowait("late")
    with pytest.raises(ActorStoppedError):
        await root.spawn(world.child("b"))
    world.lives["a"].gate.set()
    assert (await world.until(draining, 1)).is_complete


async def test_a_crash_while_draining_is_not_restarted(world: World) -> None:
    root = await world.grow(world.child("a"))
    root.ref_of("a").tell_nowait("crash")
    root.ref_of("a").tell_nowait("unread")
    report = await world.until(asyncio.ensure_future(root.drain(10)))
    assert report.unfinished == ("root/a",)
    assert world.lives["a"].built == 1


async def test_a_drain_ends_pending_restarts_and_quarantines(world: World) -> None:
    root = await world.grow(
        world.child("aside", on_exhausted=Quarantine(60), own_budget=RestartBudget(0, 1)),
        world.child("starting", Life(fail_starts=99)),
    )
    root.ref_of("aside").tell_nowait("crash")
    root.ref_of("starting").tell_nowait("unread")
    await world.clock.settle()
    report = await world.until(asyncio.ensure_future(root.drain(10)))
    assert (report.finished, report.unfinished) == (("root/aside",), ("root/starting",))


async def test_an_actor_may_finish_its_tasks_when_drained(world: World) -> None:
    done: list[str] = []

    class Patient(Probe):
        async def on_drain(self) -> None:
            await self.wait_tasks()

    async def work() -> None:
        await world.clock.sleep(3)
        done.append("work")

    async def begin(probe: Probe) -> None:
        probe.add_task(work())

    root = await world.grow()
    spec = world.child("a")
    ref = await root.spawn(type(spec)("a", lambda _: Patient(world.lives["a"])))
    ref.tell_nowait(begin)
    report = await world.until(asyncio.ensure_future(root.remove("a")))
    assert report.is_complete
    assert done == ["work"]


async def test_a_stop_cancels_the_message_in_hand(world: World) -> None:
    root = await world.grow(world.child("a"))
    root.ref_of("a").tell_nowait("hang")
    await world.clock.settle()
    await world.until(asyncio.ensure_future(root.stop()), 0)
    assert world.lives["a"].handled == []
    assert world.lives["a"].stopped == 1
    assert root.children()[0].state == "stopped"


async def test_a_task_that_swallows_its_cancellation_does_not_hang_the_stop(world: World) -> None:
    root = await world.grow(world.child("a", stop_timeout_seconds=3), world.child("b"))
    root.ref_of("a").tell_nowait("swallow")
    root.ref_of("a").tell_nowait("never taken")
    await world.clock.settle()
    stopping = asyncio.ensure_future(root.stop())
    await world.clock.advance(2.9)
    assert not stopping.done()
    assert world.lives["b"].stopped == 1
    await world.clock.advance(0.2)
    await stopping
    assert world.seen_of(ActorAbandoned) == [ActorAbandoned("root/a", 3)]
    world.lives["a"].gate.set()
    await world.clock.settle()
    assert world.lives["a"].handled == ["swallow"]


async def test_a_child_that_does_not_stop_is_replaced_all_the_same(world: World) -> None:
    async def crash_stubbornly(probe: Probe) -> None:
        async def stay() -> None:
            while not probe.life.gate.is_set():
                try:
                    await probe.life.gate.wait()
                except asyncio.CancelledError:
                    continue

        probe.add_task(stay())
        await asyncio.sleep(0)
        raise ValueError

    root = await world.grow(world.child("a", stop_timeout_seconds=2))
    root.ref_of("a").tell_nowait(crash_stubbornly)
    root.ref_of("a").tell_nowait("next")
    await world.clock.advance(1)
    assert world.lives["a"].handled == []
    await world.clock.advance(2)
    assert world.lives["a"].handled == ["next"]
    assert len(world.seen_of(ActorAbandoned)) == 1


async def test_an_on_stop_that_hangs_is_bounded(world: World) -> None:
    class Stuck(Probe):
        async def on_stop(self) -> None:
            await asyncio.Event().wait()

    root = await world.grow()
    spec = world.child("a")
    await root.spawn(type(spec)("a", lambda _: Stuck(Life()), stop_timeout_seconds=4))
    stopping = asyncio.ensure_future(root.stop())
    await world.clock.advance(4.1)
    assert stopping.done()
    assert world.seen_of(ActorAbandoned) == [ActorAbandoned("root/a", 4)]


async def test_a_stop_is_no_drain_and_no_crash(world: World) -> None:
    root = await world.grow(*(world.child(name) for name in "abc"))
    root.ref_of("a").tell_nowait("crash")
    await world.clock.settle()
    await world.until(asyncio.ensure_future(root.stop()))
    assert [child.state for child in root.children()] == ["stopped"] * 3
    for name in "bc":
        life = world.lives[name]
        assert (life.built, life.drained, life.stopped) == (1, 0, 1)


async def test_a_removal_without_drain_is_no_drain(world: World) -> None:
    root = await world.grow(world.child("a"))
    await world.until(asyncio.ensure_future(root.remove("a", drain=False)))
    assert (world.lives["a"].drained, world.lives["a"].stopped) == (0, 1)


async def test_a_closed_mailbox_alone_does_not_end_an_actor(world: World) -> None:
    root = await world.grow(world.child("a"))
    root.ref_of("a").suspend()
    await world.clock.advance(10)
    assert root.children()[0].restarts == 0
    assert world.lives["a"].drained == 0


async def test_stopping_answers_pending_asks(world: World) -> None:
    root = await world.grow(world.child("a"))
    root.ref_of("a").tell_nowait("hang")
    asking = ask_count(root.ref_of("a"), timeout_seconds=1000)
    await world.clock.settle()
    await world.until(asyncio.ensure_future(root.stop()), 0)
    with pytest.raises(ActorStoppedError):
        await asking


async def test_a_second_stop_waits_for_the_first(world: World) -> None:
    root = await world.grow(world.child("a", stop_timeout_seconds=5))
    root.ref_of("a").tell_nowait("swallow")
    await world.clock.settle()
    first = asyncio.ensure_future(root.stop())
    second = asyncio.ensure_future(root.stop())
    await world.clock.advance(4)
    assert not first.done()
    assert not second.done()
    await world.clock.advance(1.1)
    assert first.done()
    assert second.done()


async def test_a_stop_during_a_restart_waits_for_the_same_halt(world: World) -> None:
    root = await world.grow(world.child("a", Life(), stop_timeout_seconds=5))

    async def crash_stubbornly(probe: Probe) -> None:
        async def stay() -> None:
            while not probe.life.gate.is_set():
                try:
                    await probe.life.gate.wait()
                except asyncio.CancelledError:
                    continue

        probe.add_task(stay())
        await asyncio.sleep(0)
        raise ValueError

    root.ref_of("a").tell_nowait(crash_stubbornly)
    await world.clock.advance(1)
    stopping = asyncio.ensure_future(root.stop())
    await world.clock.advance(3)
    assert not stopping.done()
    await world.clock.advance(1.1)
    assert stopping.done()
    assert world.lives["a"].built == 1


async def test_a_stop_reaches_a_child_that_is_leaving(world: World) -> None:
    root = await world.grow(world.child("a"))
    root.ref_of("a").tell_nowait("hang")
    removing = asyncio.ensure_future(root.remove("a"))
    await world.clock.advance(1)
    await world.until(asyncio.ensure_future(root.stop()), 0)
    assert (await removing).unfinished == ("root/a",)
    assert world.lives["a"].stopped == 1


async def test_a_successor_may_start_while_the_old_child_finishes(world: World) -> None:
    old = Life()
    root = await world.grow(world.child("a", old))
    root.ref_of("a").tell_nowait("hang")
    removing = asyncio.ensure_future(root.remove("a"))
    await world.clock.settle()
    world.lives.clear()
    fresh = await root.spawn(world.child("a"))
    fresh.tell_nowait("new")
    await world.clock.settle()
    assert world.lives["a"].handled == ["new"]
    old.gate.set()
    assert (await world.until(removing)).is_complete
    assert root.children()[0].state == "running"


async def test_back_pressure_reaches_the_sender(world: World) -> None:
    root = await world.grow(world.child("a", mailbox_capacity=2))
    ref = root.ref_of("a")
    ref.tell_nowait("hang")
    await world.clock.settle()
    ref.tell_nowait(1)
    ref.tell_nowait(2)
    telling = asyncio.ensure_future(ref.tell(3))
    await world.clock.settle()
    assert not telling.done()
    world.lives["a"].gate.set()
    await world.until(telling, 0)
    assert world.lives["a"].handled == ["hang", 1, 2, 3]
