"""One actor under a supervisor: its hooks, its loop, its ways to end."""

import asyncio
import logging

import pytest
from mode.services import Service

from actors.errors import ActorStoppedError
from actors.kernel.actor import Actor
from actors.kernel.mailbox import Mailbox
from actors.kernel.observations import ActorCrashed, ActorStopped
from actors.kernel.service import MESSAGES_PER_TURN_MAX, ActorService
from actors.kernel.specs import ChildSpec
from tests.support.kernel_tree import Boom, Life, Probe, World, ask_count


class Batches(Actor[int]):
    batch_max = 4

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    async def receive(self, message: int) -> None:
        raise AssertionError

    async def receive_many(self, messages: list[int]) -> None:
        self.batches.append(messages)
        if 13 in messages:
            raise Boom


async def test_messages_are_handled_one_by_one_in_order(world: World) -> None:
    root = await world.grow(world.child("a"))
    for number in range(200):
        await root.ref_of("a").tell(number)
    await world.clock.settle()
    assert world.lives["a"].handled == list(range(200))


async def test_an_actor_is_a_service_of_mode_in_the_beacon_tree(world: World) -> None:
    root = await world.grow(world.child("a"))
    [node] = root.beacon.children
    assert isinstance(root, Service)
    assert isinstance(node.data, ActorService)
    for _ in range(3):
        root.ref_of("a").tell_nowait("crash")
        await world.clock.advance(1)
    assert len(root.beacon.children) == 1
    await root.remove("a")
    assert root.beacon.children == []


async def test_an_actor_may_take_all_that_waits(world: World) -> None:
    made: list[Batches] = []

    def build(_: object) -> Batches:
        made.append(Batches())
        return made[-1]

    root = await world.grow()
    ref = await root.spawn(ChildSpec("a", build))
    for number in (*range(10, 19), 20):
        ref.tell_nowait(number)
    await world.clock.advance(1)
    assert [actor.batches for actor in made] == [[[10, 11, 12, 13]], [[14, 15, 16, 17], [18, 20]]]


async def test_receive_many_hands_over_one_by_one_unless_overridden() -> None:
    life = Life()
    await Probe(life).receive_many([1, 2])
    assert life.handled == [1, 2]


async def test_a_restart_loses_only_the_message_in_hand(world: World) -> None:
    root = await world.grow(world.child("a"))
    for message in (1, "crash", 2, 3):
        root.ref_of("a").tell_nowait(message)
    await world.clock.advance(1)
    life = world.lives["a"]
    assert life.handled == [1, 2, 3]
    assert (life.built, life.started, life.stopped) == (2, 2, 1)


async def test_a_busy_actor_lets_others_work(world: World) -> None:
    root = await world.grow(world.child("a", mailbox_capacity=1000))
    for number in range(MESSAGES_PER_TURN_MAX * 3):
        root.ref_of("a").tell_nowait(number)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert 0 < len(world.lives["a"].handled) < MESSAGES_PER_TURN_MAX * 3


async def test_a_cancellation_from_within_is_a_crash_and_no_quiet_end(world: World) -> None:
    root = await world.grow(world.child("a"))
    root.ref_of("a").tell_nowait("cancelled")
    root.ref_of("a").tell_nowait("after")
    await world.clock.advance(1)
    [crash] = world.seen_of(ActorCrashed)
    assert isinstance(crash.error, ActorStoppedError)
    assert world.lives["a"].handled == ["after"]


async def test_an_error_that_mode_would_let_pass_is_a_crash(world: World) -> None:
    async def raises(_: Probe) -> None:
        raise RuntimeError("Event loop is closed")

    async def begins(probe: Probe) -> None:
        probe.add_task(raises(probe))

    root = await world.grow(world.child("a"))
    root.ref_of("a").tell_nowait(raises)
    await world.clock.advance(1)
    root.ref_of("a").tell_nowait(begins)
    await world.clock.advance(1)
    assert len(world.seen_of(ActorCrashed)) == 2


async def test_a_background_task_crashes_its_actor_while_it_waits(world: World) -> None:
    async def fail_later(probe: Probe) -> None:
        await probe.life.gate.wait()
        raise Boom("task")

    async def begin(probe: Probe) -> None:
        probe.add_task(fail_later(probe))

    root = await world.grow(world.child("a"))
    root.ref_of("a").tell_nowait(begin)
    await world.clock.settle()
    assert not world.seen_of(ActorCrashed)
    world.lives["a"].gate.set()
    await world.clock.advance(1)
    assert [crash.error_code for crash in world.seen_of(ActorCrashed)] == ["test.boom"]
    assert world.lives["a"].started == 2


async def test_a_crashed_actor_takes_no_further_message(world: World) -> None:
    async def fail(_: Probe) -> None:
        raise Boom("task")

    async def begin(probe: Probe) -> None:
        probe.add_task(fail(probe))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        probe.life.handled.append(("by", id(probe)))

    root = await world.grow(world.child("a"))
    root.ref_of("a").tell_nowait(begin)
    root.ref_of("a").tell_nowait("next")
    await world.clock.settle()
    assert "next" not in world.lives["a"].handled
    await world.clock.advance(1)
    assert "next" in world.lives["a"].handled


async def test_a_stop_cancels_background_tasks_and_then_lets_go(world: World) -> None:
    order: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            order.append("task over")

    async def begin(probe: Probe) -> None:
        probe.add_task(work())

    root = await world.grow(world.child("a"))
    root.ref_of("a").tell_nowait(begin)
    await world.clock.settle()
    await world.until(asyncio.ensure_future(root.remove("a", drain=False)))
    assert order == ["task over"]
    assert world.lives["a"].stopped == 1


async def test_waiting_for_tasks_waits_for_all(world: World) -> None:
    async def work(probe: Probe) -> None:
        await probe.life.gate.wait()

    async def begin(probe: Probe) -> None:
        probe.add_task(work(probe))
        await probe.wait_tasks()

    root = await world.grow(world.child("a"))
    root.ref_of("a").tell_nowait(begin)
    await world.clock.settle()
    assert world.lives["a"].handled == []
    world.lives["a"].gate.set()
    await world.clock.settle()
    assert world.lives["a"].handled == [begin]


async def test_a_temporary_actor_that_finishes_is_gone(world: World) -> None:
    root = await world.grow(world.child("a", restart="temporary"))
    ref = root.ref_of("a")
    ref.tell_nowait("finish")
    ref.tell_nowait("never read")
    await world.clock.settle()
    assert root.children() == ()
    assert world.seen_of(ActorStopped) == [ActorStopped("root/a")]
    assert world.lives["a"].handled == ["finish"]
    with pytest.raises(ActorStoppedError):
        await ref.tell("too late")


async def test_finishing_does_not_drain(world: World) -> None:
    root = await world.grow(world.child("a", restart="transient"))
    root.ref_of("a").tell_nowait("finish")
    await world.clock.settle()
    assert (world.lives["a"].drained, world.lives["a"].stopped) == (0, 1)


async def test_a_permanent_actor_that_finishes_has_crashed(world: World) -> None:
    root = await world.grow(world.child("a"))
    root.ref_of("a").tell_nowait("finish")
    await world.clock.advance(1)
    [crash] = world.seen_of(ActorCrashed)
    assert crash.error_code == "actors.actor_stopped"
    assert root.children()[0].restarts == 1


async def test_an_ask_survives_the_restart_while_it_waits_and_not_in_hand(world: World) -> None:
    async def keep(_: Probe) -> None:
        raise Boom

    root = await world.grow(world.child("a"))
    ref = root.ref_of("a")
    ref.tell_nowait(keep)
    assert await world.until(ask_count(ref), 1) == 0


async def test_an_ask_in_the_hands_of_a_crashing_actor_fails(world: World) -> None:
    root = await world.grow(world.child("a"))
    ref = root.ref_of("a")
    asking: asyncio.Future[int] = asyncio.ensure_future(
        ref.ask(lambda _: "crash", timeout_seconds=60)
    )
    await world.clock.advance(1)
    with pytest.raises(ActorStoppedError):
        await asking


async def test_an_actor_outside_a_tree_says_so() -> None:
    with pytest.raises(RuntimeError, match="Probe"):
        Probe(Life()).finish()


async def test_a_service_without_a_supervisor_keeps_its_ending() -> None:
    mailbox: Mailbox[object] = Mailbox()
    service = ActorService(Probe(Life()), mailbox)
    await service.start()
    mailbox.put_nowait("crash")
    ending = await service.wait_ended()
    assert isinstance(ending.error, Boom)
    await service.crash(ValueError("second"))
    assert service.ending == ending
    await service.stop()


async def test_an_actor_that_never_began_has_nothing_to_let_go() -> None:
    life = Life()
    await ActorService(Probe(life), Mailbox()).stop()
    assert life.stopped == 0


async def test_nothing_is_logged_and_no_handler_is_installed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    handlers = list(logging.getLogger().handlers)
    root = await world.grow(world.child("a"))
    with caplog.at_level(logging.INFO):
        root.ref_of("a").tell_nowait("crash")
        await world.clock.advance(1)
    assert caplog.records == []
    assert logging.getLogger().handlers == handlers
