"""Timers for those who look after them: what they are, paused, resumed, fired by hand.

In: who acts, a tenant, the timers that it has in force, ``FLOW`` or ``FLOW#N``. Out: rows, and what
was switched or fired. Refuses names that name no timer (ValueRefusedError) and timers that the
tenant does not have (NotFoundError), and any change that the audit log does not take
(UnavailableError).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from zoneinfo import ZoneInfo

from actors.events import Event
from actors.flows.compiled import TimerSchedule
from actors.ports import Clock, Envelope, EventPublisher, Ids, Ticks, TimerPause, TimerPauses
from actors.subjects import check_token, flow_tokens
from actors.tenants.timer import Timer
from app.audit.entry import Who
from app.audit.log import AuditLog, Change
from app.control.activations import Activation
from app.control.firings import Firing, firings_after
from app.errors import NotFoundError, ValueRefusedError

_NAME: Final = re.compile(r"([a-z0-9][a-z0-9_/-]*)(?:#([1-9][0-9]{0,2}))?")


@dataclass(frozen=True, slots=True)
class TimerRow:
    """One timer. ``is_paused`` None: nobody was asked."""

    tenant: str
    flow: str
    event_type: str
    schedule: TimerSchedule
    zone: ZoneInfo
    firings: tuple[Firing, ...]
    is_paused: bool | None = None
    last_ms: int | None = None

    @property
    def name(self) -> str:
        """How people name it: ``flow#n``."""
        return name_of(self.flow, self.event_type)

    def as_document(self) -> dict[str, Any]:
        """Give it for programs."""
        last = None if self.last_ms is None else Firing(self.last_ms, self.zone).as_document()
        return {
            "tenant": self.tenant,
            "timer": self.name,
            "event_type": self.event_type,
            "cron": self.schedule.cron,
            "timezone": self.schedule.timezone,
            "overlap": self.schedule.overlap,
            "misfire": self.schedule.misfire,
            "jitter_ms": self.schedule.jitter_ms,
            "paused": self.is_paused,
            "last": last,
            "next": [firing.as_document() for firing in self.firings],
        }


def name_of(flow: str, event_type: str) -> str:
    """Name a timer by its flow and the number at the end of its event type."""
    return f"{flow}#{event_type.rpartition('.')[2]}"


def row_of(timer: Timer, now_ms: int, firings: int) -> TimerRow:
    """Describe a timer with its next firings; what NATS knows of it is left open."""
    return TimerRow(
        tenant=timer.tenant,
        flow=timer.flow,
        event_type=timer.event_type,
        schedule=timer.schedule,
        zone=timer.cron.zone,
        firings=firings_after(timer.cron, now_ms, firings),
    )


async def look_at(row: TimerRow, pauses: TimerPauses, ticks: Ticks) -> TimerRow:
    """Add to a row what NATS knows of its timer. UnavailableError."""
    pause = await pauses.read(row.tenant, row.event_type)
    last_ms = await ticks.last_stored_tick(row.tenant, row.event_type)
    is_paused = pause is not None and pause.is_paused
    return replace(row, is_paused=is_paused, last_ms=last_ms)


def choose_timers(deployed: Iterable[str], name: str) -> list[str]:
    """Give the names that are meant, sorted; none where there is no such timer.

    ValueRefusedError: the name cannot be one.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueRefusedError(f"{name[:200]!r} names no timer: like reports, or reports#2")
    flow, number = found[1], found[2]
    return sorted(
        timer
        for timer in deployed
        if timer.rpartition("#")[0] == flow and number in (None, timer.rpartition("#")[2])
    )


def timers_among(activated: Mapping[str, Activation]) -> Mapping[str, str]:
    """Give the event types of the timers among a deployment's triggers, by their names."""
    timers = {}
    for trigger, activation in activated.items():
        flow = trigger.rpartition("#")[0]
        prefix = f"timer.{flow_tokens(flow)}."
        number = activation.pattern.removeprefix(prefix)
        if activation.pattern.startswith(prefix) and number.isdecimal():
            timers[f"{flow}#{number}"] = activation.pattern
    return timers


class TimerDesk:
    """The timers of one env."""

    def __init__(self, pauses: TimerPauses, ticks: Ticks, audit: AuditLog, clock: Clock) -> None:
        self._pauses = pauses
        self._ticks = ticks
        self._audit = audit
        self._clock = clock

    async def look(self, row: TimerRow) -> TimerRow:
        """Add whether it is paused and when it fired last. UnavailableError."""
        return await look_at(row, self._pauses, self._ticks)

    async def switch(
        self, who: Who, tenant: str, deployed: Mapping[str, str], name: str, *, is_paused: bool
    ) -> list[dict[str, Any]]:
        """Pause or resume a timer, or all of a flow's; ``deployed``: event types by name."""
        check_token(tenant, "tenant")
        chosen = choose_timers(deployed, name)
        if not chosen:
            raise no_timer(tenant, name)
        switched = []
        for timer in chosen:
            before = await self._pauses.read(tenant, deployed[timer])
            # Resuming what is not paused must not make it forget what it missed.
            was_paused = before is not None and before.is_paused
            if is_paused != was_paused:
                pause = TimerPause(is_paused, self._clock.now_ms())
                verb = "pause" if is_paused else "resume"
                values = {"paused": was_paused}, {"paused": is_paused}
                async with self._audit.change(who, Change(f"timer.{verb}", tenant, timer, *values)):
                    await self._pauses.write(tenant, deployed[timer], pause)
            switched.append({"tenant": tenant, "timer": timer, "paused": is_paused})
        return switched


class TimerStarter:
    """Fires timers by hand, whether or not they are paused."""

    def __init__(self, publisher: EventPublisher, audit: AuditLog, clock: Clock, ids: Ids) -> None:
        self._publisher = publisher
        self._audit = audit
        self._clock = clock
        self._ids = ids

    async def fire(self, who: Who, timer: Timer) -> str:
        """Publish a tick of now and give its event's id. UnavailableError.

        It counts as the timer's last firing, so that a scheduler goes on from it.
        """
        now_ms, event_id = self._clock.now_ms(), self._ids.event_id()
        event = Event(
            id=event_id,
            event_type=timer.event_type,
            source="timer",
            timestamp=now_ms,
            payload={
                "scheduled_ms": now_ms,
                "flow": timer.flow,
                "cron": timer.schedule.cron,
                "by_hand": True,
            },
            metadata={"provider": "events-timer"},
        )
        name = name_of(timer.flow, timer.event_type)
        change = Change("timer.run", timer.tenant, name, None, {"event_id": event_id})
        async with self._audit.change(who, change):
            ack = await self._publisher.publish(Envelope(timer.tenant, event, event_id))
        return ack.event_id


def no_timer(tenant: str, name: str) -> NotFoundError:
    """Say that a tenant has no such timer."""
    return NotFoundError(f"tenant {tenant} has no timer {name[:200]!r}")
