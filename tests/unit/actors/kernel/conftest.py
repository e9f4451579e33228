"""A world per test; every tree grown in it is stopped, and nothing may be left running."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.kernel_tree import World


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.felled()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, left
