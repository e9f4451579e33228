"""Lock-outs for guessing, in the audit log: seldom enough that guessing does not fill it.

In: lock-outs, from any thread. Out: entries, at most one a minute for the same address or prefix,
and so many a minute in all. The metric ``greentic_lock_outs_total`` counts the rest too.
"""

import asyncio
from collections import OrderedDict
from typing import Final

from actors.ports import Clock
from app.audit.log import AuditLog, Change
from app.identity.observations import GuessingLocked

SAME_SECONDS: Final = 60.0
ALL_PER_MINUTE: Final = 20
REMEMBERED_MAX: Final = 1000


class LockOutTeller:
    """Hears of lock-outs: `app.identity.authentication.Authenticator.on_locked`."""

    def __init__(self, log: AuditLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._told_at: OrderedDict[str, float] = OrderedDict()

    def __call__(self, locked: GuessingLocked) -> None:
        """Take note of a lock-out. Never waits."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, locked)

    def _tell(self, locked: GuessingLocked) -> None:
        now = self._clock.monotonic()
        name = f"{locked.by} {locked.what}"
        recent = sum(now - told_at < SAME_SECONDS for told_at in self._told_at.values())
        if now - self._told_at.get(name, float("-inf")) < SAME_SECONDS or recent >= ALL_PER_MINUTE:
            return
        self._told_at.pop(name, None)
        self._told_at[name] = now
        if len(self._told_at) > REMEMBERED_MAX:
            self._told_at.popitem(last=False)
        after = {"failures": locked.failures, "seconds": locked.seconds}
        self._log.tell(Change("key.locked_out", None, name, after=after))
