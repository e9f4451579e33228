"""The timers of a bundle, with what NATS knows of them.

In: a bundle, maybe a server. Out: a `TimerRow` per timer. A server that was named must answer; the
bundle's own is asked when it runs.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from actors.errors import UnavailableError
from actors.tenants.timer import timers_of
from app.bundle.reading import Bundle
from app.bus.connection import BusSettings
from app.cli.connecting import DATA_DIR_DEFAULT, bus_settings, connected
from app.control.names import events_stream, timers_bucket
from app.control.timer_desk import TimerRow, look_at, row_of
from app.errors import CommandError
from app.stores.kv import KvBucket
from app.stores.pauses import KvTimerPauses
from app.stores.ticks import LastTicks
from app.system import SystemClock

NATS_URL: Final = "GREENTIC_NATS_URL"


def read_rows(bundle: Bundle, tenant: str | None, firings: int) -> list[TimerRow]:
    """Give a bundle's timers with their next firings. CommandError: it has no such tenant."""
    if tenant is not None and tenant not in bundle.tenants:
        hint = f"it has {', '.join(bundle.tenants)}"
        raise CommandError(f"the bundle has no tenant {tenant!r}", hint=hint)
    now_ms = SystemClock().now_ms()
    return [
        row_of(timer, now_ms, firings)
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
        return [await look_at(row, pauses, ticks) for row in rows]
