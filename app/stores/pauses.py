"""Which timers are paused, in a key-value bucket: the TimerPauses port.

In: tenant, timer, the last word about it. Out: the word. A value that is none of ours pauses the
timer, until it is resumed: firing what somebody may have paused would be worse.
"""

import json
from typing import Final

from actors.ports import TimerPause
from actors.subjects import check_token
from app.stores.kv import KvBucket

_ILLEGIBLE: Final = TimerPause(is_paused=True, changed_ms=0)


class KvTimerPauses:
    """A value per timer that was ever paused, without an age."""

    def __init__(self, bucket: KvBucket) -> None:
        self._bucket = bucket

    async def read(self, tenant: str, event_type: str) -> TimerPause | None:
        """Give the last word; None for a timer that nobody ever paused."""
        entry = await self._bucket.get(_key(tenant, event_type))
        return None if entry.value is None else _decode(entry.value)

    async def write(self, tenant: str, event_type: str, pause: TimerPause) -> None:
        """Have it stored; a later word replaces an earlier one."""
        document = {"is_paused": pause.is_paused, "changed_ms": pause.changed_ms}
        await self._bucket.put(_key(tenant, event_type), json.dumps(document).encode())


def _key(tenant: str, event_type: str) -> str:
    """Name a timer within the bucket; its event type is made of tokens already."""
    return f"{check_token(tenant, 'tenant')}.{event_type}"


def _decode(data: bytes) -> TimerPause:
    try:
        document = json.loads(data)
        is_paused, changed_ms = document["is_paused"], document["changed_ms"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return _ILLEGIBLE
    is_legible = isinstance(is_paused, bool) and type(changed_ms) is int
    return TimerPause(is_paused, changed_ms) if is_legible else _ILLEGIBLE
