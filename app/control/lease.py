"""A lease: one holder at a time for a piece of work, for as long as it shows signs of life.

In: a bucket and a key. Out: a context in which we are the holder. Refuses to go on after losing the
lease: ConflictError from `Lease.check`. The work itself must be safe to repeat; the lease only
keeps two of it from interleaving.

The key carries a TTL that each renewal restarts, by compare-and-set, so a holder that was thought
dead can never take the lease back unseen. A bucket without limit markers, or an expired lease
would have to be updated, not created.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Final

from actors.errors import UnavailableError
from app.errors import ConflictError
from app.stores.kv import KvBucket

LEASE_TTL_SECONDS: Final = 5
"""What a holder that was killed costs the next one."""
RENEW_SECONDS: Final = 1.0
ACQUIRE_SECONDS: Final = 60.0
POLL_SECONDS: Final = (0.01, 0.1)
"""Between two tries: the first, and the longest. Most hold a lease for some hundredths."""
POLL_GROWTH: Final = 1.5


class Lease:
    """A lease we hold, until we do not."""

    def __init__(self, bucket: KvBucket, key: str, holder: bytes, revision: int) -> None:
        self._bucket = bucket
        self._key = key
        self._holder = holder
        self._revision = revision
        self._held_until = asyncio.get_running_loop().time() + LEASE_TTL_SECONDS
        self._is_lost = False

    def check(self) -> None:
        """ConflictError if somebody else may hold the lease by now."""
        if self._is_lost or asyncio.get_running_loop().time() >= self._held_until:
            raise ConflictError(f"the lease {self._key!r} was lost")

    async def keep(self) -> None:
        """Renew until cancelled, or until the lease is lost."""
        while not self._is_lost:
            await asyncio.sleep(RENEW_SECONDS)
            with contextlib.suppress(UnavailableError):
                await self._renew()

    async def release(self) -> None:
        """Give the lease back at once; one that was lost, or out of reach, just ends."""
        with contextlib.suppress(ConflictError, UnavailableError):
            await self._bucket.delete(self._key, revision=self._revision)

    async def _renew(self) -> None:
        asked_at = asyncio.get_running_loop().time()
        try:
            self._revision = await self._bucket.put(
                self._key, self._holder, revision=self._revision, ttl_seconds=LEASE_TTL_SECONDS
            )
        except ConflictError:
            self._is_lost = True
        else:
            self._held_until = asked_at + LEASE_TTL_SECONDS


@contextlib.asynccontextmanager
async def hold_lease(bucket: KvBucket, key: str, holder: str) -> AsyncIterator[Lease]:
    """Wait for the lease, hold it for the body and give it back.

    UnavailableError when another holder keeps it for more than `ACQUIRE_SECONDS`.
    """
    lease = await _acquire(bucket, key, holder.encode())
    keeper = asyncio.create_task(lease.keep(), name=f"lease-{key}")
    try:
        yield lease
    finally:
        keeper.cancel()
        await asyncio.wait([keeper])
        await lease.release()


async def _acquire(bucket: KvBucket, key: str, holder: bytes) -> Lease:
    current, pause = None, POLL_SECONDS[0]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ACQUIRE_SECONDS):
            while True:
                # Also while a leader is elected, and what an old replica says would only conflict.
                with contextlib.suppress(UnavailableError, ConflictError):
                    current = await bucket.get_surely(key)
                    if current.value is None:
                        revision = await bucket.put(
                            key, holder, revision=current.revision, ttl_seconds=LEASE_TTL_SECONDS
                        )
                        return Lease(bucket, key, holder, revision)
                # Those who wait for the same one shall not come together again and again.
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - hides nothing
                pause = min(POLL_SECONDS[1], pause * POLL_GROWTH)
    if current is None:
        raise UnavailableError(f"the lease {key!r} cannot be had: NATS does not answer")
    owner = current.value or b"somebody"
    raise UnavailableError(f"the lease {key!r} is held by {owner.decode(errors='replace')}")
