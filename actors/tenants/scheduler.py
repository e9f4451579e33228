"""The scheduler of a tenant: publishes the ticks of its flows' timers.

In: timer triggers and the time. Out: events ``timer.<flow>.<n>``, one per tick however many workers
run this: the tick's id is its message id, so the stream keeps one. The last tick in the stream is
the record of the last firing; what was missed since is judged by the trigger's `misfire`. A timer
that is paused fires nothing, and counts from its resumption afterwards.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final, Never, TypeVar

from actors.errors import UnavailableError
from actors.events import Event
from actors.flows.compiled import CompiledFlow
from actors.kernel.actor import Actor
from actors.observations import TimerFired
from actors.ports import Clock, Envelope, EventPublisher, Observer, Ticks, TimerPauses
from actors.tenants.timer import ON_TIME_SECONDS, Timer, choose_ticks, timers_of

NAP_SECONDS_MAX: Final = 30.0
"""A scheduler looks at the wall clock at least this often: it may have been set, or slept."""

RETRY_SECONDS: Final = 1.0
_MS: Final = 1000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SchedulerPorts:
    """What a scheduler needs of the world."""

    publisher: EventPublisher
    ticks: Ticks
    pauses: TimerPauses
    observer: Observer
    clock: Clock


class SchedulerActor(Actor[Never]):
    """Follows all timers of a tenant's deployment; it gets no messages."""

    def __init__(self, tenant: str, flows: Iterable[CompiledFlow], ports: SchedulerPorts) -> None:
        self._tenant = tenant
        self._ports = ports
        self._timers = timers_of(tenant, flows)

    async def on_start(self) -> None:
        """Begin to follow every timer."""
        for timer in self._timers:
            self.add_task(self._follow(timer))

    async def receive(self, message: Never) -> None:
        """Take no message: the time is all it follows."""

    # ── One timer ────────────────────────────────────────────────────────────────────────────

    async def _follow(self, timer: Timer) -> None:
        clock = self._ports.clock
        done_ms = await self._last_tick(timer)
        if done_ms is None:
            # A timer that never fired has missed nothing: it counts from now.
            done_ms = clock.now_ms()
        while True:
            now_ms = clock.now_ms()
            next_ms = timer.cron.next_after(done_ms)
            if next_ms is None:
                return
            wait_ms = timer.due_ms(next_ms) - now_ms
            if wait_ms > 0:
                await clock.sleep(min(wait_ms / _MS, NAP_SECONDS_MAX))
                continue
            if -wait_ms > ON_TIME_SECONDS * _MS:
                # We were away: another worker may have fired meanwhile.
                done_ms = max(done_ms, await self._last_tick(timer) or done_ms)
            done_ms = max(done_ms, await self._paused_until(timer))
            for tick_ms in choose_ticks(timer, done_ms, now_ms):
                await self._fire(timer, tick_ms)
            done_ms = max(done_ms, timer.due_until(now_ms))

    async def _last_tick(self, timer: Timer) -> int | None:
        ticks = self._ports.ticks
        return await self._insist(lambda: ticks.last_stored_tick(self._tenant, timer.event_type))

    async def _paused_until(self, timer: Timer) -> int:
        """Give the instant up to which a pause forbids to fire; 0 if there never was one."""
        pauses = self._ports.pauses
        pause = await self._insist(lambda: pauses.read(self._tenant, timer.event_type))
        if pause is None:
            return 0
        return self._ports.clock.now_ms() if pause.is_paused else pause.changed_ms

    async def _fire(self, timer: Timer, tick_ms: int) -> None:
        envelope = self._envelope(timer, tick_ms)
        ack = await self._insist(lambda: self._ports.publisher.publish(envelope))
        late_ms = max(0, self._ports.clock.now_ms() - timer.due_ms(tick_ms))
        self._ports.observer.observe(
            TimerFired(
                self._tenant, timer.flow, timer.event_type, tick_ms, late_ms, ack.is_duplicate
            )
        )

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until the bus answers."""
        while True:
            try:
                return await ask()
            except UnavailableError:
                await self._ports.clock.sleep(RETRY_SECONDS)

    def _envelope(self, timer: Timer, tick_ms: int) -> Envelope:
        identity = timer.tick_id(tick_ms)
        event = Event(
            id=identity,
            event_type=timer.event_type,
            source="timer",
            timestamp=self._ports.clock.now_ms(),
            payload={"scheduled_ms": tick_ms, "flow": timer.flow, "cron": timer.schedule.cron},
            metadata={"provider": "events-timer"},
        )
        return Envelope(self._tenant, event, message_id=identity)
