"""The signs of life of this process, with what it has taken in.

In: what it says of itself. Out: its report under its own key, with a TTL that each beat restarts;
whether others still see it. Refuses nothing: while NATS is away it goes on trying, and who asks
`Heartbeat.is_alive` learns that the others may have given it up.

A process that was frozen (SIGSTOP) or cut off wakes up as not alive: the life
of its key is reckoned from before the write that made it, by a clock that goes on meanwhile.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
import structlog

from actors.errors import UnavailableError
from actors.ports import Clock
from app.errors import StoreError
from app.fleet.report import (
    BEAT_SECONDS,
    HOT_MAX,
    TTL_SECONDS,
    WorkerIdentity,
    WorkerReport,
    cut_failed,
    worker_key,
)
from app.stores.kv import KvBucket

AGAIN_SECONDS: Final = 0.5
"""Between two tries while NATS does not take a report."""
TOGETHER_SECONDS: Final = 0.05
"""What is said within this time of a write goes out together."""
FORGET_SECONDS: Final = 2.0
REMEMBERED: Final = "10s"
"""How long the bucket keeps that a process has ended: nobody needs it longer than its report."""

_log = structlog.get_logger("app.fleet")


class Heartbeat:
    """This process's report, kept fresh from `start` to `forget`."""

    def __init__(self, bucket: KvBucket, clock: Clock, identity: WorkerIdentity) -> None:
        self._bucket = bucket
        self._clock = clock
        self._identity = identity
        self._key = worker_key(identity.id)
        self._report = WorkerReport(
            id=identity.id,
            host=identity.host,
            pid=identity.pid,
            roles=identity.roles,
            version=identity.version,
            started_ms=clock.now_ms(),
            beat=0,
            acknowledged=None,
            failed={},
            failures=0,
            tenants=0,
            hot=(),
        )
        self._alive_until = float("-inf")
        self._hurried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_troubled = False

    @property
    def id(self) -> str:
        """The process's id."""
        return self._identity.id

    @property
    def report(self) -> WorkerReport:
        """What it says of itself now."""
        return self._report

    def is_alive(self) -> bool:
        """Tell whether the others surely see it; False: its key may have expired."""
        return self._clock.monotonic() < self._alive_until

    def acknowledge(self, revision: int, failed: Mapping[str, str]) -> None:
        """Say at once that it has converged up to a revision of the bucket of deployments.

        ``failed``: the tenants that it cannot serve as they are deployed there, and why. The text
        is shown to operators: no secrets. An earlier revision than was said already is not said.
        """
        before = self._report
        if before.has_acknowledged(revision + 1):
            return
        self._change(
            acknowledged=revision,
            failed=cut_failed(failed, before.failed),
            failures=len(failed),
        )
        self.hurry()

    def note(self, *, tenants: int, hot: Iterable[str] = ()) -> None:
        """Say how many tenants it serves, with the next beat; which are hot, at once."""
        named = tuple(sorted(hot)[:HOT_MAX])
        is_news = named != self._report.hot
        self._change(tenants=tenants, hot=named)
        if is_news:
            self.hurry()

    def hurry(self) -> None:
        """Beat now: something is to be said, or the connection has just come back."""
        self._hurried.set()

    async def start(self) -> None:
        """Beat once, and go on until `forget`. UnavailableError, StoreError."""
        begun = self._clock.monotonic()
        await self._beat()
        self._task = asyncio.create_task(self._keep(begun), name="heartbeat")

    async def forget(self) -> None:
        """End: the others know at once, or when its key expires if NATS is away."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait([self._task])
        self._task = None
        self._alive_until = float("-inf")
        with contextlib.suppress(UnavailableError, StoreError, TimeoutError):
            async with asyncio.timeout(FORGET_SECONDS):
                await self._bucket.delete(self._key, remembered=REMEMBERED)

    def _change(self, **fields: object) -> None:
        self._report = msgspec.structs.replace(self._report, **fields)

    async def _beat(self) -> None:
        """Write the report. The server restarts the TTL after we asked: it ends no earlier."""
        asked_at = self._clock.monotonic()
        self._change(beat=self._report.beat + 1)
        await self._bucket.put(self._key, self._report.as_bytes(), ttl_seconds=TTL_SECONDS)
        self._alive_until = asked_at + TTL_SECONDS

    async def _keep(self, begun: float) -> None:
        pause = BEAT_SECONDS
        while True:
            await self._wait(begun, pause)
            begun = self._clock.monotonic()
            pause = BEAT_SECONDS if await self._try() else AGAIN_SECONDS

    async def _try(self) -> bool:
        try:
            await self._beat()
        except (UnavailableError, StoreError) as error:
            if not self._is_troubled:
                _log.warning("heartbeat.not_written", error_code=error.code, reason=str(error))
            self._is_troubled = True
            return False
        if self._is_troubled:
            _log.info("heartbeat.written_again", beat=self._report.beat)
        self._is_troubled = False
        return True

    async def _wait(self, begun: float, pause: float) -> None:
        """Wait until so long after the last write, or until there is a hurry, but a little."""
        asleep = asyncio.ensure_future(self._clock.sleep(begun + pause - self._clock.monotonic()))
        hurried = asyncio.ensure_future(self._hurried.wait())
        try:
            await asyncio.wait((asleep, hurried), return_when=asyncio.FIRST_COMPLETED)
        finally:
            asleep.cancel()
            hurried.cancel()
        await self._clock.sleep(begun + TOGETHER_SECONDS - self._clock.monotonic())
        self._hurried.clear()
