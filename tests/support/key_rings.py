"""Rings of API keys without a bus, filled by hand."""

from collections.abc import Sequence
from typing import Any

from actors.testing.clock import VirtualClock
from app.stores.api_key import ApiKey, KeyText
from app.stores.key_ring import ApiKeyRing
from app.stores.kv import KvBucket


class NoBus:
    """A bus that nobody asks."""

    lone_server = None

    async def request(self, *_: Any, **__: Any) -> Any:
        """Refuse."""
        raise AssertionError("this ring has no bus")


def a_stored_key(text: KeyText, **changes: Any) -> ApiKey:
    """Build the record of a key."""
    values: dict[str, Any] = {
        "prefix": text.prefix, "tenant": "acme", "name": "ci", "scopes": ("publish",),
        "created_ms": 1000, "expires_ms": None, "digest": text.digest,
    }  # fmt: skip
    return ApiKey(**(values | changes))


def a_ring(keys: Sequence[ApiKey], clock: VirtualClock | None = None) -> ApiKeyRing:
    """Build a ring that has just read these keys."""
    time = clock or VirtualClock()
    ring = ApiKeyRing(KvBucket(NoBus(), "keys-t"), time)
    for key in keys:
        ring._put(key.place, key)
    ring._follower._fresh_at = time.monotonic()
    return ring
