"""The state of flows in a key-value bucket: the StateStore port.

In: whose state, a key of any text, a JSON value. Out: the value with its revision. Refuses keys,
values and lifetimes out of bounds with PermanentError.

Keys of the bucket are always four tokens, ``{tenant}.{team}.{session}.{key}``. The tenant is a
checked token and the other three are base64url behind a letter, so no text a flow can come up with
reaches another tenant's, team's or session's values.

Every value carries the ids of its last named writes (`app.stores.write_ids`). So all writing is
compare-and-set, also where the caller names no revision: no write may forget those before it.
"""

import base64
import json
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from actors.errors import PermanentError, UnavailableError
from actors.events import json_depth_exceeds
from actors.ports import (
    STATE_KEY_BYTES_MAX,
    STATE_TTL_SECONDS_MAX,
    STATE_VALUE_BYTES_MAX,
    STATE_WRITE_ID_SECONDS,
    Clock,
    StateEntry,
    StateScope,
)
from actors.subjects import check_token
from app.errors import ConflictError
from app.stores.kv import KvBucket, KvEntry
from app.stores.write_ids import WriteIds

EXPIRY_GRACE_SECONDS: Final = 1
"""The server takes whole seconds and rounds down; the envelope's own expiry is exact."""

RACES_MAX: Final = 64
"""How often a write without a revision is tried while others write the same key."""
READ_MAX: Final = 512
"""Keys read last, whose writes are remembered: the usual write follows its read."""

_NONE: Final = "-"


@dataclass(frozen=True, slots=True)
class _Write:
    """What is to become of a key; ``data`` None deletes it."""

    key: str
    data: bytes | None
    ttl_seconds: int | None = None
    write_id: str | None = None


class KvStateStore:
    """StateStore on a bucket. Values ride in an envelope that knows when they expire.

    ``is_replicated`` tells whether any of several servers may answer a read. One that is a moment
    behind would give a flow the value before its own last write, so then the leader is asked.
    """

    def __init__(
        self, bucket: KvBucket, clock: Clock, *, is_replicated: Callable[[], bool] = lambda: False
    ) -> None:
        self._bucket = bucket
        self._clock = clock
        self._is_replicated = is_replicated
        self._read: OrderedDict[str, KvEntry] = OrderedDict()

    async def get(self, scope: StateScope, key: str) -> StateEntry:
        """Read; an absent or expired key is ``StateEntry(None, revision)``."""
        name = bucket_key(scope, key)
        read = self._bucket.get_surely if self._is_replicated() else self._bucket.get
        entry = await read(name)
        self._remember(name, entry)
        if entry.value is None:
            return StateEntry(None, entry.revision)
        envelope = json.loads(entry.value)
        expires_ms = envelope.get("expires_ms")
        if expires_ms is not None and expires_ms <= self._clock.now_ms():
            return StateEntry(None, entry.revision)
        return StateEntry(envelope["value"], entry.revision)

    async def put(
        self,
        scope: StateScope,
        key: str,
        value: Any,
        *,
        revision: int | None = None,
        ttl_seconds: float | None = None,
        write_id: str | None = None,
    ) -> bool:
        """Write; with ``revision`` only if nobody wrote since (False tells that somebody did).

        The write that ``write_id`` names is known for `STATE_WRITE_ID_SECONDS` at least, unless
        some 2,000 others of the key came after it: the same one again changes nothing and is True.
        """
        data = b'{"value":' + _encode(value)
        server_ttl = None
        if ttl_seconds is not None:
            _check_ttl(ttl_seconds)
            server_ttl = math.ceil(ttl_seconds) + EXPIRY_GRACE_SECONDS
            if write_id is not None:
                server_ttl += STATE_WRITE_ID_SECONDS  # the write is known longer than it lasts
            data += b',"expires_ms":%d' % (self._clock.now_ms() + round(ttl_seconds * 1000))
        write = _Write(bucket_key(scope, key), data + b"}", server_ttl, write_id)
        if revision is None:
            await self._write_anyway(write)
            return True
        return await self._write_at(write, revision)

    async def delete(self, scope: StateScope, key: str, *, write_id: str | None = None) -> None:
        """Forget the key; an absent one is no error. ``write_id`` as for `put`."""
        await self._write_anyway(_Write(bucket_key(scope, key), None, write_id=write_id))

    # ── Writing ──────────────────────────────────────────────────────────────────────────────

    async def _write_at(self, write: _Write, revision: int) -> bool:
        """Write if ``revision`` is still the last, or if this very write was made before."""
        before = self._read.get(write.key, KvEntry(None, 0)) if revision else KvEntry(None, 0)
        if before.revision != revision:
            before = await self._bucket.get_surely(write.key)
        if before.revision == revision and not self._was_made(write, before):
            if await self._store(write, before):
                return True
            if write.write_id is None:
                return False
            before = await self._bucket.get_surely(write.key)
        return self._was_made(write, before)

    async def _write_anyway(self, write: _Write) -> None:
        """Write on whatever is there, unless this very write was made before."""
        for _ in range(RACES_MAX):
            before = await self._bucket.get_surely(write.key)
            if self._was_made(write, before) or (write.data is None and before.value is None):
                return
            if await self._store(write, before):
                return
        raise UnavailableError("too many others write the same key of the state")

    async def _store(self, write: _Write, before: KvEntry) -> bool:
        """Put it in the place of ``before``; False where that is the last no more."""
        writes = before.tag
        if write.write_id is not None:
            known = WriteIds.parse(writes).with_write(write.write_id, self._clock.now_ms())
            writes = known.as_text()
        key, revision = write.key, before.revision
        self._read.pop(key, None)
        try:
            if write.data is None:
                await self._bucket.delete(key, revision=revision, tag=writes)
            else:
                await self._bucket.put(
                    key, write.data, revision=revision, ttl_seconds=write.ttl_seconds, tag=writes
                )
        except ConflictError:
            return False
        return True

    def _was_made(self, write: _Write, entry: KvEntry) -> bool:
        if write.write_id is None:
            return False
        return WriteIds.parse(entry.tag).knows(write.write_id)

    def _remember(self, name: str, entry: KvEntry) -> None:
        self._read[name] = KvEntry(None, entry.revision, entry.tag)
        self._read.move_to_end(name)
        if len(self._read) > READ_MAX:
            self._read.popitem(last=False)


def bucket_key(scope: StateScope, key: str) -> str:
    """Build the bucket's key; different scopes and keys never give the same one."""
    tokens = [check_token(scope.tenant, "tenant"), _token(scope.team), _token(scope.session)]
    return ".".join([*tokens, _token(key)])


def _token(text: str | None) -> str:
    if text is None:
        return _NONE
    try:
        raw = text.encode()
    except UnicodeEncodeError as error:
        raise PermanentError("a key must be valid Unicode", reason="state.key") from error
    if len(raw) > STATE_KEY_BYTES_MAX:
        limit = f"a key must not be longer than {STATE_KEY_BYTES_MAX} bytes"
        raise PermanentError(limit, reason="state.key")
    return "x" + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _encode(value: Any) -> bytes:
    if json_depth_exceeds(value):
        raise PermanentError("the value nests too deep", reason="state.value")
    try:
        data = json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise PermanentError(f"the value is no JSON: {error}", reason="state.value") from error
    if len(data) > STATE_VALUE_BYTES_MAX:
        limit = f"the value is larger than {STATE_VALUE_BYTES_MAX} bytes"
        raise PermanentError(limit, reason="too_large")
    return data


def _check_ttl(ttl_seconds: float) -> None:
    if not 0 < ttl_seconds <= STATE_TTL_SECONDS_MAX:
        limit = f"ttl must be above 0 and at most {STATE_TTL_SECONDS_MAX} seconds"
        raise PermanentError(limit, reason="state.ttl")
