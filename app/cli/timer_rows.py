"""The timers of a bundle, with what NATS knows of them.

In: a bundle, maybe a server. Out: a `TimerRow` per timer. A server that was named must answer; the
bundle's own is asked when it runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from actors.errors import UnavailableError
from actors.flows.compiled import TimerSchedule
from actors.tenants.timer import Timer, timers_of
from app.bundle.reading import Bundle
from app.bus.connection import BusSettings
from app.cli.connecting import DATA_DIR_DEFAULT, bus_settings, connected
from app.cli.timer_firings import Firing, firings_after
from app.control.names import events_stream, timers_bucket
from app.errors import CommandError
from app.stores.kv import KvBucket
from app.stores.pauses import KvTimerPauses
from app.stores.ticks import LastTicks
from app.system import SystemClock

NATS_URL: Final = "GREENTIC_NATS_URL"


@dataclass(frozen=True, slots=True)
class TimerRow:
    """One timer. ``is_paused`` None: no server was asked."""

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
        """How commands name it: ``flow#n``."""
        return f"{self.flow}#{self.event_type.rpartition('.')[2]}"

    def as_document(self) -> dict[str, Any]:
        """Give it as ``--json`` shows it."""
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


def read_rows(bundle: Bundle, tenant: str | None, firings: int) -> list[TimerRow]:
    """Give a bundle's timers with their next firings. CommandError: it has no such tenant."""
    if tenant is not None and tenant not in bundle.tenants:
        hint = f"it has {', '.join(bundle.tenants)}"
        raise CommandError(f"the bundle has no tenant {tenant!r}", hint=hint)
    now_ms = SystemClock().now_ms()
    return [
        _row(timer, now_ms, firings)
        for name, member in bundle.tenants.items()
        if tenant in (None, name)
        for timer in timers_of(name, member.flows.values())
    ]


def find_settings(
    bundle: Path, nats_url: str | None, data: Path | None, environment: Mapping[str, str]
) -> BusSettings | None:
    """Choose the server to ask; None where none was named and the bundle's own does not run."""
    if nats_url or data is not None or environment.get(NATS_URL):
        return bus_settings(nats_url, data, environment)
    try:
        return bus_settings(None, bundle / DATA_DIR_DEFAULT, environment)
    except (CommandError, UnavailableError):
        return None


async def server_rows(settings: BusSettings, env: str, rows: Sequence[TimerRow]) -> list[TimerRow]:
    """Ask the server which timers are paused and when each fired last. UnavailableError."""
    async with connected(settings) as bus:
        pauses = KvTimerPauses(KvBucket(bus, timers_bucket(env)))
        ticks = LastTicks(bus, env=env, stream_of=events_stream)
        asked = []
        for row in rows:
            pause = await pauses.read(row.tenant, row.event_type)
            last_ms = await ticks.last_stored_tick(row.tenant, row.event_type)
            is_paused = pause is not None and pause.is_paused
            asked.append(replace(row, is_paused=is_paused, last_ms=last_ms))
        return asked


def _row(timer: Timer, now_ms: int, firings: int) -> TimerRow:
    return TimerRow(
        tenant=timer.tenant,
        flow=timer.flow,
        event_type=timer.event_type,
        schedule=timer.schedule,
        zone=timer.cron.zone,
        firings=firings_after(timer.cron, now_ms, firings),
    )
