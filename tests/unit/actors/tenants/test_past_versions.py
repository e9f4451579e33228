"""Runs and the versions they began with: in force, of the past, gone; and how long each is at hand."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from actors.errors import UnavailableError
from actors.flows.compiled import CompiledFlow
from actors.outcomes import RunError, Settlement
from actors.ports import Continuation
from actors.runs.executor import RUNS_MAX
from actors.tenants.deployment import Deployment
from actors.tenants.executors import Executor, Executors, ExecutorsOfLanes
from actors.tenants.past import NoPastDeployments
from actors.tenants.routes import Routes, RoutesInForce
from actors.tenants.routing import RoutingTable
from actors.tenants.tree import PAST_EXECUTORS_MAX, Roles
from tests.support.builders import (
    Gate,
    Yard,
    a_continuation,
    a_flow,
    a_node,
    an_event,
    by_name,
    gives,
)
from tests.support.estate import Estate, deployed, versioned

ACK, NAK = Settlement.ACK, Settlement.NAK


@dataclass
class Archive:
    """Deployments that were kept, by flow and version."""

    kept: dict[tuple[str, str], Deployment] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    is_available: bool = True

    def keep(self, *flows: CompiledFlow) -> None:
        one = deployed(*flows)
        for name in one.flows:
            self.kept[name, one.version_of(name)] = one

    async def find(self, tenant: str, flow: str, version: str) -> Deployment | None:
        self.asked.append((tenant, flow, version))
        if not self.is_available:
            raise UnavailableError("the store is away")
        return self.kept.get((flow, version))


def in_force(*flows: CompiledFlow) -> RoutesInForce:
    """Routes whose executors are only names."""
    executors: Any = {flow.name: f"executor of {flow.name}" for flow in flows}
    return RoutesInForce(Routes(RoutingTable(Deployment("demo", "r1", by_name(*flows))), executors))


def waiting(version: str | None, flow: str = "orders") -> Continuation:
    return a_continuation(flow, version=version)


# ── Who has a run ────────────────────────────────────────────────────────────────────────────

NOW, BEFORE = versioned("2"), versioned("1")


async def revived(flow: str, version: str) -> Executor | None:
    is_kept = (flow, version) == ("orders", BEFORE.digest)
    return Executor("executor of the past", BEFORE) if is_kept else None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("version", "found"),
    [
        (None, Executor("executor of orders", NOW)),  # type: ignore[arg-type]
        (NOW.digest, Executor("executor of orders", NOW)),  # type: ignore[arg-type]
        (BEFORE.digest, Executor("executor of the past", BEFORE)),  # type: ignore[arg-type]
    ],
    ids=["it has not begun", "the present version", "a past version"],
)
async def test_a_run_goes_to_the_version_it_began_with(version: str, found: Executor) -> None:
    executors = Executors(in_force(NOW), revived)
    assert await executors.find(waiting(version)) == found


async def test_a_version_that_nobody_keeps_is_told() -> None:
    error = await Executors(in_force(NOW), revived).find(waiting("unheard of"))
    assert isinstance(error, RunError)
    assert error.code == "version_gone"


async def test_a_flow_that_is_gone_is_told_to_runs_that_have_not_begun() -> None:
    error = await Executors(in_force(), revived).find(waiting(None))
    assert isinstance(error, RunError)
    assert error.code == "unknown_flow"


async def test_a_flow_that_is_gone_is_there_for_runs_that_have_begun() -> None:
    found = await Executors(in_force(), revived).find(waiting(BEFORE.digest))
    assert found == Executor("executor of the past", BEFORE)  # type: ignore[arg-type]


async def test_without_a_past_every_other_version_is_gone() -> None:
    error = await Executors(in_force(NOW)).find(waiting(BEFORE.digest))
    assert isinstance(error, RunError)
    assert error.code == "version_gone"
    assert await NoPastDeployments().find("demo", "orders", "v1") is None


async def test_a_lane_goes_by_the_rules_in_force() -> None:
    """Rules count for all runs of a flow together, whichever version they began with."""
    routes = in_force(NOW)
    lanes = ExecutorsOfLanes(routes, Executors(routes, revived))
    assert lanes.revision == "r1"
    found = await lanes.find(waiting(BEFORE.digest))
    assert not isinstance(found, RunError)
    assert found.flow is BEFORE
    gone = await lanes.find(waiting("unheard of"))
    assert isinstance(gone, RunError)


# ── A tree with a past ───────────────────────────────────────────────────────────────────────


@dataclass
class Past:
    """A tenant whose flow has changed."""

    estate: Estate
    archive: Archive

    async def wake(self, version: str | None, run_id: str = "run-c", flow: str = "orders") -> None:
        event = an_event(f"evt-of-{run_id}")
        one = Continuation(run_id, flow, event, leg=1, version=version, trigger=1)
        self.estate.stream().add(event, continuation=one)
        await self.estate.yard.clock.settle()

    def at_hand(self) -> list[str]:
        return [name for name in self.estate.children() if name.startswith("past:")]

    def said(self) -> dict[str, list[Settlement | None]]:
        found: dict[str, list[Settlement | None]] = {}
        for delivery in self.estate.stream().handed_out:
            found.setdefault(delivery.event.id, []).append(delivery.settlement)
        return found


@pytest_asyncio.fixture
async def past(yard: Yard) -> AsyncIterator[Past]:
    archive = Archive()
    estate = Estate(yard, Roles(ingress=False), past=archive)
    await estate.host.start()
    await estate.deploy(deployed(versioned("now")))
    yield Past(estate, archive)
    await estate.until(estate.host.root.stop(), 300)
    await yard.clock.settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_sleeper_wakes_in_the_version_it_began_with(past: Past) -> None:
    past.archive.keep(versioned("old"))
    await past.wake("orders-old")
    await past.wake(None, "run-d")
    await past.wake("orders-now", "run-e")
    assert past.estate.outputs() == ["old", "now", "now"]
    assert past.archive.asked == [("demo", "orders", "orders-old")]
    assert past.estate.stream().unsettled == 0


async def test_a_version_is_brought_back_once(past: Past) -> None:
    past.archive.keep(versioned("old"))
    for run_id in ("run-a", "run-b", "run-c"):
        await past.wake("orders-old", run_id)
    assert past.estate.outputs() == ["old"] * 3
    assert len(past.archive.asked) == 1
    assert past.at_hand() == ["past:orders:orders-old"]


async def test_a_version_that_is_gone_is_a_dead_letter(past: Past, yard: Yard) -> None:
    await past.wake("orders-old")
    (letter,) = yard.letters.parked
    assert (letter.reason, letter.letter_id, letter.flow) == ("version_gone", "run-c", "orders")
    assert past.said() == {"evt-of-run-c": [ACK]}


async def test_a_store_that_is_away_leaves_the_run_until_it_comes_again(
    past: Past, yard: Yard
) -> None:
    past.archive.keep(versioned("old"))
    past.archive.is_available = False
    event = an_event("evt-of-run-c")
    one = Continuation("run-c", "orders", event, leg=1, version="orders-old", trigger=1)
    past.estate.stream().add(event, continuation=one)
    while not past.archive.asked:
        await asyncio.sleep(0)
    past.archive.is_available = True
    await yard.clock.settle()
    past.estate.stream().redeliver_unsettled()
    await yard.clock.settle()
    assert past.estate.outputs() == ["old"]
    assert past.said()["evt-of-run-c"][0] is Settlement.LEAVE
    assert past.said()["evt-of-run-c"][-1] is ACK
    assert yard.letters.parked == []


async def test_called_flows_are_those_of_the_past_too(past: Past) -> None:
    first = versioned("old", calls=frozenset({"inner"}))
    inner = versioned("old", name="inner")
    past.archive.keep(first, inner)
    version = deployed(first, inner).version_of("orders")
    await past.wake(version)
    assert past.estate.outputs() == ["old"]


async def test_the_longest_idle_of_many_versions_goes(past: Past) -> None:
    names = [f"{number:02}" for number in range(PAST_EXECUTORS_MAX + 1)]
    past.archive.keep(versioned("idle"))
    for name in names:
        past.archive.keep(versioned(name))
    await past.wake("orders-idle", "run-idle")
    for name in names[:-2]:
        await past.wake(f"orders-{name}", f"run-{name}")
    assert len(past.at_hand()) == PAST_EXECUTORS_MAX
    await past.wake("orders-idle", "run-idle-again")  # used again: no longer the longest idle
    for name in names[-2:]:
        await past.wake(f"orders-{name}", f"run-{name}")
    await past.estate.until(asyncio.sleep(0), 60)
    assert len(past.at_hand()) == PAST_EXECUTORS_MAX
    assert "past:orders:orders-idle" in past.at_hand()
    assert "past:orders:orders-00" not in past.at_hand()
    await past.wake("orders-00", "run-00-again")
    assert past.estate.outputs().count("00") == 2
    assert past.estate.stream().unsettled == 0


async def test_a_version_that_goes_finishes_what_it_has(past: Past, yard: Yard) -> None:
    gate = Gate()
    past.archive.keep(a_flow(a_node("first", gate, next=None), digest="orders-slow"))
    for number in range(PAST_EXECUTORS_MAX):
        past.archive.keep(versioned(f"{number:02}"))
    await past.wake("orders-slow", "run-slow")
    assert gate.inside == 1
    for number in range(PAST_EXECUTORS_MAX):
        await past.wake(f"orders-{number:02}", f"run-{number}")
    assert past.said()["evt-of-run-slow"] == [None]
    gate.opened.set()
    await yard.clock.settle()
    assert past.said()["evt-of-run-slow"] == [ACK]
    assert "through" in past.estate.outputs()


async def test_a_drain_waits_for_runs_of_the_past(past: Past, yard: Yard) -> None:
    gate = Gate()
    past.archive.keep(a_flow(a_node("first", gate), a_node("last", gives(1)), digest="orders-slow"))
    await past.wake("orders-slow", "run-slow")
    draining = asyncio.ensure_future(past.estate.host.drain())
    await yard.clock.advance(1)
    assert not draining.done()
    gate.opened.set()
    await yard.clock.advance(1)
    await draining
    assert past.said()["evt-of-run-slow"] == [ACK]


async def test_what_a_version_of_the_past_did_not_get_to_is_given_back(
    past: Past, yard: Yard
) -> None:
    gate = Gate()
    past.archive.keep(a_flow(a_node("first", gate), digest="orders-slow"))
    runs = [f"run-{number}" for number in range(RUNS_MAX + 5)]
    for run_id in runs:
        await past.wake("orders-slow", run_id)
    assert gate.inside == RUNS_MAX
    await past.estate.until(past.estate.host.drain(), 300)
    assert past.said() == {f"evt-of-{run_id}": [NAK] for run_id in runs}
