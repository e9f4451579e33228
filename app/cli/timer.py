"""``greentic-events timer …``: when timers fire, and pausing them.

In: a bundle, a cron expression, the name of a timer. Out: firings, past and next; pauses that every
worker goes by from its next tick on. Refuses expressions and zones that cannot be read, and timers
that are not deployed.
"""

import asyncio
import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from app.bundle.reading import read_bundle
from app.cli.api_client import at_api
from app.cli.auditing import audit_on
from app.cli.connecting import chosen_env, connected
from app.cli.output import print_json, say, warn
from app.cli.reach import Reach, reaching
from app.cli.timer_firings import instant_of, parse_schedule
from app.cli.timer_rows import find_settings, read_rows, server_rows
from app.cli.timer_switch import ask_to_switch, switch_timers
from app.control.firings import Firing, firings_after
from app.control.timer_desk import TimerRow

FIRINGS_MAX: Final = 1000
FIRINGS_LISTED: Final = 5

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Data folder with nats.json: BUNDLE/.greentic.")
]
NatsOption = Annotated[
    str | None, typer.Option("--nats-url", help="NATS server, nats://user:password@host:port.")
]
EnvOption = Annotated[str | None, typer.Option("--env", help="The env; GREENTIC_ENV, else dev.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TimerArgument = Annotated[
    str, typer.Argument(metavar="FLOW[#N]", help="A flow's timers, or the N-th of them.")
]
TenantOption = Annotated[str, typer.Option("--tenant", help="The tenant, like demo.")]


def timer_app() -> typer.Typer:
    """Put the commands of this noun together."""
    app = typer.Typer(help="See when timers fire, and pause them.", no_args_is_help=True)
    app.command("list")(list_timers)
    app.command("next")(next_firings)
    app.command("pause")(reaching(pause))
    app.command("resume")(reaching(resume))
    return app


def list_timers(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")] = Path(),
    *,
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="Only this tenant's timers.")
    ] = None,
    data: DataOption = None,
    nats_url: NatsOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """List a bundle's timers: how they are set, when they fired last and fire next.

    Whether a timer is paused and when it fired last is known by NATS: where no server of the bundle
    runs, these two are left out.
    """
    rows = read_rows(read_bundle(bundle, environment=os.environ), tenant, FIRINGS_LISTED)
    settings = find_settings(bundle, nats_url, data, os.environ)
    if settings is None:
        warn("no server runs here: what fired last, and what is paused, is not known")
    else:
        rows = asyncio.run(server_rows(settings, chosen_env(env, os.environ), rows))
    if as_json:
        print_json({"timers": [row.as_document() for row in rows]})
        return
    for row in rows:
        _show(row)
    if not rows:
        say("there are no timers")


def next_firings(
    expression: Annotated[
        str, typer.Argument(metavar="EXPR", help="Five or six fields in quotes, or an @name.")
    ],
    *,
    timezone: Annotated[str, typer.Option("--timezone", help="An IANA time zone.")] = "UTC",
    start: Annotated[
        str | None,
        typer.Option("--from", help="Firings after this time, like 2026-03-29T01:00; now."),
    ] = None,
    count: Annotated[
        int, typer.Option("--count", min=1, max=FIRINGS_MAX, help="How many of them.")
    ] = FIRINGS_LISTED,
    as_json: JsonOption = False,
) -> None:
    """Show the next firings of a cron expression, and what changes of the clocks do to them."""
    schedule = parse_schedule(expression, timezone)
    after_ms = instant_of(start, schedule.zone)
    firings = firings_after(schedule, after_ms, count)
    if as_json:
        print_json(
            {
                "expression": expression,
                "timezone": timezone,
                "from_ms": after_ms,
                "never": not firings,
                "firings": [firing.as_document() for firing in firings],
            }
        )
        return
    for firing in firings:
        say(firing.as_text())
    if not firings:
        say("never: no such time comes within 28 years")


def pause(
    timer: TimerArgument,
    *,
    tenant: TenantOption = "demo",
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Let a timer fire no more, until it is resumed; that outlives every restart."""
    _report(_switched(reach, tenant, timer, is_paused=True), as_json)


def resume(
    timer: TimerArgument,
    *,
    tenant: TenantOption = "demo",
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Let a paused timer fire again; what it missed meanwhile is not made up for."""
    _report(_switched(reach, tenant, timer, is_paused=False), as_json)


def _switched(reach: Reach, tenant: str, timer: str, *, is_paused: bool) -> list[dict[str, Any]]:
    if (api := reach.api()) is not None:
        return at_api(api, lambda client: ask_to_switch(client, tenant, timer, is_paused=is_paused))
    settings, env = reach.bus(), reach.bus_env

    async def run() -> list[dict[str, Any]]:
        async with connected(settings) as bus, audit_on(bus, env) as audit:
            return await switch_timers(bus, audit, env, tenant, timer, is_paused=is_paused)

    return asyncio.run(run())


def _report(switched: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json({"timers": switched})
        return
    for one in switched:
        say(f"{one['timer']} is {'paused' if one['paused'] else 'not paused'}")


def _show(row: TimerRow) -> None:
    say(f"{row.name}  {row.schedule.cron}  {row.schedule.timezone}", style="bold")
    state = {True: "PAUSED", False: "active", None: "not known"}[row.is_paused]
    say(f"  tenant   {row.tenant}")
    jitter = f", jitter {row.schedule.jitter_ms} ms" if row.schedule.jitter_ms else ""
    say(f"  rules    overlap {row.schedule.overlap}, misfire {row.schedule.misfire}{jitter}")
    say(f"  state    {state}")
    if row.is_paused is not None:
        say(f"  last     {_time(row.last_ms, row) if row.last_ms is not None else 'never fired'}")
    say("  next     " + (_lines(row.firings) or "never: no such time comes within 28 years"))


def _lines(firings: tuple[Firing, ...]) -> str:
    return "\n           ".join(firing.as_text() for firing in firings)


def _time(instant_ms: int, row: TimerRow) -> str:
    return datetime.fromtimestamp(instant_ms / 1000, row.zone).isoformat()
