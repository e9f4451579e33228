"""Tenants that sleep: their executors go, never with a run in hand, and are there when wanted."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest_asyncio

from actors.kernel.cell import ActorCell
from actors.ports import NormalizedEvent
from actors.tenants.children import IDLE_SECONDS
from actors.tenants.tree import Roles
from tests.support.builders import Gate, Yard, a_node
from tests.support.estate import Estate, deployed, versioned


@pytest_asyncio.fixture
async def estate(yard: Yard) -> AsyncIterator[Estate]:
    estate = Estate(yard, Roles())
    await estate.host.start()
    yield estate
    await estate.until(estate.host.root.stop(), 300)
    await yard.clock.settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}


def awake(estate: Estate) -> set[str]:
    """Name the tenant's actors that exist."""
    crew = estate.host.root.supervisor_of("demo")._crew
    return {
        child.spec.name
        for child in crew
        if isinstance(child.unit, ActorCell) and child.unit._service is not None
    }


async def test_a_tenant_without_events_has_a_router_and_a_scheduler(estate: Estate) -> None:
    await estate.deploy(deployed(versioned("1"), versioned("1", name="other")))
    assert awake(estate) == {"router", "scheduler:r1"}


async def test_an_executor_comes_goes_and_comes_again(estate: Estate, yard: Yard) -> None:
    await estate.deploy(deployed(versioned("1")))
    await estate.emit()
    assert "flow:orders:orders-1" in awake(estate)
    await yard.clock.advance(3 * IDLE_SECONDS)
    assert "flow:orders:orders-1" not in awake(estate)
    await estate.emit(event_id="evt-2")
    assert estate.outputs() == ["1", "1"]
    assert estate.stream().unsettled == 0


async def test_an_executor_with_a_run_in_hand_stays(estate: Estate, yard: Yard) -> None:
    gate = Gate()
    slow = versioned("1", a_node("first", gate, timeout_seconds=1e6))
    await estate.deploy(deployed(replace(slow, timeout_seconds=1e6)))
    await estate.emit()
    await yard.clock.advance(3 * IDLE_SECONDS)
    assert gate.inside == 1
    gate.opened.set()
    await yard.clock.advance(1)
    assert estate.outputs() == ["through"]
    assert estate.stream().unsettled == 0


async def test_a_door_wakes_its_ingress(estate: Estate, yard: Yard) -> None:
    await estate.deploy(deployed(versioned("1")))
    door = estate.host.door("demo")
    assert door is not None
    for identity in ("evt-1", "evt-2"):
        normalized = NormalizedEvent("order.created", "webhook", {}, {})
        ack = await door.accept("webhook", normalized, event_id=identity, reply_to=None)
        assert ack.event_id == identity
        await yard.clock.advance(3 * IDLE_SECONDS)
        assert "ingress" not in awake(estate)
