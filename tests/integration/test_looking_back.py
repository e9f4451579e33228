"""Walking a real stream in both directions: nothing twice, nothing left out, no answer too large."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.events import Event
from actors.ports import Envelope
from app.bus import looking_back
from app.bus.direct import DirectReader
from app.bus.looking_back import StreamWalk
from app.bus.server_folder import Endpoint
from tests.support.bus_rig import TENANT, BusRig, a_rig

pytestmark = pytest.mark.server


@pytest.fixture
async def rig(nats_server: Endpoint, fresh_env: str) -> AsyncIterator[BusRig]:
    async with a_rig(nats_server, fresh_env) as rig:
        yield rig


async def publish(rig: BusRig, number: int, event_type: str, payload: Any = None) -> None:
    event = Event(f"e{number}", event_type, "api", 1, payload)
    await rig.publisher.publish(Envelope(TENANT, event, event.id))


async def walk(rig: BusRig, event_type: str) -> StreamWalk:
    reader = await DirectReader.start(rig.bus)
    subject = f"greentic.events.{rig.env}.{TENANT}.{event_type}"
    return StreamWalk(reader, rig.events_stream, subject)


async def numbers(steps: AsyncIterator[Any]) -> list[int]:
    found = []
    async for step in steps:
        found += [int(json.loads(each.data)["id"][1:]) for each in step]
    return found


@pytest.mark.parametrize("step", [1, 3, 200])
async def test_rare_and_frequent_ones_come_in_both_orders(
    rig: BusRig, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking_back, "STEP_MESSAGES", step)
    for number in range(1, 61):
        await publish(rig, number, "rare.one" if number % 20 == 0 else "often.one")
    rare, often = await walk(rig, "rare.one"), await walk(rig, "often.*")
    expected = [number for number in range(1, 61) if number % 20]
    assert await numbers(rare.newest_first(61)) == [60, 40, 20]
    assert await numbers(rare.newest_first(60)) == [40, 20]
    assert await numbers(rare.oldest_first(20)) == [40, 60]
    assert await numbers(often.newest_first(61)) == expected[::-1]
    assert await numbers(often.oldest_first(0)) == expected
    assert await numbers(often.newest_first(1)) == []


async def test_large_messages_are_asked_for_a_few_at_a_time(
    rig: BusRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking_back, "STEP_BYTES", 300_000)
    for number in range(1, 13):
        await publish(rig, number, "large.one", "x" * (200_000 if number % 3 else 10))
    found = await walk(rig, "large.one")
    sizes = [sum(len(each.data) for each in step) async for step in found.newest_first(13)]
    assert await numbers(found.newest_first(13)) == list(range(12, 0, -1))
    assert await numbers(found.oldest_first(0)) == list(range(1, 13))
    assert max(sizes) < 300_000 + 200_200, "the server ends an answer with what goes beyond"


async def test_places_are_found_by_sequence_and_by_time(rig: BusRig) -> None:
    await publish(rig, 1, "a.b")
    await publish(rig, 2, "c.d")
    found = await walk(rig, "c.d")
    assert await found.at(1) is None
    message = await found.at(2)
    assert message is not None
    assert await found.place_of_time(0) == 2
    assert await found.place_of_time(4_000_000_000_000) is None
