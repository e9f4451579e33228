"""``greentic-events audit …``: who changed what.

In: a tenant, or none for all; filters. Out: entries of the audit log. Refuses times that cannot be
read. Nothing here changes the log.
"""

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from app.audit.reading import PAGE_MAX, PLACE_MAX, AuditFilter, AuditReader, KeptEntry, Order
from app.cli.auditing import open_audit_reader
from app.cli.connecting import bus_settings, chosen_env
from app.cli.output import print_json, say, warn
from app.dead_letters.moments import parse_moment
from app.errors import CommandError
from app.system import SystemClock

LISTED_DEFAULT: Final = 50
VALUE_CHARS: Final = 200

TenantOption = Annotated[
    str | None, typer.Option("--tenant", help="Only of this tenant.", show_default="all")
]
ActorOption = Annotated[
    str | None, typer.Option("--actor", help="Only by this one, like key:4fk29x0a.")
]
ActionOption = Annotated[
    str | None, typer.Option("--action", help="Only this: key.revoke, or key for all of them.")
]
SinceOption = Annotated[
    str | None,
    typer.Option("--since", help="Only since then: 2h ago (s, m, h, d, w), or a time."),
]
UntilOption = Annotated[str | None, typer.Option("--until", help="Only before then.")]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Data folder with nats.json: BUNDLE/.greentic.")
]
NatsOption = Annotated[
    str | None, typer.Option("--nats-url", help="NATS server, nats://user:password@host:port.")
]
EnvOption = Annotated[str | None, typer.Option("--env", help="The env; GREENTIC_ENV, else dev.")]


def audit_app() -> typer.Typer:
    """Put the commands of this noun together."""
    app = typer.Typer(help="See who changed what.", no_args_is_help=True)
    app.command("list")(list_entries)
    app.command("export")(export)
    return app


def list_entries(
    *,
    tenant: TenantOption = None,
    actor: ActorOption = None,
    action: ActionOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=PAGE_MAX, help="How many.")
    ] = LISTED_DEFAULT,
    after: Annotated[
        int | None,
        typer.Option("--after", min=0, max=PLACE_MAX, help="Go on after this place."),
    ] = None,
    oldest: Annotated[bool, typer.Option("--oldest-first", help="Not the newest first.")] = False,
    data: DataOption = None,
    nats_url: NatsOption = None,
    env: EnvOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List entries of the audit log, the newest first."""
    which = _filter(actor, action, since, until)
    settings, chosen = bus_settings(nats_url, data, os.environ), chosen_env(env, os.environ)
    order: Order = "oldest" if oldest else "newest"

    async def read() -> Any:
        async with open_audit_reader(settings, chosen) as reader:
            return await reader.page(tenant, which, order=order, after=after, limit=limit)

    page = asyncio.run(read())
    if as_json:
        entries = [kept.as_document() for kept in page.entries]
        print_json({"env": chosen, "entries": entries, "next_after": page.next_after})
        return
    for kept in page.entries:
        say(_line(kept))
    if page.next_after is not None:
        warn(f"there are more: --after {page.next_after}")
    elif not page.entries:
        warn(f"there are no such entries in env {chosen}")


def export(
    *,
    tenant: TenantOption = None,
    actor: ActorOption = None,
    action: ActionOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    data: DataOption = None,
    nats_url: NatsOption = None,
    env: EnvOption = None,
) -> None:
    """Print all entries as JSON lines, the oldest first."""
    which = _filter(actor, action, since, until)
    settings, chosen = bus_settings(nats_url, data, os.environ), chosen_env(env, os.environ)

    async def run() -> None:
        async with open_audit_reader(settings, chosen) as reader:
            await _write_lines(reader, tenant, which)

    asyncio.run(run())


async def _write_lines(reader: AuditReader, tenant: str | None, which: AuditFilter) -> None:
    async for kept in reader.walk(tenant, "oldest"):
        if kept.entry is None or which.matches(kept.entry):
            typer.echo(json.dumps(kept.as_document(), ensure_ascii=False, separators=(",", ":")))


def _filter(
    actor: str | None, action: str | None, since: str | None, until: str | None
) -> AuditFilter:
    now_ms = SystemClock().now_ms()
    try:
        first, last = (
            None if text is None else parse_moment(text, now_ms) for text in (since, until)
        )
    except ValueError as error:
        raise CommandError(str(error)) from None
    return AuditFilter(actor, action, first, last)


def _line(kept: KeptEntry) -> str:
    entry = kept.entry
    if entry is None:
        return f"{kept.sequence}  ILLEGIBLE  {kept.subject}"
    time = datetime.fromtimestamp(entry.at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    end = f"FAILED {entry.error}" if entry.error is not None else _values(entry.before, entry.after)
    where = entry.tenant or "-"
    return f"{kept.sequence}  {time}  {entry.actor}  {where}  {entry.action}  {entry.target}  {end}"


def _values(before: Any, after: Any) -> str:
    shown = [
        json.dumps(value, ensure_ascii=False)[:VALUE_CHARS]
        for value in (before, after)
        if value is not None
    ]
    return " → ".join(shown)
