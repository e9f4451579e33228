"""When each API key was used last, to the minute.

In: notes of uses, which cost a request nothing but a dictionary's entry. Out: the times, in a
bucket of their own, written from the background, at most once a minute for each key and process.
Refuses nothing: a time that cannot be written now is written later, or lost with the process.

Not in the keys' own records: a process that serves requests writes no key's record, so that no late
note of a use can undo a revocation, and no use makes every other process read the keys anew.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final

from actors.errors import UnavailableError
from actors.ports import Clock
from app.errors import StoreError
from app.stores.api_key import place_of
from app.stores.kv import KvBucket

WRITE_SECONDS: Final = 60.0
"""Between two writes of one key's time."""
LOOK_SECONDS: Final = 2.0
KEPT_SECONDS: Final = 400 * 24 * 3600
NOTED_MAX: Final = 100_000
_DIGITS_MAX: Final = 16


class KeyUses:
    """The times of one env."""

    def __init__(self, bucket: KvBucket, clock: Clock) -> None:
        self._bucket = bucket
        self._clock = clock
        self._noted: dict[str, int] = {}
        self._written_at: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    def note(self, place: str, now_ms: int) -> None:
        """Take note of a use. Never waits; from any thread."""
        if len(self._noted) < NOTED_MAX:
            self._noted[place] = now_ms

    async def read(self, tenant: str) -> Mapping[str, int]:
        """Give when a tenant's keys were used last, by prefix, in ms; from all processes."""
        owner = place_of(tenant)
        found = await self._bucket.entries(owner)
        times = {
            place.removeprefix(f"{owner}."): _read(entry.value or b"")
            for place, entry in found.items()
        }
        return {prefix: time for prefix, time in times.items() if time is not None}

    def start(self) -> None:
        """Write what is noted, until `stop`."""
        self._task = asyncio.create_task(self._keep_writing(), name="key-uses")

    async def stop(self) -> None:
        """Write what is noted a last time, if NATS is there."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
            with contextlib.suppress(UnavailableError, StoreError):
                await self.write(also_early=True)

    async def write(self, *, also_early: bool = False) -> None:
        """Write the times that are due. UnavailableError, StoreError: the others stay noted."""
        now = self._clock.monotonic()
        for place in list(self._noted):
            is_due = now - self._written_at.get(place, float("-inf")) >= WRITE_SECONDS
            if not (is_due or also_early):
                continue
            noted_ms = self._noted.pop(place)
            try:
                await self._bucket.put(place, b"%d" % noted_ms, ttl_seconds=KEPT_SECONDS)
            except (UnavailableError, StoreError):
                self._noted.setdefault(place, noted_ms)
                raise
            self._written_at[place] = now
        if len(self._written_at) > NOTED_MAX:
            self._written_at.clear()

    async def _keep_writing(self) -> None:
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            with contextlib.suppress(UnavailableError, StoreError):
                await self.write()


def _read(value: bytes) -> int | None:
    return int(value) if value.isdigit() and len(value) <= _DIGITS_MAX else None
