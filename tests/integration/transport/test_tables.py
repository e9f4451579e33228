"""Tables over nats://: what a changelog holds, and that a table is recovered from it exactly."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import faust

from app.bus.server_folder import Endpoint
from tests.support.faust_apps import an_app, client, eventually, nats_url, running

KEYS: list[Any] = ["plain", "a.b*>", "", "ü\n", ["list", 1], {"a": 2}, 7, "k" * 1000]


class Counting:
    """An app that counts what it is sent, by key."""

    def __init__(self, name: str, broker: str, folder: Path) -> None:
        self.app = an_app(name, broker, folder)
        self.topic = self.app.topic(f"{name}-in", value_serializer="json")
        self.table = self.app.Table("counts", default=int)
        self.hours = self.app.Table("hours", default=int).tumbling(3600, expires=timedelta(days=30))
        self.done = 0

        @self.app.agent(self.topic)
        async def count(stream: Any) -> None:
            async for event in stream.noack().events():
                key = _hashable(event.value)
                if key == "delete":
                    self.table.pop("plain")
                else:
                    self.table[key] += 1
                    self.hours[key] += 1
                self.done += 1
                event.ack()


def _hashable(key: Any) -> Any:
    if isinstance(key, list):
        return tuple(key)
    return str(key) if isinstance(key, dict) else key


async def test_a_table_is_recovered_exactly(
    nats_server: Endpoint, fresh_env: str, tmp_path: Path
) -> None:
    broker = nats_url(nats_server)
    first = Counting(fresh_env, broker, tmp_path)
    async with running(first.app):
        for key in KEYS * 5:
            await first.topic.send(value=key, timestamp=1_000_000.0)
        await eventually(lambda: first.done == len(KEYS) * 5)
        held, hours = dict(first.table), dict(first.hours.table.items())
    assert held == dict.fromkeys(map(_hashable, KEYS), 5)
    async with client(nats_server) as connection:
        info = await connection.jetstream().stream_info(f"FAUST_{fresh_env}-counts-changelog")
        assert info.state.messages == len(KEYS)

    second = Counting(fresh_env, broker, tmp_path)
    async with running(second.app):
        await eventually(lambda: second.app.tables.actives_ready)
        assert dict(second.table) == held
        assert dict(second.hours.table.items()) == hours
        await second.topic.send(value="plain")
        await second.topic.send(value="delete")
        await eventually(lambda: second.done == 2)

    third = Counting(fresh_env, broker, tmp_path)
    async with running(third.app):
        await eventually(lambda: third.app.tables.actives_ready)
        assert dict(third.table) == {key: 5 for key in held if key != "plain"}


async def test_one_worker_has_the_tables_and_the_next_takes_them_over(
    nats_server: Endpoint, fresh_env: str, tmp_path: Path
) -> None:
    broker = nats_url(nats_server)
    first, second = (Counting(fresh_env, broker, tmp_path) for _ in range(2))
    async with running(first.app, second.app):
        for key in ("a", "b", "a"):
            await first.topic.send(value=key)
        await eventually(lambda: first.done == 3)
        assert second.done == 0
        assert second.app.consumer.assignment() == set()
        await first.app.stop()
        await eventually(lambda: bool(second.app.consumer.assignment()))
        await second.topic.send(value="a")
        await eventually(lambda: second.done == 1)
        assert dict(second.table) == {"a": 3, "b": 1}
        assert isinstance(second.app, faust.App)
