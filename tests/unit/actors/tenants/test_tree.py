"""Trees and their host: deployments come, change and go; one tenant's trouble stays its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from actors.kernel.observations import ChildQuarantined
from actors.observations import DeploymentApplied
from actors.outcomes import Settlement
from actors.ports import NormalizedEvent
from actors.runs.executor import RUNS_MAX
from actors.tenants.children import DRAIN_SECONDS, FLOW_BUDGET
from actors.tenants.tree import QUARANTINE_SECONDS, Roles
from tests.support.builders import (
    Gate,
    Yard,
    a_node,
    a_timer,
    a_trigger,
    an_event,
    gives,
)
from tests.support.estate import Estate, deployed, versioned

ACK, NAK = Settlement.ACK, Settlement.NAK


Opener = Callable[[Roles], Awaitable[Estate]]


@pytest_asyncio.fixture
async def estates(yard: Yard) -> AsyncIterator[Opener]:
    opened: list[Estate] = []

    async def open_estate(roles: Roles) -> Estate:
        estate = Estate(yard, roles)
        opened.append(estate)
        await estate.host.start()
        return estate

    yield open_estate
    for estate in opened:
        await estate.until(estate.host.root.stop(), 300)
    await yard.clock.settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest_asyncio.fixture
async def estate(estates: Opener) -> Estate:
    return await estates(Roles())


# ── Start ────────────────────────────────────────────────────────────────────────────────────


async def test_a_tenant_gets_the_children_of_all_roles(estate: Estate, yard: Yard) -> None:
    await estate.deploy(deployed(versioned("1"), versioned("1", name="auth/login")))
    children = estate.children()
    assert list(children) == [
        "ingress", "flow:orders:orders-1", "flow:auth.login:auth/login-1", "scheduler:r1", "router"
    ]  # fmt: skip
    assert {child.state for child in children.values()} == {"running"}
    assert yard.observer.of(DeploymentApplied) == [DeploymentApplied("demo", "r1", 2)]
    assert estate.host.deployments()["demo"].revision == "r1"


async def test_events_reach_their_flows_and_are_settled(estate: Estate) -> None:
    await estate.deploy(deployed(versioned("1")))
    await estate.emit()
    assert estate.outputs() == ["1"]
    assert estate.stream().unsettled == 0


async def test_a_door_leads_to_the_bus(estate: Estate, yard: Yard) -> None:
    await estate.deploy(deployed(versioned("1")))
    door = estate.host.door("demo")
    assert door is not None
    normalized = NormalizedEvent("order.created", "webhook", {}, {})
    ack = await door.accept("events-webhook", normalized, event_id="evt-9", reply_to=None)
    assert ack.event_id == "evt-9"
    assert yard.stage.publisher.stored[0].tenant == "demo"


async def test_timers_fire(estate: Estate, yard: Yard) -> None:
    await estate.deploy(deployed(versioned("1", triggers=(a_timer("* * * * *"),))))
    await yard.clock.advance(60)
    assert [e.event.event_type for e in yard.stage.publisher.stored] == ["timer.orders.1"]


async def test_where_the_timer_provider_is_off_nothing_fires(estate: Estate, yard: Yard) -> None:
    flow = versioned("1", triggers=(a_timer("* * * * *"),))
    await estate.deploy(deployed(flow))
    await estate.deploy(replace(deployed(flow, revision="r2"), has_timers=False))
    assert not [name for name in estate.children() if name.startswith("scheduler")]
    await yard.clock.advance(120)
    assert yard.stage.publisher.stored == []


async def test_an_ingress_alone_has_no_worker_children(estates: Opener) -> None:
    estate = await estates(Roles(worker=False))
    await estate.deploy(deployed(versioned("1")))
    assert list(estate.children()) == ["ingress"]
    assert estate.opened == []
    await estate.deploy(deployed(versioned("2", triggers=(a_trigger("user.*"),)), revision="r2"))
    door = estate.host.door("demo")
    assert door is not None
    assert estate.host.deployments()["demo"].revision == "r2"
    assert list(estate.children()) == ["ingress"]
    await estate.until(estate.host.drain())


async def test_a_worker_alone_has_no_door(estates: Opener) -> None:
    estate = await estates(Roles(ingress=False))
    await estate.deploy(deployed(versioned("1")))
    assert estate.host.door("demo") is None
    assert "ingress" not in estate.children()
    await estate.emit()
    assert estate.outputs() == ["1"]


# ── Change ───────────────────────────────────────────────────────────────────────────────────


async def test_the_same_revision_again_changes_nothing(estate: Estate, yard: Yard) -> None:
    await estate.deploy(deployed(versioned("1")))
    await estate.deploy(deployed(versioned("2")))
    assert "flow:orders:orders-1" in estate.children()
    assert len(yard.observer.of(DeploymentApplied)) == 1


async def test_a_changed_flow_gets_a_new_executor_and_the_others_keep_theirs(
    estate: Estate,
) -> None:
    other = versioned("1", name="other", triggers=(a_trigger("user.created"),))
    await estate.deploy(deployed(versioned("1"), other))
    demo = estate.host.root.supervisor_of("demo")
    kept = demo.ref_of("flow:other:other-1")
    await estate.deploy(deployed(versioned("2"), other, revision="r2"))
    children = estate.children()
    assert set(children) == {
        "ingress", "router", "scheduler:r2", "flow:orders:orders-2", "flow:other:other-1"
    }  # fmt: skip
    assert demo.ref_of("flow:other:other-1") is kept
    await estate.emit()
    assert estate.outputs() == ["2"]


def executor_of_orders(estate: Estate) -> str:
    (name,) = (name for name in estate.children() if name.startswith("flow:orders:"))
    return name


async def test_a_flow_that_calls_others_changes_with_them(estate: Estate) -> None:
    caller, third = versioned("1", calls=frozenset({"other"})), versioned("1", name="third")
    await estate.deploy(deployed(caller, versioned("1", name="other"), third))
    first = executor_of_orders(estate)
    third = versioned("2", name="third")
    await estate.deploy(deployed(caller, versioned("1", name="other"), third, revision="r2"))
    assert executor_of_orders(estate) == first
    await estate.deploy(deployed(caller, versioned("2", name="other"), third, revision="r3"))
    assert executor_of_orders(estate) != first


async def test_a_flow_that_may_call_any_follows_every_change(estate: Estate) -> None:
    caller = versioned("1", calls_any=True)
    await estate.deploy(deployed(caller))
    assert executor_of_orders(estate) == "flow:orders:r1"
    await estate.deploy(deployed(caller, versioned("1", name="other"), revision="r2"))
    assert executor_of_orders(estate) == "flow:orders:r2"


async def test_a_run_in_progress_finishes_on_the_version_it_began_with(estate: Estate) -> None:
    gate = Gate()
    await estate.deploy(
        deployed(versioned("1", a_node("gate", gate, next="last"), a_node("last", gives("old"))))
    )
    await estate.emit()
    await estate.deploy(deployed(versioned("2"), revision="r2"))
    await estate.emit(event_id="evt-2")
    assert estate.outputs() == ["2"]
    gate.opened.set()
    await estate.yard.clock.settle()
    assert estate.outputs() == ["2", "old"]
    assert estate.stream().unsettled == 0


async def test_what_an_old_executor_cannot_finish_comes_back_to_the_new_one(
    estate: Estate,
) -> None:
    gate = Gate()
    await estate.deploy(deployed(versioned("1", a_node("gate", gate))))
    for number in range(120):
        estate.stream().add(an_event(f"evt-{number}"))
    await estate.yard.clock.settle()
    await estate.deploy(deployed(versioned("2"), revision="r2"))
    await estate.yard.clock.advance(40)
    assert estate.outputs() == ["2"] * 120
    assert estate.stream().unsettled == 0


async def test_a_flow_that_is_gone_gets_no_more_events(estate: Estate) -> None:
    await estate.deploy(deployed(versioned("1")))
    await estate.deploy(deployed(revision="r2"))
    assert set(estate.children()) == {"ingress", "router", "scheduler:r2"}
    await estate.emit()
    assert estate.outputs() == []
    assert estate.stream().unsettled == 0


async def test_going_back_to_the_revision_before_works_while_it_still_leaves(
    estate: Estate,
) -> None:
    gate = Gate()
    first = versioned("1", a_node("gate", gate))
    await estate.deploy(deployed(first))
    await estate.emit()
    await estate.deploy(deployed(versioned("2"), revision="r2"))
    await estate.deploy(deployed(first, revision="r1"))
    gate.opened.set()
    await estate.emit(event_id="evt-2")
    assert estate.outputs() == ["through", "through"]


async def test_what_was_told_before_the_flow_changed_begins_on_its_successor(
    estate: Estate,
) -> None:
    gate = Gate()
    first = versioned("1", a_node("gate", gate))
    await estate.deploy(deployed(first))
    for number in range(RUNS_MAX + 4):  # one more has begun, and waits for a place
        await estate.emit(event_id=f"evt-{number}")
    await estate.deploy(deployed(versioned("2"), revision="r2"))
    gate.opened.set()
    await estate.yard.clock.advance(1)
    assert sorted(estate.outputs()) == ["2"] * 3 + ["through"] * (RUNS_MAX + 1)
    assert estate.stream().unsettled == 0


# ── Work that goes to other workers, and comes back ──────────────────────────────────────────


async def test_a_tenant_whose_work_goes_elsewhere_keeps_its_door(estate: Estate) -> None:
    first = deployed(versioned("1"))
    await estate.deploy(first)
    assert estate.host.working() == {"demo"}
    await estate.until(estate.host.deploy(first, works=False), 60)
    assert estate.host.working() == frozenset()
    assert set(estate.children()) == {"ingress"}
    assert estate.host.door("demo") is not None
    await estate.emit()
    assert estate.outputs() == []


async def test_work_that_comes_back_goes_on_with_what_lies_there(estate: Estate) -> None:
    first = deployed(versioned("1"))
    await estate.deploy(first)
    await estate.until(estate.host.deploy(first, works=False), 60)
    await estate.emit()
    await estate.until(estate.host.deploy(first), 1)
    assert estate.outputs() == ["1"]
    assert estate.stream().unsettled == 0


async def test_work_that_goes_elsewhere_ends_what_it_has_in_hand(estate: Estate) -> None:
    gate = Gate()
    first = deployed(versioned("1", a_node("gate", gate)))
    await estate.deploy(first)
    await estate.emit()
    leaving = asyncio.ensure_future(estate.host.deploy(first, works=False))
    await estate.yard.clock.settle()
    assert estate.host.in_flight() == {"demo": 1}
    gate.opened.set()
    await estate.yard.clock.advance(1)
    await leaving
    assert estate.outputs() == ["through"]
    assert estate.host.in_flight() == {"demo": 0}


# ── Removal ──────────────────────────────────────────────────────────────────────────────────


async def test_a_tenant_that_is_gone_is_drained_and_removed(estate: Estate) -> None:
    gate = Gate()
    await estate.deploy(deployed(versioned("1", a_node("gate", gate))), deployed(tenant="b"))
    await estate.emit()
    going = asyncio.ensure_future(estate.reconcile(deployed(tenant="b")))
    await estate.yard.clock.settle()
    assert not going.done()
    gate.opened.set()
    await estate.yard.clock.advance(1)
    assert going.done()
    assert estate.outputs() == ["through"]
    assert [child.name for child in estate.host.root.children()] == ["b"]
    assert estate.host.door("demo") is None
    assert set(estate.host.deployments()) == {"b"}


async def test_a_tenant_that_leaves_slowly_holds_up_no_other(estate: Estate) -> None:
    gate = Gate()
    slow = deployed(versioned("1", a_node("gate", gate)))
    await estate.deploy(slow, deployed(versioned("1"), tenant="b"))
    await estate.emit()
    leaving = asyncio.ensure_future(estate.host.remove("demo"))
    await estate.yard.clock.settle()
    await estate.host.deploy(deployed(versioned("2"), tenant="b", revision="r2"))
    await estate.emit("b")
    assert not leaving.done()
    assert estate.outputs() == ["2"]
    gate.opened.set()
    await estate.yard.clock.advance(1)
    assert leaving.done()
    assert estate.outputs() == ["2", "through"]


# ── Trouble ──────────────────────────────────────────────────────────────────────────────────


async def test_a_tenant_whose_budget_is_spent_is_set_aside_and_the_others_run_on(
    estate: Estate, yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    await estate.deploy(deployed(versioned("1")), deployed(versioned("1"), tenant="b"))
    store = yard.results.publish_all

    async def publish_all(results: Any) -> None:
        if results[0].tenant == "demo":
            raise ValueError("unforeseen")
        await store(results)

    monkeypatch.setattr(yard.results, "publish_all", publish_all)
    await estate.emit()  # every crash naks it, so it comes back for the next one
    await yard.clock.advance(FLOW_BUDGET.seconds)
    states = {child.name: child.state for child in estate.host.root.children()}
    assert states == {"demo": "quarantined", "b": "running"}
    assert [seen.name for seen in yard.observer.of(ChildQuarantined)] == ["root/demo"]
    await estate.emit("b")
    assert estate.outputs() == ["1"]
    monkeypatch.undo()
    await yard.clock.advance(QUARANTINE_SECONDS)
    estate.stream().redeliver_unsettled()
    await yard.clock.advance(1)
    states = {child.name: child.state for child in estate.host.root.children()}
    assert states == {"demo": "running", "b": "running"}
    assert estate.stream().unsettled == 0


async def test_the_host_reports_a_root_that_gave_up(estate: Estate) -> None:
    failing = asyncio.ensure_future(estate.host.wait_failed())
    await estate.yard.clock.settle()
    assert not failing.done()
    reason = RuntimeError("the kernel itself")
    await estate.host.root.crash(reason)
    assert await failing is reason


# ── Drain ────────────────────────────────────────────────────────────────────────────────────


async def test_a_drain_stops_pulling_first_and_lets_runs_finish(estate: Estate) -> None:
    gate = Gate()
    await estate.deploy(
        deployed(versioned("1", a_node("gate", gate))), deployed(versioned("1"), tenant="b")
    )
    await estate.emit()
    draining = asyncio.ensure_future(estate.host.drain())
    await estate.yard.clock.settle()
    await estate.emit(event_id="evt-2")
    assert not draining.done()
    assert [d.event.id for d in estate.stream().handed_out] == ["evt-1"]
    door = estate.host.door("demo")
    assert door is not None
    normalized = NormalizedEvent("order.created", "webhook", {}, {})
    await door.accept("events-webhook", normalized, event_id="evt-9", reply_to=None)
    gate.opened.set()
    await estate.yard.clock.advance(1)
    assert draining.done()
    assert estate.stream().handed_out[0].settlement is ACK
    assert {child.state for child in estate.host.root.children()} == {"stopped"}


@pytest.mark.parametrize("changes", [True, False])
async def test_a_drain_ends_in_its_time_and_gives_back_what_is_left(
    estate: Estate, changes: bool
) -> None:
    gate = Gate()
    await estate.deploy(deployed(versioned("1", a_node("gate", gate))))
    for number in range(150):
        estate.stream().add(an_event(f"evt-{number}"))
    await estate.yard.clock.settle()
    if changes:
        await estate.deploy(deployed(versioned("2", a_node("gate", gate)), revision="r2"))
    await estate.until(estate.host.drain(), 3 * DRAIN_SECONDS)
    handed_out = [d for d in estate.stream().handed_out if d.settlement is not NAK]
    assert len(handed_out) <= 1  # one may be at a full mailbox's door: it comes back by itself
    assert estate.outputs() == []


async def test_a_drain_does_not_wait_for_executors_that_were_leaving(estate: Estate) -> None:
    gate = Gate()
    await estate.deploy(deployed(versioned("1", a_node("gate", gate))))
    for number in range(100):
        estate.stream().add(an_event(f"evt-{number}"))
    await estate.yard.clock.settle()
    await estate.deploy(deployed(versioned("2"), revision="r2"))
    await estate.until(estate.host.drain(), DRAIN_SECONDS + 1)
    left = [d for d in estate.stream().handed_out if d.settlement is None]
    assert left == []
    assert estate.outputs() == ["2"] * len(estate.outputs())
