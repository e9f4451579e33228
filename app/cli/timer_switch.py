"""Pauses and resumes deployed timers.

In: a tenant and ``FLOW`` or ``FLOW#N``. Out: the timers that were switched. Refuses timers that the
tenant's deployment does not have, and says which it has.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from actors.subjects import check_token
from app.audit.log import AuditLog
from app.bus.connection import Bus
from app.cli.api_client import ApiClient, below
from app.cli.auditing import cli_who
from app.control.names import deployments_bucket, events_stream, timers_bucket
from app.control.timer_desk import TimerDesk, choose_timers, timers_among
from app.deployments.document import parse_document
from app.deployments.store import key_of
from app.errors import CommandError, NotFoundError, ValueRefusedError
from app.stores.kv import KvBucket
from app.stores.pauses import KvTimerPauses
from app.stores.ticks import LastTicks
from app.system import SystemClock


async def switch_timers(
    bus: Bus, audit: AuditLog, env: str, tenant: str, name: str, *, is_paused: bool
) -> list[dict[str, Any]]:
    """Pause or resume a timer, or all of a flow's. CommandError: there is no such timer."""
    check_token(tenant, "tenant")
    deployed = await _deployed(KvBucket(bus, deployments_bucket(env)), tenant)
    try:
        chosen = choose_timers(deployed, name)
    except ValueRefusedError:
        raise CommandError(f"{name!r} names no timer", hint="like reports, or reports#2") from None
    if not chosen:
        known = ", ".join(sorted(deployed)) or "none"
        raise CommandError(f"tenant {tenant} has no timer {name!r}", hint=f"it has {known}")
    pauses = KvTimerPauses(KvBucket(bus, timers_bucket(env)))
    ticks = LastTicks(bus, env=env, stream_of=events_stream)
    desk = TimerDesk(pauses, ticks, audit, SystemClock())
    return await desk.switch(cli_who(), tenant, deployed, name, is_paused=is_paused)


async def ask_to_switch(
    client: ApiClient, tenant: str, name: str, *, is_paused: bool
) -> list[dict[str, Any]]:
    """Do it through the API. CommandError: there is no such timer."""
    path = below("tenants", tenant, "timers", name, "pause" if is_paused else "resume")
    try:
        told = client.read(await client.send("POST", path), _Switched)
    except (NotFoundError, ValueRefusedError) as error:
        raise CommandError(str(error), hint="like reports, or reports#2") from None
    return [{"tenant": tenant, **asdict(each)} for each in told.timers]


@dataclass(frozen=True, slots=True)
class _Timer:
    timer: str
    paused: bool


@dataclass(frozen=True, slots=True)
class _Switched:
    timers: list[_Timer]


async def _deployed(bucket: KvBucket, tenant: str) -> Mapping[str, str]:
    """Give the event types of a tenant's timers by their names, as its deployment has them."""
    entry = await bucket.get_surely(key_of(tenant))
    return {} if entry.value is None else timers_among(parse_document(entry.value).activated)
