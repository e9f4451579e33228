"""The scheduler of a tenant: publishes the ticks of its flows' timers.

In: timer triggers and the time. Out: events ``timer.<flow>.<n>``, one per tick however many workers
run this: the tick's id is its message id, so the stream keeps one. The last tick in the stream is
the record of the last firing; what was missed since is judged by the trigger's `misfire`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Never

from actors.errors import UnavailableError
from actors.events import Event
from actors.flows.compiled import CompiledFlow, CompiledTrigger, TimerSchedule
from actors.flows.cron import CronSchedule, parse_cron
from actors.ids import tick_id
from actors.kernel.actor import Actor
from actors.observations import TimerFired
from actors.ports import Clock, Envelope, EventPublisher, Observer, Ticks

NAP_SECONDS_MAX: Final = 30.0
"""A scheduler looks at the wall clock at least this often: it may have been set, or slept."""

ON_TIME_SECONDS: Final = 10.0
"""A tick published this late or less is on time; later ones are misfires."""

CATCH_UP_TICKS_MAX: Final = 1000
"""Missed ticks that `misfire: all` fires at most, the latest ones."""

RETRY_SECONDS: Final = 1.0
_MS: Final = 1000


@dataclass(frozen=True, slots=True)
class SchedulerPorts:
    """What a scheduler needs of the world."""

    publisher: EventPublisher
    ticks: Ticks
    observer: Observer
    clock: Clock


@dataclass(frozen=True, slots=True)
class Timer:
    """One timer trigger, ready to be followed."""

    flow: str
    number: int
    event_type: str
    schedule: TimerSchedule
    cron: CronSchedule


class SchedulerActor(Actor[Never]):
    """Follows all timers of a tenant's deployment; it gets no messages."""

    def __init__(self, tenant: str, flows: Iterable[CompiledFlow], ports: SchedulerPorts) -> None:
        self._tenant = tenant
        self._ports = ports
        self._timers = tuple(
            _timer(flow, trigger)
            for flow in flows
            for trigger in flow.triggers
            if trigger.schedule is not None
        )

    async def on_start(self) -> None:
        """Begin to follow every timer."""
        for timer in self._timers:
            self.add_task(self._follow(timer))

    async def receive(self, message: Never) -> None:
        """Take no message: the time is all it follows."""

    # ── One timer ────────────────────────────────────────────────────────────────────────────

    async def _follow(self, timer: Timer) -> None:
        done_ms = await self._last_tick(timer)
        if done_ms is None:
            # A timer that never fired has missed nothing: it counts from now.
            done_ms = self._ports.clock.now_ms()
        while True:
            now_ms = self._ports.clock.now_ms()
            next_ms = timer.cron.next_after(done_ms)
            if next_ms is None:
                return
            if next_ms > now_ms:
                nap_seconds = min((next_ms - now_ms) / _MS, NAP_SECONDS_MAX)
                await self._ports.clock.sleep(nap_seconds)
                continue
            if now_ms - next_ms > ON_TIME_SECONDS * _MS:
                # We were away: another worker may have fired meanwhile.
                done_ms = max(done_ms, await self._last_tick(timer) or done_ms)
            for tick_ms in choose_ticks(timer, done_ms, now_ms):
                await self._fire(timer, tick_ms)
            done_ms = now_ms

    async def _last_tick(self, timer: Timer) -> int | None:
        while True:
            try:
                return await self._ports.ticks.last_stored_tick(self._tenant, timer.event_type)
            except UnavailableError:
                await self._ports.clock.sleep(RETRY_SECONDS)

    async def _fire(self, timer: Timer, tick_ms: int) -> None:
        envelope = self._envelope(timer, tick_ms)
        while True:
            try:
                ack = await self._ports.publisher.publish(envelope)
                break
            except UnavailableError:
                await self._ports.clock.sleep(RETRY_SECONDS)
        late_ms = max(0, self._ports.clock.now_ms() - tick_ms)
        self._ports.observer.observe(
            TimerFired(
                self._tenant, timer.flow, timer.event_type, tick_ms, late_ms, ack.is_duplicate
            )
        )

    def _envelope(self, timer: Timer, tick_ms: int) -> Envelope:
        identity = tick_id(timer.flow, timer.number, tick_ms)
        event = Event(
            id=identity,
            event_type=timer.event_type,
            source="timer",
            timestamp=self._ports.clock.now_ms(),
            payload={"scheduled_ms": tick_ms, "flow": timer.flow, "cron": timer.schedule.cron},
            metadata={"provider": "events-timer"},
        )
        return Envelope(self._tenant, event, message_id=identity)


def choose_ticks(timer: Timer, done_ms: int, now_ms: int) -> list[int]:
    """Choose what to fire of all ticks in (done, now], by the trigger's `misfire` (SPEC 12.5).

    Where even the first of them is on time nothing was missed, and all are fired. Ticks older
    than the catch-up window never are.
    """
    first_ms = timer.cron.next_after(done_ms)
    is_on_time = first_ms is not None and now_ms - first_ms <= ON_TIME_SECONDS * _MS
    policy = "all" if is_on_time else timer.schedule.misfire
    window_seconds = ON_TIME_SECONDS if policy == "skip" else timer.schedule.catch_up_seconds
    oldest_ms = max(done_ms + 1, now_ms - int(window_seconds * _MS))
    ticks_max = CATCH_UP_TICKS_MAX if policy == "all" else 1
    due: list[int] = []
    tick = timer.cron.last_until(now_ms)
    while tick is not None and tick >= oldest_ms and len(due) < ticks_max:
        due.append(tick)
        tick = timer.cron.last_until(tick - 1)
    return due[::-1]


def _timer(flow: CompiledFlow, trigger: CompiledTrigger) -> Timer:
    schedule = trigger.schedule
    if schedule is None or trigger.pattern is None:
        raise ValueError(f"trigger {trigger.number} of {flow.name} is no timer")
    cron = parse_cron(schedule.cron, schedule.timezone)
    return Timer(flow.name, trigger.number, trigger.pattern, schedule, cron)
