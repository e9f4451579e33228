"""The backlog quota: a tenant whose work piles up is told to come later (SPEC 13).

In: every publish of an event. Out: a refusal once too much of the tenant's work waits, until a
tenth of it is done. Refuses no timers, which are few and would be lost; what is on its way already
(continuations, results) does not come here.

A publish costs a look-up and a comparison: it takes from a `Room`, what was left when the server
was last asked. That is asked at most once a second, beside the requests and only while somebody
publishes or a backlog is being worked off; what this process has published since then counts as
backlog too. Where the room is used up between two looks the next one is made at once.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from actors.errors import ActorsError, QuotaExceededError, TransientError
from actors.observations import BacklogMeasured, EventRefused
from actors.ports import Clock, Envelope, Observer
from app.bus.backlog_reading import BacklogFigures, BacklogMemory
from app.bus.deliveries import TenantConsumers
from app.bus.observations import BacklogDrained, BacklogFilled, BacklogUnknown, EventsLost
from app.errors import BusError

REFRESH_SECONDS: Final = 1.0
ASKING_MAX: Final = 16
"""Tenants that the server is asked about at once."""

RESUME_SHARE: Final = 0.9
"""Taking in begins again below this share of the quota, so that it does not flap."""
CALM_SHARE: Final = 0.1
RETRY_SECONDS_FIRST: Final = 5.0
"""Said before it is known how fast the backlog shrinks."""
RETRY_SECONDS_MIN: Final = 1.0
RETRY_SECONDS_MAX: Final = 60.0

REASON: Final = "quota_exceeded"
_MESSAGE: Final = "too many of the tenant's events wait to be processed"
_TIMER_PREFIX: Final = "timer."
_SMOOTHING: Final = 0.3


@dataclass(frozen=True, slots=True)
class BacklogLimits:
    """What a tenant may have unprocessed (SPEC 13)."""

    events: int = 100_000
    bytes: int = 256 * 1024 * 1024

    def fill_of(self, figures: BacklogFigures) -> float:
        """Give how full it is: 1 is full."""
        return max(figures.events / self.events, figures.bytes / self.bytes)

    def of(self, tenant: str) -> "BacklogLimits":  # noqa: ARG002 - the same for all
        """Give a tenant's limits."""
        return self


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the server is asked about one tenant, in seconds."""

    usual: float = REFRESH_SECONDS
    calm: float = 5.0
    """Below `CALM_SHARE` of the quota, which nobody fills meanwhile, and for a backlog that is
    worked off while nobody publishes."""
    pressed: float = 0.25
    """A room that is used up: what was published since the last look may be done long since."""
    idle_after: float = 60.0


class Reader(Protocol):
    """Tells a tenant's backlog (`backlog_reading.BacklogReader`)."""

    async def read(self, consumers: TenantConsumers, memory: BacklogMemory) -> BacklogFigures:
        """Read it anew. UnavailableError, BusError."""
        ...


class LimitsBook(Protocol):
    """Knows what each tenant may have unprocessed."""

    def of(self, tenant: str) -> BacklogLimits:
        """Give a tenant's limits."""
        ...


class Room:
    """What a tenant may publish until its backlog is known anew."""

    __slots__ = ("bytes", "events", "is_over", "pressed", "refusals", "retry_after_seconds")

    def __init__(self, limits: BacklogLimits) -> None:
        self.events = limits.events
        self.bytes = limits.bytes
        self.is_over = False
        self.refusals = 0
        self.retry_after_seconds = RETRY_SECONDS_MIN
        self.pressed = asyncio.Event()

    def take(self, size: int) -> None:
        """Count one event of ``size`` bytes."""
        self.events -= 1
        self.bytes -= size


@dataclass(slots=True)
class _Account:
    """What is known of a tenant, also while nobody publishes."""

    memory: BacklogMemory = field(default_factory=BacklogMemory)
    fill: float = 0.0
    read_at: float = 0.0
    drained_per_second: float | None = None
    """Of the quota, while over it; None: not known yet."""
    lost: int = 0
    is_known: bool = True


class BacklogQuota:
    """The quotas of all tenants of a process. `close` it."""

    def __init__(
        self,
        limits: LimitsBook,
        consumers_of: Callable[[str], TenantConsumers],
        *,
        reader: Reader,
        observer: Observer,
        clock: Clock,
        pace: Pace | None = None,
    ) -> None:
        self._rooms: dict[str, Room] = {}
        self._limits = limits
        self._consumers_of = consumers_of
        self._reader = reader
        self._observer = observer
        self._clock = clock
        self._pace = pace or Pace()
        self._accounts: dict[str, _Account] = {}
        self._keepers: set[asyncio.Task[None]] = set()
        self._asking = asyncio.Semaphore(ASKING_MAX)

    def enter(self, envelope: Envelope) -> Room:
        """Give the room that a publish takes from; raises where it is used up.

        QuotaExceededError. What a flow emits (its hops tell) fails with a TransientError instead,
        as a step that may be retried.
        """
        room = self._rooms.get(envelope.tenant) or self._open(envelope.tenant)
        if room.events <= 0 or room.bytes <= 0:
            self._refuse(room, envelope)
        return room

    async def close(self) -> None:
        """Look after nobody any more."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._rooms.clear()

    def _open(self, tenant: str) -> Room:
        """Begin to look after a tenant. Until the server has answered it has its whole quota."""
        room = self._rooms[tenant] = Room(self._limits.of(tenant))
        account = self._accounts.setdefault(tenant, _Account())
        account.drained_per_second = None
        keeper = asyncio.get_running_loop().create_task(self._keep(tenant, room, account))
        self._keepers.add(keeper)
        keeper.add_done_callback(self._keepers.discard)
        return room

    def _refuse(self, room: Room, envelope: Envelope) -> None:
        if envelope.event.event_type.startswith(_TIMER_PREFIX):
            return
        room.refusals += 1
        room.pressed.set()
        self._observer.observe(EventRefused(envelope.tenant, REASON))
        seconds = room.retry_after_seconds
        if envelope.hops:
            raise TransientError(_MESSAGE, reason=REASON, retry_after_seconds=seconds)
        raise QuotaExceededError(envelope.tenant, _MESSAGE, retry_after_seconds=seconds)

    # ── Looking after one tenant ─────────────────────────────────────────────────────────────

    async def _keep(self, tenant: str, room: Room, account: _Account) -> None:
        """Learn the backlog again and again until nobody publishes and nothing waits."""
        used_at = self._clock.monotonic()
        try:
            while True:
                figures = await self._refresh(tenant, room, account)
                before = (room.events, room.refusals)
                await self._wait(room, account.fill, used_at)
                if before != (room.events, room.refusals):
                    used_at = self._clock.monotonic()
                elif not room.is_over and (figures is None or not figures.events):
                    return
        finally:
            # However it ended: a room that nobody looks after would be used up for ever.
            self._rooms.pop(tenant, None)

    async def _wait(self, room: Room, fill: float, used_at: float) -> None:
        """Wait for the next look, which a used up room brings forward."""
        pace = self._pace
        is_idle = self._clock.monotonic() - used_at > pace.idle_after
        pause = pace.calm if is_idle or fill < CALM_SHARE else pace.usual
        room.pressed.clear()
        await asyncio.sleep(pace.pressed)
        if room.is_over:
            await asyncio.sleep(pause - pace.pressed)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause - pace.pressed):
                await room.pressed.wait()

    async def _refresh(self, tenant: str, room: Room, account: _Account) -> BacklogFigures | None:
        """Learn the backlog anew. None: it is not to be known, and the last figure goes on."""
        try:
            async with self._asking:
                events, size = room.events, room.bytes
                figures = await self._reader.read(self._consumers_of(tenant), account.memory)
        except (ActorsError, BusError) as error:
            if account.is_known:
                self._observer.observe(BacklogUnknown(tenant, str(error)))
            account.is_known = False
            return None
        account.is_known = True
        # What was published while the server was asked may not be in its answer.
        events_since, bytes_since = events - room.events, size - room.bytes
        self._judge(tenant, room, account, figures)
        room.events -= events_since
        room.bytes -= bytes_since
        self._observer.observe(BacklogMeasured(tenant, figures.events, figures.bytes, account.lost))
        return figures

    def _judge(self, tenant: str, room: Room, account: _Account, figures: BacklogFigures) -> None:
        if figures.lost:
            account.lost += figures.lost
            self._observer.observe(EventsLost(tenant, figures.lost, account.lost))
        limits, now = self._limits.of(tenant), self._clock.monotonic()
        fill = limits.fill_of(figures)
        was_over, room.is_over = room.is_over, fill >= (RESUME_SHARE if room.is_over else 1.0)
        if was_over and now > account.read_at:
            _learn_drain(account, (account.fill - fill) / (now - account.read_at))
        account.fill, account.read_at = fill, now
        if room.is_over:
            room.events = room.bytes = 0
            room.retry_after_seconds = _retry_after(account)
        else:
            room.events = limits.events - figures.events
            room.bytes = limits.bytes - figures.bytes
            room.retry_after_seconds = RETRY_SECONDS_MIN
            account.drained_per_second = None
        if was_over != room.is_over:
            changed = BacklogFilled if room.is_over else BacklogDrained
            self._observer.observe(changed(tenant, figures.events, figures.bytes))


def _learn_drain(account: _Account, per_second: float) -> None:
    """Smooth what was seen: work is done in batches."""
    known = account.drained_per_second
    seen = max(0.0, per_second)
    account.drained_per_second = seen if known is None else known + _SMOOTHING * (seen - known)


def _retry_after(account: _Account) -> float:
    """Estimate when there will be room, from how fast the backlog shrinks, within bounds."""
    rate = account.drained_per_second
    if rate is None:
        return RETRY_SECONDS_FIRST
    excess = max(0.0, account.fill - RESUME_SHARE)
    if rate * RETRY_SECONDS_MAX <= excess:
        return RETRY_SECONDS_MAX
    return max(RETRY_SECONDS_MIN, excess / rate)
