"""All API keys of an env, kept fresh: what one process checks tokens against.

In: the bucket of keys; tokens. Out: whose key a token is. Refuses tokens that are of no key, of an
expired one or of a revoked one, all in the same way; with UnavailableError every token once the
keys have not been read for `STALE_SECONDS_MAX`.

Each look asks the bucket's leader for its last revision, and reads what was written since: one
question where nothing was. A write that is heard on the bus makes the next looks come at once, so
a revocation is known within a fraction of a second; where it is not heard, within `LOOK_SECONDS`.
While NATS is away a revocation cannot be heard of, and a process that is cut off must not let a
revoked key live on: so for `STALE_SECONDS_MAX`, which outlasts the election of a leader, it goes on
with what it knew, and then takes no key at all.
"""

import asyncio
import contextlib
from typing import Final

import structlog

from actors.errors import UnavailableError
from actors.ports import Clock
from app.errors import StoreError
from app.identity.principal import Principal
from app.stores.api_key import ApiKey, KeyText, matches, parse_text
from app.stores.api_keys import key_at
from app.stores.key_uses import KeyUses
from app.stores.kv import KvBucket

LOOK_SECONDS: Final = 0.5
"""Between two looks, while nothing is heard."""
EAGER_SECONDS: Final = 0.05
EAGER_LOOKS: Final = 10
"""Between looks, and how many, once a write was heard: it may not be decided yet."""
STALE_SECONDS_MAX: Final = 15.0
"""A leader's election takes 4 to 7 s (measured)."""
RETRY_AFTER_SECONDS: Final = 2.0

_NOBODY: Final = KeyText("", "-" * 43)
"""Stands for what has not a key's form, so that it costs the same work."""

_log = structlog.get_logger("app.api_keys")


class ApiKeyRing:
    """The keys of one env: `app.identity.authentication.KeyRing`."""

    def __init__(self, bucket: KvBucket, clock: Clock, uses: KeyUses | None = None) -> None:
        self._bucket = bucket
        self._clock = clock
        self._uses = uses
        self._by_place: dict[str, ApiKey] = {}
        self._by_prefix: dict[str, tuple[ApiKey, ...]] = {}
        self._revision = 0
        self._fresh_at = float("-inf")
        self._eager = 0
        self._heard = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def find(self, token: str) -> Principal | None:
        """See `app.identity.authentication.KeyRing`."""
        if self._clock.monotonic() - self._fresh_at > STALE_SECONDS_MAX:
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
        self._eager = EAGER_LOOKS
        self._heard.set()

    async def start(self) -> None:
        """Read the keys and keep them fresh until `stop`. UnavailableError, StoreError."""
        await self.refresh()
        self._task = asyncio.create_task(self._keep_fresh(), name="api-keys")

    async def stop(self) -> None:
        """Let them be; tokens are still checked against what was read last, while that is new."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def refresh(self) -> None:
        """Read what was written since the last time."""
        asked_at = self._clock.monotonic()
        last = await self._bucket.last_revision()
        if last < self._revision:
            # The bucket was made anew: what was known of the old one is worth nothing.
            self._by_place, self._by_prefix, self._revision = {}, {}, 0
        while self._revision < last:
            change = await self._bucket.next_change(self._revision)
            if change is None:
                self._revision = last
                break
            self._put(change.key, key_at(change.key, change.entry))
            self._revision = change.entry.revision
        self._fresh_at = asked_at

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

    async def _keep_fresh(self) -> None:
        while True:
            await self._pause()
            with contextlib.suppress(UnavailableError):
                try:
                    await self.refresh()
                except StoreError as error:
                    _log.warning("api_keys.not_refreshed", error_code=error.code)

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
