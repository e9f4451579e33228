"""The state of flows in a key-value bucket: the StateStore port.

In: whose state, a key of any text, a JSON value. Out: the value with its revision. Refuses keys,
values and lifetimes out of bounds with PermanentError.

Keys of the bucket are always four tokens, ``{tenant}.{team}.{session}.{key}``. The tenant is a
checked token and the other three are base64url behind a letter, so no text a flow can come up with
reaches another tenant's, team's or session's values.
"""

import base64
import json
import math
from typing import Any, Final

from actors.errors import PermanentError
from actors.events import json_depth_exceeds
from actors.ports import (
    STATE_KEY_BYTES_MAX,
    STATE_TTL_SECONDS_MAX,
    STATE_VALUE_BYTES_MAX,
    Clock,
    StateEntry,
    StateScope,
)
from actors.subjects import check_token
from app.errors import ConflictError
from app.stores.kv import KvBucket

EXPIRY_GRACE_SECONDS: Final = 1
"""The server takes whole seconds and rounds down; the envelope's own expiry is exact."""

_NONE: Final = "-"


class KvStateStore:
    """StateStore on a bucket. Values ride in an envelope that knows when they expire."""

    def __init__(self, bucket: KvBucket, clock: Clock) -> None:
        self._bucket = bucket
        self._clock = clock

    async def get(self, scope: StateScope, key: str) -> StateEntry:
        """Read; an absent or expired key is ``StateEntry(None, revision)``."""
        entry = await self._bucket.get(bucket_key(scope, key))
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
    ) -> bool:
        """Write; with ``revision`` only if nobody wrote since (False tells that somebody did)."""
        data = b'{"value":' + _encode(value)
        server_ttl = None
        if ttl_seconds is not None:
            _check_ttl(ttl_seconds)
            server_ttl = math.ceil(ttl_seconds) + EXPIRY_GRACE_SECONDS
            data += b',"expires_ms":%d' % (self._clock.now_ms() + round(ttl_seconds * 1000))
        name = bucket_key(scope, key)
        try:
            await self._bucket.put(name, data + b"}", revision=revision, ttl_seconds=server_ttl)
        except ConflictError:
            return False
        return True

    async def delete(self, scope: StateScope, key: str) -> None:
        """Forget the key; an absent one is no error."""
        await self._bucket.delete(bucket_key(scope, key))


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
