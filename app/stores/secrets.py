"""Secrets in a key-value bucket, each sealed for its own place: the Secrets port and its writer.

In: a tenant (or `BUNDLE_SCOPE`), a name, a value. Out: the value, for whoever may have it. Refuses
names that are none, values that are empty, no text or over 64 KiB, and stored values that were
sealed with another key, changed or moved (PermanentError ``secret.unreadable``).

Keys of the bucket are two tokens, ``{tenant}.{name}``: the tenant is a checked token and the name
base64url behind a letter. The bucket's server sees names and lengths, never a value.
"""

import asyncio
import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from actors.errors import InvalidSubjectError, PermanentError
from actors.ports import SECRET_BYTES_MAX
from actors.subjects import check_token
from app.errors import NotFoundError, SealError, SettingsError, StoreError
from app.stores.key_source import KeySource
from app.stores.kv import KvBucket
from app.stores.sealing import Place

BUNDLE_SCOPE: Final = "_bundle"
"""Stands where a tenant does, for the secrets of providers' options. A tenant's id never begins
with an underscore (SPEC 2), so no flow can ask for them."""

SECRETS_MAX: Final = 1000
"""Secrets of one tenant."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A secret with the revision of its last write, which says nothing about the value."""

    value: str = field(repr=False)
    revision: int


class KvSecrets:
    """The secrets of one env."""

    def __init__(self, bucket: KvBucket, env: str, keys: KeySource) -> None:
        self._bucket = bucket
        self._env = env
        self._keys = keys

    async def get(self, tenant: str, name: str) -> str | None:
        """Give the secret, or None where there is none of that name; see `actors.ports.Secrets`."""
        found = await self.find(tenant, name)
        return None if found is None else found.value

    async def find(self, tenant: str, name: str) -> StoredSecret | None:
        """Give the secret with its revision, or None."""
        key = bucket_key(tenant, name)
        try:
            entry = await self._bucket.get(key)
            if entry.value is None:
                return None
            content = self._keys.for_opening().open(self._place(tenant, name), entry.value)
        except (SealError, SettingsError) as error:
            text = f"the secret {name!r} cannot be opened: {error}"
            raise PermanentError(text, reason="secret.unreadable") from None
        except StoreError as error:
            # The server's own words; a run that fails is better than a flow that crashes.
            raise PermanentError(str(error), reason="secret.unreadable") from None
        return StoredSecret(content.decode(), entry.revision)

    async def revision_of(self, tenant: str, name: str) -> int | None:
        """Give the revision of a secret's last write without opening it; None: there is none."""
        entry = await self._bucket.get_surely(bucket_key(tenant, name))
        return None if entry.value is None else entry.revision

    async def find_all(self, tenant: str, names: Iterable[str]) -> Mapping[str, StoredSecret]:
        """Give those of the names that there are."""
        wanted = sorted(set(names))
        found = await asyncio.gather(*(self.find(tenant, name) for name in wanted))
        return {name: one for name, one in zip(wanted, found, strict=True) if one is not None}

    async def set(self, tenant: str, name: str, value: str) -> None:
        """Store a secret over what is there. PermanentError for a bad name or value.

        SettingsError where there is no key to seal it with.
        """
        key = bucket_key(tenant, name)
        content = check_value(value)
        is_new = (await self._bucket.get(key)).value is None
        if is_new and len(await self._bucket.keys(tenant)) >= SECRETS_MAX:
            limit = f"{tenant} has {SECRETS_MAX} secrets, which is the most"
            raise PermanentError(limit, reason="secret.limit")
        sealed = self._keys.for_sealing().seal(self._place(tenant, name), content)
        await self._bucket.put(key, sealed)

    async def list(self, tenant: str) -> tuple[str, ...]:
        """Name a tenant's secrets, sorted."""
        prefix = check_owner(tenant)
        keys = await self._bucket.keys(prefix)
        return tuple(sorted(_name_of(key.removeprefix(f"{prefix}.")) for key in keys))

    async def remove(self, tenant: str, name: str) -> None:
        """Forget a secret; NotFoundError where there is none."""
        key = bucket_key(tenant, name)
        if (await self._bucket.get(key)).value is None:
            raise NotFoundError(f"{tenant} has no secret {name!r}")
        await self._bucket.delete(key)

    def _place(self, tenant: str, name: str) -> Place:
        return Place(self._env, tenant, name)


def bucket_key(tenant: str, name: str) -> str:
    """Build the bucket's key; different tenants and names never give the same one."""
    token = base64.urlsafe_b64encode(check_name(name).encode()).decode().rstrip("=")
    return f"{check_owner(tenant)}.x{token}"


def owner_and_name(key: str) -> tuple[str, str] | None:
    """Undo `bucket_key`; None for what it never gives."""
    owner, _, token = key.partition(".")
    try:
        name = _name_of(token)
        return (owner, name) if bucket_key(owner, name) == key else None
    except (ValueError, InvalidSubjectError, PermanentError):
        return None


def check_owner(tenant: str) -> str:
    """Give a tenant's id, or the bundle's scope, back; InvalidSubjectError."""
    return tenant if tenant == BUNDLE_SCOPE else check_token(tenant, "tenant")


def check_name(name: str) -> str:
    """Give a secret's name back if it may be one; PermanentError (``secret.name``) if not."""
    if not _NAME.fullmatch(name):
        raise PermanentError(
            f"{name[:200]!r} is no name of a secret: a letter or '_', then up to 127 letters,"
            " digits, '_', '.' or '-'",
            reason="secret.name",
        )
    return name


def check_value(value: str) -> bytes:
    """Give a value's bytes; PermanentError (``secret.value``), which never repeats it."""
    try:
        content = value.encode()
    except UnicodeEncodeError:
        raise PermanentError("a secret must be valid Unicode", reason="secret.value") from None
    if not content:
        raise PermanentError("a secret must not be empty", reason="secret.value")
    if len(content) > SECRET_BYTES_MAX:
        limit = f"a secret must not be longer than {SECRET_BYTES_MAX} bytes"
        raise PermanentError(limit, reason="secret.value")
    return content


def _name_of(token: str) -> str:
    text = token[1:]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
