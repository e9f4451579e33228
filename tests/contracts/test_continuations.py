"""The Continuations port means the same in memory and on a real stream."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from actors.events import Event
from actors.ports import Continuation, Continuations
from actors.testing.continuations import MemoryContinuations
from app.bus.continuation_document import decode_continuation
from app.bus.continuations import JetStreamContinuations
from app.system import SystemClock
from tests.support.bus_rig import a_rig

EVENT = Event("e1", "order.created", "webhook", 5, {"total": 2**60 + 1})
PLAIN = Continuation("r1", "auth/login", EVENT)
LATER_MS = 4_000_000_000_000

Waiting = tuple[str, str | None, Continuation]
"""Whose continuation, on which lane it comes due, and the continuation."""


@dataclass
class Shelf:
    """Continuations, and a way to see what waits."""

    continuations: Continuations
    waiting: Callable[[], Awaitable[list[Waiting]]]


def memory_shelf() -> Shelf:
    memory = MemoryContinuations()

    async def waiting() -> list[Waiting]:
        return [(key[0], memory.lanes.get(key), one) for key, one in memory.scheduled.items()]

    return Shelf(memory, waiting)


@pytest.fixture(params=["memory", "nats"])
async def shelf(request: pytest.FixtureRequest, fresh_env: str) -> AsyncIterator[Shelf]:
    if request.param == "memory":
        yield memory_shelf()
        return
    async with a_rig(request.getfixturevalue("nats_server"), fresh_env) as rig:

        async def waiting() -> list[Waiting]:
            found = []
            for subject, headers, document in await rig.stored_raw(rig.work_stream):
                target = headers.get("Nats-Schedule-Target", subject)
                tenant, kind, place = target.removeprefix(f"greentic.work.{fresh_env}.").split(
                    ".", 2
                )
                lane = place if kind == "lane" else None
                found.append((tenant, lane, decode_continuation(document)))
            return found

        yield Shelf(JetStreamContinuations(rig.acked, env=fresh_env, clock=SystemClock()), waiting)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"attempt": 3, "round": 2, "leg": 1, "trigger": 2, "hops": 4, "parent_run_id": "r0"},
        {"due_ms": LATER_MS, "spent_ms": 12, "version": "v1"},
        {"retries": {"call:0": 2, "": 1}, "reply_to": "greentic.reply.i1.e1"},
        {"events": (EVENT, replace(EVENT, id="e2", payload=None))},
    ],
    ids=["plain", "places", "later", "retries", "batch"],
)
async def test_continuation_waits_as_it_was_given(shelf: Shelf, fields: dict[str, Any]) -> None:
    continuation = replace(PLAIN, **fields)
    await shelf.continuations.schedule("acme", continuation)
    assert await shelf.waiting() == [("acme", None, continuation)]


@pytest.mark.parametrize("due_ms", [0, LATER_MS], ids=["now", "later"])
@pytest.mark.parametrize("lane", ["auth.login", "~"], ids=["flow", "tenant"])
async def test_continuation_of_a_lane_comes_due_there(shelf: Shelf, lane: str, due_ms: int) -> None:
    continuation = replace(PLAIN, due_ms=due_ms)
    await shelf.continuations.schedule("acme", continuation, lane=lane)
    assert await shelf.waiting() == [("acme", lane, continuation)]


async def test_same_place_of_a_run_is_one_continuation(shelf: Shelf) -> None:
    continuation = replace(PLAIN, attempt=2, round=3, leg=4)
    for _ in range(3):
        await shelf.continuations.schedule("acme", continuation)
    await shelf.continuations.schedule("acme", replace(continuation, hops=9))
    assert await shelf.waiting() == [("acme", None, continuation)]


@pytest.mark.parametrize("field", ["attempt", "round", "leg", "run_id"])
async def test_another_place_is_another_continuation(shelf: Shelf, field: str) -> None:
    changed: dict[str, Any] = {field: "r2" if field == "run_id" else 7}
    other = replace(PLAIN, **changed)
    await shelf.continuations.schedule("acme", PLAIN)
    await shelf.continuations.schedule("acme", other)
    assert await shelf.waiting() == [("acme", None, PLAIN), ("acme", None, other)]


async def test_tenants_do_not_share_their_runs(shelf: Shelf) -> None:
    for tenant in ("acme", "acme-2"):
        await shelf.continuations.schedule(tenant, PLAIN)
    assert await shelf.waiting() == [("acme", None, PLAIN), ("acme-2", None, PLAIN)]
