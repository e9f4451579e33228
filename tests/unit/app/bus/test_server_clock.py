"""The server's time counts, however the machine's clock is set."""

import json
import time
from typing import Any

import pytest

from actors.errors import UnavailableError
from app.bus.server_clock import ClockKeeper, ServerClock

HOUR_MS = 3_600_000


class Answers:
    """A bus that answers as told."""

    def __init__(self, data: bytes | None) -> None:
        self.data = data
        self.asked: list[str] = []

    async def request(self, subject: str, _data: bytes, **_more: Any) -> "Answers":
        self.asked.append(subject)
        if self.data is None:
            raise UnavailableError("away")
        return self

    def on_reconnect(self, callback: Any) -> None:
        self.callback = callback


async def asked(clock: ServerClock, data: bytes | None) -> bool:
    keeper = ClockKeeper(clock, Answers(data), "S")  # type: ignore[arg-type]
    return await keeper.ask()


def test_before_anybody_was_asked_the_machines_time_counts() -> None:
    assert abs(ServerClock().now_ms() - time.time() * 1000) < 1000


async def test_the_servers_time_counts() -> None:
    clock = ServerClock()
    assert await asked(clock, b'{"ts": "2030-01-01T00:00:00.123456789Z"}')
    assert 0 <= clock.now_ms() - 1_893_456_000_123 < 1000


async def test_setting_the_machines_clock_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ServerClock()
    now = json.dumps({"ts": "2030-01-01T00:00:00Z"}).encode()
    await asked(clock, now)
    before = clock.now_ms()
    monkeypatch.setattr(time, "time_ns", lambda: time.monotonic_ns() + HOUR_MS * 1_000_000)
    assert 0 <= clock.now_ms() - before < 1000


@pytest.mark.parametrize(
    "data", [None, b"", b"{}", b"[]", b'{"ts": 1}', b'{"ts": "soon"}', b'{"error": {}}']
)
async def test_an_answer_without_a_time_changes_nothing(data: bytes | None) -> None:
    clock = ServerClock()
    assert not await asked(clock, data)
    assert abs(clock.now_ms() - time.time() * 1000) < 1000


def test_a_slower_answer_does_not_count_until_the_known_one_is_old() -> None:
    clock = ServerClock()
    now = time.monotonic()
    clock.learn(1_000_000.0, now, now + 0.002)
    clock.learn(1_000_020.0, now, now + 0.2)
    assert clock.now_ms() < 1_000_015
    clock.learn(1_000_020.0 + 3_600_000, now + 3600, now + 3600.04)
    assert clock.now_ms() >= 1_000_000 - 25


def test_a_server_whose_clock_was_set_is_believed() -> None:
    clock = ServerClock()
    now = time.monotonic()
    clock.learn(1_000_000.0, now, now + 0.002)
    clock.learn(1_000_000.0 + HOUR_MS, now, now + 0.2)
    assert clock.now_ms() > 1_000_000 + HOUR_MS - 1000
