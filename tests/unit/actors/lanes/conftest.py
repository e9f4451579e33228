"""Lanes by their rules. A yard is built by the test and stopped here, with nothing left running."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest_asyncio

from actors.flows.control import ControlPlan
from tests.support.lanes import LaneYard

MakeYard = Callable[..., LaneYard]


@pytest_asyncio.fixture
async def make_yard() -> AsyncIterator[MakeYard]:
    """Build yards, and stop them."""
    yards: list[LaneYard] = []

    def build(*plans: ControlPlan, **fields: Any) -> LaneYard:
        yards.append(LaneYard(*plans, **fields))
        return yards[-1]

    yield build
    for yard in yards:
        await yard.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}
