"""Pauses and resumes deployed timers.

In: a tenant and ``FLOW`` or ``FLOW#N``. Out: the timers that were switched. Refuses timers that the
tenant's deployment does not have, and says which it has.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from actors.ports import TimerPause
from actors.subjects import check_token, flow_tokens
from app.audit.log import AuditLog, Change
from app.bus.connection import Bus
from app.cli.auditing import cli_who
from app.control.activations import Activations
from app.control.names import deployments_bucket, timers_bucket
from app.errors import CommandError
from app.stores.kv import KvBucket
from app.stores.pauses import KvTimerPauses
from app.system import SystemClock

_NAME: Final = re.compile(r"([a-z0-9][a-z0-9_/-]*)(?:#([1-9][0-9]{0,2}))?")


async def switch_timers(
    bus: Bus, audit: AuditLog, env: str, tenant: str, name: str, *, is_paused: bool
) -> list[dict[str, Any]]:
    """Pause or resume a timer, or all of a flow's. CommandError: there is no such timer."""
    check_token(tenant, "tenant")
    bucket = KvBucket(bus, deployments_bucket(env))
    deployed = await deployed_timers(Activations(bucket), tenant)
    chosen = _choose(deployed, tenant, name)
    pauses = KvTimerPauses(KvBucket(bus, timers_bucket(env)))
    switched = []
    for timer in chosen:
        before = await pauses.read(tenant, deployed[timer])
        # Resuming what is not paused must not make it forget what it missed.
        was_paused = before is not None and before.is_paused
        if is_paused != was_paused:
            pause = TimerPause(is_paused, SystemClock().now_ms())
            verb = "pause" if is_paused else "resume"
            values = {"paused": was_paused}, {"paused": is_paused}
            async with audit.change(cli_who(), Change(f"timer.{verb}", tenant, timer, *values)):
                await pauses.write(tenant, deployed[timer], pause)
        switched.append({"tenant": tenant, "timer": timer, "paused": is_paused})
    return switched


async def deployed_timers(activations: Activations, tenant: str) -> Mapping[str, str]:
    """Give the event types of a tenant's timers by their names, ``flow#n``."""
    timers = {}
    for trigger, activation in (await activations.read(tenant)).items():
        flow = trigger.rpartition("#")[0]
        prefix = f"timer.{flow_tokens(flow)}."
        number = activation.pattern.removeprefix(prefix)
        if activation.pattern.startswith(prefix) and number.isdecimal():
            timers[f"{flow}#{number}"] = activation.pattern
    return timers


def _choose(deployed: Mapping[str, str], tenant: str, name: str) -> list[str]:
    found = _NAME.fullmatch(name)
    if found is None:
        raise CommandError(f"{name!r} names no timer", hint="like reports, or reports#2")
    flow, number = found[1], found[2]
    chosen = [
        timer
        for timer in deployed
        if timer.rpartition("#")[0] == flow and number in (None, timer.rpartition("#")[2])
    ]
    if not chosen:
        known = ", ".join(sorted(deployed)) or "none"
        raise CommandError(f"tenant {tenant} has no timer {name!r}", hint=f"it has {known}")
    return sorted(chosen)
