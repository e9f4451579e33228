"""All API keys of an env, kept fresh: what one process checks tokens against.

In: the bucket of keys; tokens. Out: whose key a token is. Refuses tokens that are of no key, of an
expired one or of a revoked one, all in the same way; with UnavailableError every token once the
keys have not been read for `app.stores.following.STALE_SECONDS_MAX`.

A revocation is known within a fraction of a second where the write is heard on the bus, else within
`app.stores.following.LOOK_SECONDS`. While NATS is away it cannot be heard of, and a process that is
cut off must not let a revoked key live on: so for a time which outlasts the election of a leader it
goes on with what it knew, and then takes no key at all.
"""

from typing import Final

from actors.errors import UnavailableError
from actors.ports import Clock
from app.identity.principal import Principal
from app.stores.api_key import ApiKey, KeyText, matches, parse_text
from app.stores.api_keys import key_at
from app.stores.following import RETRY_AFTER_SECONDS, BucketFollower
from app.stores.key_uses import KeyUses
from app.stores.kv import KvBucket, KvChange

_NOBODY: Final = KeyText("", "-" * 43)
"""Stands for what has not a key's form, so that it costs the same work."""


class ApiKeyRing:
    """The keys of one env: `app.identity.authentication.KeyRing`."""

    def __init__(self, bucket: KvBucket, clock: Clock, uses: KeyUses | None = None) -> None:
        self._follower = BucketFollower(bucket, clock, self, name="keys")
        self._clock = clock
        self._uses = uses
        self._by_place: dict[str, ApiKey] = {}
        self._by_prefix: dict[str, tuple[ApiKey, ...]] = {}

    def find(self, token: str) -> Principal | None:
        """See `app.identity.authentication.KeyRing`."""
        if not self._follower.is_fresh:
            raise UnavailableError(
                "API keys cannot be checked now", retry_after_seconds=RETRY_AFTER_SECONDS
            )
        text = parse_text(token) or _NOBODY
        key = matches(text, self._by_prefix.get(text.prefix, ()))
        now_ms = self._clock.now_ms()
        if key is None or not key.is_in_force(now_ms):
            return None
        if self._uses is not None:
            self._uses.note(key.place, now_ms)
        return key.as_principal()

    def hear(self, _: object = None) -> None:
        """Look soon: something was written."""
        self._follower.hear()

    async def start(self) -> None:
        """Read the keys and keep them fresh until `stop`. UnavailableError, StoreError."""
        await self._follower.start()

    async def stop(self) -> None:
        """Let them be; tokens are still checked against what was read last, while that is new."""
        await self._follower.stop()

    async def refresh(self) -> None:
        """Read what was written since the last time."""
        await self._follower.refresh()

    def take(self, change: KvChange) -> None:
        """See `app.stores.following.Reader`."""
        self._put(change.key, key_at(change.key, change.entry))

    def start_over(self) -> None:
        """See `app.stores.following.Reader`: what was known of the old bucket is worth nothing."""
        self._by_place, self._by_prefix = {}, {}

    def caught_up(self) -> None:
        """See `app.stores.following.Reader`."""

    def _put(self, place: str, key: ApiKey | None) -> None:
        before = self._by_place.pop(place, None)
        for changed in (before, key):
            if changed is not None:
                prefix = changed.prefix
                others = [one for one in self._by_prefix.get(prefix, ()) if one.place != place]
                self._by_prefix[prefix] = tuple(others)
        if key is not None and key.revoked_ms is None:
            self._by_place[place] = key
            self._by_prefix[key.prefix] = (*self._by_prefix[key.prefix], key)
        elif before is not None and not self._by_prefix[before.prefix]:
            del self._by_prefix[before.prefix]
