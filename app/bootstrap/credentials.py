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
from actors.ports import Clock
from app.bundle.reading import referenced_secrets
from app.bus.connection import Bus
from app.control.credentials import ensure_credential_buckets
from app.control.names import api_keys_bucket, secrets_bucket
from app.errors import BusError, SettingsError
from app.stores.api_keys import ApiKeyRing
from app.stores.key_source import KeySource
from app.stores.kv import KvBucket
from app.stores.secrets import BUNDLE_SCOPE, KvSecrets, StoredSecret


@dataclass(frozen=True, slots=True)
class Credentials:
    """What `program` hands to flows and providers. Make one with `Credentials.open`."""

    secrets: KvSecrets
    api_keys: ApiKeyRing

    @classmethod
    async def open(cls, bus: Bus, keys: KeySource, clock: Clock) -> Self:
        """Make the buckets where there are none, and begin to follow the API keys."""
        await ensure_credential_buckets(bus, keys.env)
        ring = ApiKeyRing(KvBucket(bus, api_keys_bucket(keys.env)), clock)
        await ring.start()
        secrets = KvSecrets(KvBucket(bus, secrets_bucket(keys.env)), keys.env, keys)
        return cls(secrets, ring)

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
        await self.api_keys.stop()
