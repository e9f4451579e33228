"""The secrets and API keys of one process, on its connection to NATS.

In: a connection, an env, the key that seals. Out: the stores behind flows and providers; what a
bundle's answers refer to. A secret that cannot be read is told as SettingsError: the options are
not complete without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from actors.errors import PermanentError, UnavailableError
from actors.ports import Clock, Observer
from app.bundle.reading import referenced_secrets
from app.bus.connection import Bus, Subscription
from app.control.credentials import ensure_credential_buckets
from app.control.names import api_keys_bucket, key_uses_bucket, secrets_bucket
from app.errors import BusError, SettingsError
from app.identity.authentication import Authenticator
from app.identity.lock_out import LockOut
from app.stores.api_keys import KvApiKeys
from app.stores.key_ring import ApiKeyRing
from app.stores.key_source import KeySource
from app.stores.key_uses import KeyUses
from app.stores.kv import KvBucket
from app.stores.secrets import BUNDLE_SCOPE, KvSecrets, StoredSecret


@dataclass(frozen=True, slots=True)
class Credentials:
    """What `program` hands to flows and providers. Make one with `Credentials.open`."""

    secrets: KvSecrets
    api_keys: Authenticator
    """Judges the keys that requests show."""
    key_store: KvApiKeys
    key_uses: KeyUses
    _ring: ApiKeyRing
    _bus: Bus
    _writes: Subscription

    @classmethod
    async def open(cls, bus: Bus, keys: KeySource, clock: Clock, observer: Observer) -> Self:
        """Make the buckets where there are none, and begin to follow the API keys."""
        await ensure_credential_buckets(bus, keys.env)
        bucket = KvBucket(bus, api_keys_bucket(keys.env))
        uses = KeyUses(KvBucket(bus, key_uses_bucket(keys.env)), clock)
        ring = ApiKeyRing(bucket, clock, uses)
        writes = await bus.subscribe(bucket.pattern, ring.hear)
        await ring.start()
        uses.start()
        return cls(
            secrets=KvSecrets(KvBucket(bus, secrets_bucket(keys.env)), keys.env, keys),
            api_keys=Authenticator(ring, LockOut(clock.monotonic), observer),
            key_store=KvApiKeys(bucket, clock),
            key_uses=uses,
            _ring=ring,
            _bus=bus,
            _writes=writes,
        )

    async def read_referenced(self, bundle: Path) -> Mapping[str, StoredSecret]:
        """Read the secrets that a bundle's answers refer to, as far as there are any.

        SettingsError: one cannot be opened. BusError: the store does not answer.
        """
        names = referenced_secrets(bundle)
        try:
            return await self.secrets.find_all(BUNDLE_SCOPE, names)
        except UnavailableError as error:
            raise BusError(f"the secrets of the bundle: {error}") from error
        except PermanentError as error:
            raise SettingsError([str(error)]) from None

    async def close(self) -> None:
        """Follow the API keys no more."""
        await self._bus.unsubscribe(self._writes)
        await self._ring.stop()
        await self.key_uses.stop()
