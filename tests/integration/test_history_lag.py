"""How far a history is behind, by the word of a real server."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from app.bus.admin import JetStreamAdmin
from app.bus.admin_specs import ConsumerSpec
from app.bus.direct import DirectReader
from app.bus.server_folder import Endpoint
from app.control import streams
from app.control.limits import StreamLimits
from app.control.names import runs_stream
from app.history.projection.lag import SAMPLE_MESSAGES, LagReader, LagWatch
from app.observability.history import HistoryMeter
from app.system import SystemClock
from tests.support.bus import connected
from tests.support.furnishing import store

pytestmark = pytest.mark.server

DURABLE = "history-test"


@pytest.fixture
async def reader(nats_server: Endpoint, fresh_env: str) -> AsyncIterator[DirectReader]:
    async with connected(nats_server) as bus:
        subjects = (f"greentic.runs.{fresh_env}.>",)
        spec = streams.runs_spec(fresh_env, 0, subjects, StreamLimits())
        await JetStreamAdmin(bus).ensure_stream(spec)
        direct = await DirectReader.start(bus)
        yield direct
        await direct.close()


async def tell(reader: DirectReader, env: str, records: int) -> None:
    data = json.dumps([{"run_id": str(number)} for number in range(records)]).encode()
    await store(reader.bus, f"greentic.runs.{env}.acme.f", data)


async def test_messages_records_and_age_of_what_is_not_settled(
    reader: DirectReader, fresh_env: str
) -> None:
    stream, lag = runs_stream(fresh_env, 0), LagReader(reader, fresh_env, SystemClock())
    assert await lag.streams() == [stream]
    nothing = await lag.read(stream, DURABLE)
    assert (nothing.messages, nothing.records, nothing.seconds) == (0, 0, 0.0)
    assert not nothing.is_begun

    for records in (3, 2):
        await tell(reader, fresh_env, records)
    await asyncio.sleep(0.15)
    behind = await lag.read(stream, DURABLE)
    assert (behind.messages, behind.records, behind.is_begun) == (2, 5, False)
    assert 0.1 < behind.seconds < 10

    spec = ConsumerSpec(stream, DURABLE, (">",), first_sequence=2)
    await JetStreamAdmin(reader.bus).ensure_consumer(spec)
    behind = await lag.read(stream, DURABLE)
    assert (behind.messages, behind.is_begun) == (1, True)


async def test_of_many_messages_a_sample_tells_how_many_records_they_have(
    reader: DirectReader, fresh_env: str
) -> None:
    for _ in range(SAMPLE_MESSAGES * 2):
        await tell(reader, fresh_env, 7)
    registry = CollectorRegistry()
    lag = LagReader(reader, fresh_env, SystemClock())
    [seen] = await LagWatch(lag, DURABLE, HistoryMeter(registry)).look()
    assert (seen.messages, seen.records) == (SAMPLE_MESSAGES * 2, SAMPLE_MESSAGES * 2 * 7)
    told = {"stream": runs_stream(fresh_env, 0)}
    assert registry.get_sample_value("greentic_history_lag_records", told) == seen.records
    assert registry.get_sample_value("greentic_history_lag_seconds", told) == seen.seconds
