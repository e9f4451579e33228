"""Turns: a tenant never holds all of them, and nobody waits without end."""

import asyncio

import pytest

from app.control import looking
from app.control.looking import AT_ONCE, AT_ONCE_PER_TENANT, Looking
from app.errors import OverloadedError


async def test_a_tenant_with_many_questions_leaves_turns_to_others() -> None:
    turns, leave = Looking(), asyncio.Event()
    inside: list[str] = []

    async def look(tenant: str) -> None:
        async with turns.turn(tenant):
            inside.append(tenant)
            await leave.wait()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE + 3):
            tasks.create_task(look("greedy"))
        await asyncio.sleep(0)
        tasks.create_task(look("other"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert inside == ["greedy"] * AT_ONCE_PER_TENANT + ["other"]
        leave.set()
    assert inside.count("greedy") == AT_ONCE + 3
    assert turns._lines == {}


async def test_too_many_of_one_tenant_are_told_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(looking, "WAITING_MAX", 1)
    turns = Looking()
    async with turns.turn("acme"):
        with pytest.raises(OverloadedError):
            async with turns.turn("acme"):
                pass
        async with turns.turn("other"):
            pass
    async with turns.turn("acme"):
        pass
