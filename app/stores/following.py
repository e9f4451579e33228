"""Following a bucket: what a process knows of it, kept as fresh as it can be.

In: a bucket; hints that something was written. Out: each key's last write, once, in the order of
revisions, to a `Reader`. Refuses nothing; `check_fresh` refuses with UnavailableError once nothing
could be read for too long.

Each look asks the bucket's leader for its last revision, and reads what was written since: one
question where nothing was. A write that is heard on the bus makes the next looks come at once;
where it is not heard, the next one comes within `LOOK_SECONDS`. A key that ends by its TTL is
neither heard of nor read: whoever writes such keys says in them when they end.

What is deleted may be purged `STALE_SECONDS_MAX` later (`app.erasure`), and nobody hears of that.
So whoever could not look for so long, by any clock, reads everything anew.
"""

import asyncio
import contextlib
from typing import Final, Protocol

import structlog

from actors.errors import UnavailableError
from actors.ports import Clock
from app.errors import StoreError
from app.stores.kv import KvBucket, KvChange

LOOK_SECONDS: Final = 0.5
"""Between two looks, while nothing is heard."""
EAGER_SECONDS: Final = 0.05
EAGER_LOOKS: Final = 10
"""Between looks, and how many, once a write was heard: it may not be decided yet."""
STALE_SECONDS_MAX: Final = 15.0
"""A leader's election takes 4 to 7 s (measured)."""
RETRY_AFTER_SECONDS: Final = 2.0

_log = structlog.get_logger("app.stores")


class Reader(Protocol):
    """Whoever wants to know what is in a bucket. Nothing here waits or raises."""

    def take(self, change: KvChange) -> None:
        """Take a key's last write, or its deletion."""
        ...

    def start_over(self) -> None:
        """Learn that the bucket was made anew, or could not be read for long.

        What `take` gives from now on is all there is.
        """
        ...

    def caught_up(self) -> None:
        """Learn that a look is over: all that was written until it began was given."""
        ...


class Looked:
    """When a look at a bucket was over last; at first it never was, and nothing was missed."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._at_ms = 0

    def note(self, clock: Clock) -> None:
        """Note that one is over now."""
        self._at, self._at_ms = clock.monotonic(), clock.now_ms()

    def is_long_ago(self, clock: Clock) -> bool:
        """Tell whether something may have come and gone unseen since.

        By both clocks: the one that never goes back may stand still while a machine sleeps.
        """
        if self._at is None:
            return False
        away = max(clock.monotonic() - self._at, (clock.now_ms() - self._at_ms) / 1000)
        return away > STALE_SECONDS_MAX


class BucketFollower:
    """Follows one bucket for one reader; ``name`` is for logs and for the text of errors."""

    def __init__(self, bucket: KvBucket, clock: Clock, reader: Reader, *, name: str) -> None:
        self._bucket = bucket
        self._clock = clock
        self._reader = reader
        self._name = name
        self._revision = 0
        self._fresh_at = float("-inf")
        self._looked = Looked()
        self._eager = 0
        self._heard = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @property
    def revision(self) -> int:
        """The revision up to which all is known."""
        return self._revision

    @property
    def is_fresh(self) -> bool:
        """Tell whether the bucket was read lately."""
        return self._clock.monotonic() - self._fresh_at <= STALE_SECONDS_MAX

    def check_fresh(self) -> None:
        """Return if the bucket was read lately. UnavailableError."""
        if not self.is_fresh:
            raise UnavailableError(
                f"{self._name} cannot be read now", retry_after_seconds=RETRY_AFTER_SECONDS
            )

    def hear(self, _: object = None) -> None:
        """Look soon: something was written (subscribe this to the bucket's ``pattern``)."""
        self._eager = EAGER_LOOKS
        self._heard.set()

    async def start(self) -> None:
        """Read all there is, and keep on reading until `stop`. UnavailableError, StoreError."""
        await self.refresh()
        self._task = asyncio.create_task(self._keep_fresh(), name=f"follow-{self._name}")

    async def stop(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def refresh(self) -> None:
        """Read what was written since the last time. UnavailableError, StoreError."""
        async with self._one_at_a_time:
            asked_at = self._clock.monotonic()
            last = await self._bucket.last_revision()
            if last < self._revision or self._looked.is_long_ago(self._clock):
                self._fresh_at = float("-inf")
                self._reader.start_over()
                self._revision = 0
            while self._revision < last:
                change = await self._bucket.next_change(self._revision)
                if change is None:
                    self._revision = last
                    break
                self._revision = change.entry.revision
                self._reader.take(change)
            self._reader.caught_up()
            self._fresh_at = asked_at
            self._looked.note(self._clock)

    async def _keep_fresh(self) -> None:
        while True:
            await self._pause()
            with contextlib.suppress(UnavailableError):
                try:
                    await self.refresh()
                except StoreError as error:
                    _log.warning("bucket.not_read", bucket=self._name, error_code=error.code)

    async def _pause(self) -> None:
        """Wait for the next look; a write that is heard ends the wait."""
        if self._eager:
            self._eager -= 1
            self._heard.clear()
            await self._clock.sleep(EAGER_SECONDS)
            return
        asleep = asyncio.ensure_future(self._clock.sleep(LOOK_SECONDS))
        heard = asyncio.ensure_future(self._heard.wait())
        try:
            await asyncio.wait((asleep, heard), return_when=asyncio.FIRST_COMPLETED)
        finally:
            asleep.cancel()
            heard.cancel()
        self._heard.clear()
