"""After any sequence of crashes, either every child runs or the parent knows."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.errors import MailboxFullError
from actors.kernel.budget import RestartBudget
from actors.kernel.ref import ActorRef
from actors.kernel.specs import Quarantine, Strategy, SupervisorSpec
from actors.kernel.supervisor import Supervisor
from actors.kernel.unit import ChildSnapshot
from tests.support.kernel_tree import Life, World

NAMES = ("a", "b", "c")
WORDS = ("crash", "finish", "cancelled", "fail start", "fail stop", "hang start", "well")
STEPS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(WORDS), st.sampled_from((0.0, 0.03, 2.0))),
    max_size=25,
)
QUIET_SECONDS = 400.0
"""Longer than every delay, start timeout and quarantine of these trees together."""


def settings_for_trees() -> settings:
    return settings(max_examples=40, deadline=None)


async def play(
    world: World, refs: dict[str, ActorRef[object]], steps: list[tuple[str, str, float]]
) -> None:
    for name, word, pause_seconds in steps:
        life = world.lives[name]
        match word:
            case "fail start":
                life.fail_starts += 1
            case "fail stop":
                life.fail_stops += 1
            case "hang start":
                life.hang_starts += 1
            case _:
                try:
                    if not refs[name].is_stopped:
                        refs[name].tell_nowait(word)
                except MailboxFullError:  # its actor is down; the crash it had is enough
                    pass
        await world.clock.advance(pause_seconds)


def running(snapshots: tuple[ChildSnapshot, ...]) -> bool:
    return all(child.state == "running" and running(child.children) for child in snapshots)


def no_secret_death(supervisor: Supervisor) -> bool:
    """No child is thought to run whose service has ended."""
    return all(child.ending is None for child in supervisor._crew)


@settings_for_trees()
@given(steps=STEPS, strategy=st.sampled_from(("one_for_one", "one_for_all")))
def test_every_child_runs_or_the_parent_knows(
    steps: list[tuple[str, str, float]], strategy: Strategy
) -> None:
    async def scenario() -> None:
        world = World()
        children = tuple(world.child(name, Life()) for name in NAMES)
        root = await world.grow(*children, strategy=strategy, budget=RestartBudget(4, 20))
        await play(world, {name: root.ref_of(name) for name in NAMES}, steps)
        await world.clock.advance(QUIET_SECONDS)
        assert root.crashed or (running(root.children()) and no_secret_death(root))
        await world.felled()
        assert all(life.stopped == life.started for life in world.lives.values())

    asyncio.run(scenario())


@settings_for_trees()
@given(steps=STEPS)
def test_a_tenant_in_trouble_never_stops_another(steps: list[tuple[str, str, float]]) -> None:
    async def scenario() -> None:
        world = World()
        good = world.child("good", Life())
        root = await world.grow(good, budget=RestartBudget(0, 1))
        tenant = await root.nest(
            SupervisorSpec(
                "tenant",
                children=tuple(world.child(name, Life()) for name in NAMES),
                budget=RestartBudget(2, 20),
                on_exhausted=Quarantine(30),
            )
        )
        await play(world, {name: tenant.ref_of(name) for name in NAMES}, steps)
        await world.clock.advance(QUIET_SECONDS)
        assert not root.crashed
        assert running(root.children())
        assert no_secret_death(tenant)
        assert world.lives["good"].started == 1
        await world.felled()

    asyncio.run(scenario())


@settings_for_trees()
@given(
    budget=st.builds(RestartBudget, st.integers(0, 5), st.integers(5, 20)),
    gaps=st.lists(st.integers(1, 8), max_size=20),
)
def test_never_more_restarts_than_the_budget_in_any_window(
    budget: RestartBudget, gaps: list[int]
) -> None:
    async def scenario() -> None:
        world = World()
        root = await world.grow(world.child("a", Life()), budget=budget)
        crashes: list[float] = []
        for gap in gaps:
            if root.crashed:
                break
            crashes.append(world.clock.monotonic())
            root.ref_of("a").tell_nowait("crash")
            await world.clock.advance(gap + 1)
        windows = [[c for c in crashes if end - budget.seconds < c <= end] for end in crashes]
        overdrawn = [window for window in windows if len(window) > budget.restarts]
        assert root.crashed == bool(overdrawn)
        assert len(overdrawn) <= 1
        await world.felled()

    asyncio.run(scenario())
