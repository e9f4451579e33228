"""What is purged is heard of by nobody: followers that could not look for long read all anew."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from actors.testing.clock import VirtualClock
from app.bus.admin import JetStreamAdmin
from app.bus.server_folder import Endpoint
from app.control import names, streams
from app.erasure.eraser import SETTLE_SECONDS
from app.stores.api_keys import KvApiKeys
from app.stores.following import STALE_SECONDS_MAX, Looked
from app.stores.key_ring import ApiKeyRing
from app.stores.kv import KvBucket
from app.system import SystemClock
from tests.support.bus import connected


@dataclass
class Rig:
    """Keys, and a process that follows them."""

    admin: JetStreamAdmin
    stream: str
    keys: KvApiKeys
    clock: VirtualClock
    ring: ApiKeyRing

    async def erase(self, tenant: str) -> None:
        """Purge a tenant's keys."""
        await self.admin.purge(self.stream, f"$KV.{self.stream[3:]}.{tenant}.>")


@pytest.fixture
async def rig(nats_server: Endpoint, fresh_env: str) -> AsyncIterator[Rig]:
    async with connected(nats_server) as bus:
        admin, name = JetStreamAdmin(bus), names.api_keys_bucket(fresh_env)
        await admin.ensure_stream(streams.bucket_spec(name))
        clock = VirtualClock(epoch_ms=SystemClock().now_ms())
        bucket = KvBucket(bus, name)
        ring = ApiKeyRing(bucket, clock)
        yield Rig(admin, names.bucket_stream(name), KvApiKeys(bucket, clock), clock, ring)


@pytest.mark.server
async def test_process_that_slept_through_an_erasure_knows_no_erased_key(rig: Rig) -> None:
    gone, gone_text = await rig.keys.add("acme", "app", ["tenant-publish"])
    _, text = await rig.keys.add("bolt", "app", ["tenant-publish"])
    await rig.ring.refresh()
    assert rig.ring.find(str(gone_text)) is not None
    # It hears nothing of what happens until it wakes up.
    await rig.keys.revoke("acme", gone.prefix)
    await rig.clock.advance(SETTLE_SECONDS)
    await rig.erase("acme")
    await rig.keys.add("acme", "of the next", ["tenant-publish"])
    await rig.ring.refresh()
    assert rig.ring.find(str(gone_text)) is None
    assert rig.ring.find(str(text)) is not None


@pytest.mark.server
async def test_process_that_looks_hears_of_a_revocation_before_the_purge(rig: Rig) -> None:
    gone, text = await rig.keys.add("acme", "app", ["tenant-publish"])
    await rig.ring.refresh()
    await rig.keys.revoke("acme", gone.prefix)
    await rig.ring.refresh()
    await rig.erase("acme")
    await rig.ring.refresh()
    assert rig.ring.find(str(text)) is None


def test_nothing_is_erased_before_everybody_who_slept_would_read_anew() -> None:
    assert SETTLE_SECONDS > STALE_SECONDS_MAX


@pytest.mark.parametrize("away", [0.0, STALE_SECONDS_MAX, STALE_SECONDS_MAX + 1])
async def test_being_away_is_seen(away: float) -> None:
    clock, looked = VirtualClock(), Looked()
    assert not looked.is_long_ago(clock), "nothing was missed before the first look"
    looked.note(clock)
    await clock.advance(away)
    assert looked.is_long_ago(clock) == (away > STALE_SECONDS_MAX)


async def test_being_away_is_seen_on_a_machine_that_slept() -> None:
    """The clock that never goes back stood still; the other one went on."""
    clock, looked = VirtualClock(epoch_ms=1_000_000), Looked()
    looked.note(clock)

    class Awake(VirtualClock):
        """The same machine, an hour later by the calendar."""

        def now_ms(self) -> int:
            return 1_000_000 + 3_600_000

        def monotonic(self) -> float:
            return clock.monotonic()

    assert looked.is_long_ago(Awake())
