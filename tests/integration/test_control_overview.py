"""Many tenants are made so with one look at what is there; a look that is out of date costs nothing."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus
from app.bus.server_folder import Endpoint
from app.control import control as control_module
from app.control import names
from app.control.control import Control, TenantSubscriptions
from app.control.overview import Overview
from tests.support.bus import connected


@pytest.fixture
async def bus(nats_server: Endpoint) -> AsyncIterator[Bus]:
    async with connected(nats_server) as bus:
        yield bus


@pytest.fixture(autouse=True)
def _two_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "MANY", 2)


def wanting(pattern: str, *tenants: str) -> list[TenantSubscriptions]:
    return [TenantSubscriptions(tenant, {"flow#1": pattern}) for tenant in tenants]


async def filters_of(bus: Bus, env: str, *tenants: str) -> list[str]:
    found = []
    for tenant in tenants:
        stream = names.events_stream(env, tenant)
        info = await JetStreamAdmin(bus).consumer_info(stream, names.FLOWS_DURABLE)
        assert info is not None
        (only,) = info.config["filter_subjects"]
        found.append(only.rpartition(f"{tenant}.")[2])
    return found


async def test_what_is_new_is_made_without_a_look_each(
    bus: Bus, fresh_env: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Counter[str] = Counter()
    ask = JetStreamAdmin._ask

    async def counting(self: JetStreamAdmin, subject: str, body: Mapping[str, Any]) -> Any:
        asked[".".join(subject.split(".")[:2])] += 1
        return await ask(self, subject, body)

    control = Control(bus, fresh_env)
    await control.ensure([])
    monkeypatch.setattr(JetStreamAdmin, "_ask", counting)
    await control.ensure(wanting("order.created", "a", "b", "c"))
    assert (asked["CONSUMER.CREATE"], asked["CONSUMER.INFO"]) == (6, 0)
    assert asked["STREAM.CREATE"] == 3
    assert await filters_of(bus, fresh_env, "a", "b", "c") == ["order.created"] * 3


async def test_what_is_there_is_changed_beside_what_is_new(bus: Bus, fresh_env: str) -> None:
    control = Control(bus, fresh_env)
    await control.ensure(wanting("order.created", "a", "b"))
    await control.ensure(wanting("order.paid", "a", "b", "c"))
    assert await filters_of(bus, fresh_env, "a", "b", "c") == ["order.paid"] * 3


async def test_a_look_that_is_out_of_date_is_put_right(
    bus: Bus, fresh_env: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = Control(bus, fresh_env)
    await control.ensure(wanting("order.created", "a", "b"))

    async def nothing(*_: object) -> Overview:
        return Overview(frozenset())

    monkeypatch.setattr(Overview, "of", nothing)
    await control.ensure(wanting("order.paid", "a", "b"))
    assert await filters_of(bus, fresh_env, "a", "b") == ["order.paid"] * 2
