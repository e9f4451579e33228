"""What is too large for an event, in JetStream's object store: attachments of e-mails.

In: bytes under a tenant and a name. Out: nothing but the assurance that they are stored. A name
says its content's hash, so what is there already is not written again. Only `app.control` makes the
bucket. UnavailableError when nobody answers, StoreError for what was damaged there.
"""

import asyncio
from dataclasses import dataclass
from typing import Final, Protocol

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import ObjectMeta
from nats.js.errors import (
    BadObjectMetaError,
    BucketNotFoundError,
    DigestMismatchError,
    NotFoundError,
)
from nats.js.object_store import ObjectStore

from actors.errors import UnavailableError
from app.errors import StoreError
from app.providers.provider import Blob

STORE_SECONDS_MAX: Final = 30.0

STORED_MS: Final = "Greentic-Stored-Ms"
"""Header with the time at which an object was stored last."""

_MS_DIGITS_MAX: Final = 15


@dataclass(frozen=True, slots=True)
class Renewal:
    """When an object is stored anew, so that its age begins again."""

    now_ms: int = 0
    since_ms: int = -1
    """One that was stored then or before is."""


NEVER: Final = Renewal()


class JetStreams(Protocol):
    """A bus that can give the client library's JetStream."""

    def jetstream(self) -> JetStreamContext:
        """Give it."""
        ...


class ObjectBlobs:
    """Blobs of all tenants of an env, each below its tenant's name."""

    def __init__(self, streams: JetStreams, bucket: str) -> None:
        self._streams = streams
        self._bucket = bucket

    async def put(self, tenant: str, blob: Blob, *, renewal: Renewal = NEVER) -> None:
        """Store a blob; one that is there already stays, unless it is to be renewed."""
        name = f"{tenant}/{blob.name}"
        try:
            async with asyncio.timeout(STORE_SECONDS_MAX):
                store = await self._streams.jetstream().object_store(self._bucket)
                if not await _has(store, name, len(blob.content), renewal.since_ms):
                    headers = {"Content-Type": blob.media_type, STORED_MS: str(renewal.now_ms)}
                    meta = ObjectMeta(headers=headers)
                    await store.put(name, blob.content, meta=meta)
        except (NatsError, TimeoutError) as error:
            raise UnavailableError(f"the object store: {type(error).__name__}") from error

    async def get(self, tenant: str, name: str) -> bytes | None:
        """Read a blob; None where there is none, or no more. StoreError: it is damaged."""
        try:
            async with asyncio.timeout(STORE_SECONDS_MAX):
                store = await self._streams.jetstream().object_store(self._bucket)
                return (await store.get(f"{tenant}/{name}")).data or b""
        except BucketNotFoundError as error:
            raise UnavailableError(f"there is no bucket {self._bucket} yet") from error
        except NotFoundError:
            return None
        except (BadObjectMetaError, DigestMismatchError) as error:
            raise StoreError(f"the object {name} is damaged: {type(error).__name__}") from error
        except (NatsError, TimeoutError) as error:
            raise UnavailableError(f"the object store: {type(error).__name__}") from error


async def _has(store: ObjectStore, name: str, size: int, since_ms: int) -> bool:
    """Tell whether it is there, stored after ``since_ms``."""
    try:
        info = await store.get_info(name)
    except NotFoundError:
        return False
    text = str((info.headers or {}).get(STORED_MS, "0"))
    stored_ms = int(text) if text.isdecimal() and len(text) <= _MS_DIGITS_MAX else 0
    return info.size == size and stored_ms > since_ms
