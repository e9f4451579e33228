"""In-memory twin of the StateStore port.

In: scope, key, JSON value. Out: a copy of the value with its revision. It refuses what the port
says, forgets by its clock, and like a real bucket numbers all writes in one row.
"""

import json
from dataclasses import dataclass
from typing import Any

from actors.errors import PermanentError
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


@dataclass(frozen=True, slots=True)
class _Stored:
    text: str | None
    revision: int
    expires_ms: int | None = None


class MemoryStateStore:
    """Twin of StateStore."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stored: dict[tuple[StateScope, str], _Stored] = {}
        self._writes: dict[tuple[StateScope, str, str], int] = {}
        """When each named write is forgotten, in ms."""
        self._revision = 0

    async def get(self, scope: StateScope, key: str) -> StateEntry:
        """Read; an absent or expired key is ``StateEntry(None, revision)``."""
        _check_names(scope, key)
        stored = self._stored.get((scope, key), _Stored(None, 0))
        is_over = stored.expires_ms is not None and stored.expires_ms <= self._clock.now_ms()
        if stored.text is None or is_over:
            return StateEntry(None, stored.revision)
        return StateEntry(json.loads(stored.text), stored.revision)

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
        """Write; with ``revision`` only if nobody wrote since (False tells that somebody did)."""
        _check_names(scope, key)
        text = _encode(value)
        if self._is_known(scope, key, write_id):
            return True
        expires_ms = None
        if ttl_seconds is not None:
            if not 0 < ttl_seconds <= STATE_TTL_SECONDS_MAX:
                raise PermanentError("ttl is out of bounds", reason="state.ttl")
            expires_ms = self._clock.now_ms() + round(ttl_seconds * 1000)
        last = self._stored.get((scope, key), _Stored(None, 0))
        if revision is not None and revision != last.revision:
            return False
        self._revision += 1
        self._stored[scope, key] = _Stored(text, self._revision, expires_ms)
        self._remember(scope, key, write_id)
        return True

    async def delete(self, scope: StateScope, key: str, *, write_id: str | None = None) -> None:
        """Forget the key; an absent one is no error."""
        _check_names(scope, key)
        last = self._stored.get((scope, key))
        if self._is_known(scope, key, write_id) or last is None or last.text is None:
            return
        self._revision += 1
        self._stored[scope, key] = _Stored(None, self._revision)
        self._remember(scope, key, write_id)

    def _is_known(self, scope: StateScope, key: str, write_id: str | None) -> bool:
        until_ms = 0 if write_id is None else self._writes.get((scope, key, write_id), 0)
        return until_ms > self._clock.now_ms()

    def _remember(self, scope: StateScope, key: str, write_id: str | None) -> None:
        if write_id is not None:
            self._writes[scope, key, write_id] = (
                self._clock.now_ms() + STATE_WRITE_ID_SECONDS * 1000
            )


def _check_names(scope: StateScope, key: str) -> None:
    check_token(scope.tenant, "tenant")
    for name in (scope.team or "", scope.session or "", key):
        if len(name.encode("utf-8", "surrogatepass")) > STATE_KEY_BYTES_MAX:
            raise PermanentError("a key is too long", reason="state.key")
        if any("\ud800" <= char <= "\udfff" for char in name):
            raise PermanentError("a key must be valid Unicode", reason="state.key")


def _encode(value: Any) -> str:
    if json_depth_exceeds(value):
        raise PermanentError("the value nests too deep", reason="state.value")
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise PermanentError(f"the value is no JSON: {error}", reason="state.value") from error
    if len(text) > STATE_VALUE_BYTES_MAX:
        raise PermanentError("the value is too large", reason="too_large")
    return text
