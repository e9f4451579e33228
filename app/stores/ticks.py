"""The last stored tick of a timer: the record of its last firing (DESIGN 3, Timers).

In: tenant and the tick's event type. Out: when the tick was due, in milliseconds, or None where
none is stored. A message there that is no tick of ours counts as none.
"""

import json
from collections.abc import Callable

from actors.subjects import build_event_subject
from app.errors import StoreError
from app.stores.kv import REQUEST_SECONDS, Requester


class LastTicks:
    """Reads the newest message of a subject straight from the tenant's event stream."""

    def __init__(
        self, requester: Requester, *, env: str, stream_of: Callable[[str, str], str]
    ) -> None:
        self._requester = requester
        self._env = env
        self._stream_of = stream_of

    async def last_stored_tick(self, tenant: str, event_type: str) -> int | None:
        """Give the ``scheduled_ms`` of the newest stored tick; UnavailableError without a bus."""
        stream = self._stream_of(self._env, tenant)
        subject = build_event_subject(self._env, tenant, event_type)
        reply = await self._requester.request(
            f"$JS.API.DIRECT.GET.{stream}.{subject}", b"", timeout_seconds=REQUEST_SECONDS
        )
        headers = reply.headers or {}
        status = headers.get("Status")
        if status == "404":
            return None
        if status is not None:
            raise StoreError(f"reading {subject}: {status} {headers.get('Description', '')}")
        return _scheduled_ms(reply.data)


def _scheduled_ms(data: bytes) -> int | None:
    try:
        scheduled = json.loads(data)["payload"]["scheduled_ms"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    is_time = isinstance(scheduled, int) and not isinstance(scheduled, bool) and scheduled >= 0
    return scheduled if is_time else None
