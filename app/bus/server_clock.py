"""The time of the bus: all processes of an env go by one clock, the nats-server's.

In: answers that say when the server gave them. Out: `actors.ports.Clock`. The server lets sleeping
runs wake and leases end by its own clock, so whoever says when goes by it too: a machine that is an
hour ahead would let runs sleep an hour longer. Until the server has been asked once, and where it
cannot be, the machine's own time counts. Between answers the monotonic clock carries on, so that
setting a machine's clock changes nothing.
"""

import asyncio
import json
import time
from datetime import datetime
from typing import Any, Final

from actors.errors import UnavailableError
from app.bus.connection import Bus
from app.system import SystemClock

ASK_EVERY_SECONDS: Final = 30.0
ASK_SOON_SECONDS: Final = 1.0
"""Until the first answer, and after a reconnect: it may be another server's."""
ANSWER_SECONDS_MAX: Final = 1.0
DRIFT_MS_PER_SECOND: Final = 0.1
"""How far two clocks part at most, as quartz goes (100 ppm)."""

_MS: Final = 1000


class ServerClock(SystemClock):
    """The server's wall clock; monotonic time and sleep are the machine's."""

    def __init__(self) -> None:
        self._ahead_ms: float | None = None
        """What the server's clock shows beyond our monotonic one."""
        self._error_ms = 0.0
        """By how much that may be wrong, when it was learnt."""
        self._learnt_at = 0.0

    def now_ms(self) -> int:
        """Wall clock: milliseconds since the epoch."""
        if self._ahead_ms is None:
            return super().now_ms()
        return int(self._ahead_ms + time.monotonic() * _MS)

    def learn(self, server_ms: float, asked_at: float, heard_at: float) -> None:
        """Go by what the server said; the others are monotonic seconds before and after.

        An answer that was longer on its way says less. It counts only if it says no less than what
        is known, which grows old; or if the two cannot both be right: the server's clock was set.
        """
        error_ms = (heard_at - asked_at) / 2 * _MS
        ahead_ms = server_ms - (asked_at + heard_at) / 2 * _MS
        if self._ahead_ms is not None:
            known_ms = self._error_ms + (heard_at - self._learnt_at) * DRIFT_MS_PER_SECOND
            is_contradicted = abs(ahead_ms - self._ahead_ms) > known_ms + error_ms
            if error_ms > known_ms and not is_contradicted:
                return
        self._ahead_ms, self._error_ms, self._learnt_at = ahead_ms, error_ms, heard_at


class ClockKeeper:
    """Asks the server for its time now and then. Make one with `start`."""

    def __init__(self, clock: ServerClock, bus: Bus, stream: str) -> None:
        self._clock = clock
        self._bus = bus
        self._stream = stream
        self._is_asked_soon = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, clock: ServerClock, bus: Bus, stream: str) -> "ClockKeeper":
        """Ask once, and go on asking; ``stream`` is any that the env has."""
        keeper = cls(clock, bus, stream)
        await keeper.ask()
        bus.on_reconnect(keeper._is_asked_soon.set)
        keeper._task = asyncio.get_running_loop().create_task(keeper._keep())
        return keeper

    async def ask(self) -> bool:
        """Ask once; False where no answer told the time."""
        asked_at = time.monotonic()
        try:
            answer = await self._bus.request(
                f"$JS.API.STREAM.INFO.{self._stream}", b"", timeout_seconds=ANSWER_SECONDS_MAX
            )
        except UnavailableError:
            return False
        heard_at = time.monotonic()
        server_ms = _time_of(answer.data)
        if server_ms is None:
            return False
        self._clock.learn(server_ms, asked_at, heard_at)
        return True

    async def close(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self) -> None:
        is_known = False
        while True:
            seconds = ASK_EVERY_SECONDS if is_known else ASK_SOON_SECONDS
            try:
                async with asyncio.timeout(seconds):
                    await self._is_asked_soon.wait()
            except TimeoutError:
                pass
            self._is_asked_soon.clear()
            is_known = await self.ask()


def _time_of(data: bytes) -> float | None:
    """Read the time of an answer, in ms since the epoch; None where it says none."""
    try:
        document: Any = json.loads(data)
        return datetime.fromisoformat(document["ts"]).timestamp() * _MS
    except (ValueError, KeyError, TypeError):
        return None
