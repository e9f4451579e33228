"""One timer: which of its ticks are due, and when each is to be fired (SPEC 12.5).

In: a timer trigger, instants in milliseconds. Out: the ticks to fire. Nothing here waits, asks the
time or draws lots: every worker comes to the same answer.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from actors.flows.compiled import CompiledFlow, CompiledTrigger, TimerSchedule
from actors.flows.cron import CronSchedule, parse_cron
from actors.ids import tick_id

ON_TIME_SECONDS: Final = 10.0
"""A tick published this late or less is on time; later ones are misfires."""

CATCH_UP_TICKS_MAX: Final = 1000
"""Missed ticks that `misfire: all` fires at most, the latest ones."""

_MS: Final = 1000
_FRACTION_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class Timer:
    """One timer trigger, ready to be followed."""

    tenant: str
    flow: str
    number: int
    """Of the trigger, among all triggers of the flow."""
    event_type: str
    schedule: TimerSchedule
    cron: CronSchedule

    def tick_id(self, tick_ms: int) -> str:
        """Name a tick: the id of its event and of its message."""
        return tick_id(self.flow, self.number, tick_ms)

    def due_ms(self, tick_ms: int) -> int:
        """Give when a tick is to be fired: at its time, or later by its share of the jitter.

        The share is drawn from the tick's name and the tenant's, so that workers agree and tenants
        with the same flow do not fire together. No tick is put off past the next one.
        """
        jitter_ms = self.schedule.jitter_ms
        if not jitter_ms:
            return tick_ms
        following = self.cron.next_after(tick_ms)
        span_ms = jitter_ms if following is None else min(jitter_ms, following - tick_ms)
        name = f"{self.tenant}:{self.tick_id(tick_ms)}".encode()
        fraction = int.from_bytes(hashlib.blake2b(name, digest_size=_FRACTION_BITS // 8).digest())
        return tick_ms + (span_ms * fraction >> _FRACTION_BITS)

    def due_until(self, now_ms: int) -> int:
        """Give the instant up to which all ticks are due, those that jitter holds back excepted."""
        last_ms = self.cron.last_until(now_ms) if self.schedule.jitter_ms else None
        if last_ms is None or self.due_ms(last_ms) <= now_ms:
            return now_ms
        return last_ms - 1


def choose_ticks(timer: Timer, done_ms: int, now_ms: int) -> list[int]:
    """Choose what to fire of all ticks after `done_ms` that are due, by the trigger's `misfire`.

    Where even the first of them is on time nothing was missed, and all are fired. Ticks that were
    due before the catch-up window never are.
    """
    first_ms = timer.cron.next_after(done_ms)
    late_ms = 0 if first_ms is None else now_ms - timer.due_ms(first_ms)
    policy = "all" if late_ms <= ON_TIME_SECONDS * _MS else timer.schedule.misfire
    window_seconds = ON_TIME_SECONDS if policy == "skip" else timer.schedule.catch_up_seconds
    oldest_ms = now_ms - int(window_seconds * _MS)
    ticks_max = CATCH_UP_TICKS_MAX if policy == "all" else 1
    due: list[int] = []
    tick = timer.cron.last_until(timer.due_until(now_ms))
    while tick is not None and tick > done_ms and len(due) < ticks_max:
        if timer.due_ms(tick) < oldest_ms:
            break
        due.append(tick)
        tick = timer.cron.last_until(tick - 1)
    return due[::-1]


def timers_of(tenant: str, flows: Iterable[CompiledFlow]) -> tuple[Timer, ...]:
    """Give all timers of a tenant's flows."""
    return tuple(
        build_timer(tenant, flow, trigger)
        for flow in flows
        for trigger in flow.triggers
        if trigger.schedule is not None
    )


def build_timer(tenant: str, flow: CompiledFlow, trigger: CompiledTrigger) -> Timer:
    """Make a timer of a timer trigger; ValueError for any other."""
    schedule = trigger.schedule
    if schedule is None or trigger.pattern is None:
        raise ValueError(f"trigger {trigger.number} of {flow.name} is no timer")
    cron = parse_cron(schedule.cron, schedule.timezone)
    return Timer(tenant, flow.name, trigger.number, trigger.pattern, schedule, cron)
