"""``greentic-events audit …``: who changed what.

In: a tenant, or none for all; filters. Out: entries of the audit log. Refuses times that cannot be
read. Nothing here changes the log.
"""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from app.audit.reading import PAGE_MAX, PLACE_MAX, AuditFilter, KeptEntry, Order
from app.cli.audit_desk import at_log
from app.cli.output import print_json, say, warn
from app.cli.reach import Reach, reaching
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


def audit_app() -> typer.Typer:
    """Put the commands of this noun together."""
    app = typer.Typer(help="See who changed what.", no_args_is_help=True)
    app.command("list")(reaching(list_entries))
    app.command("export")(reaching(export))
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
    reach: Reach,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List entries of the audit log, the newest first."""
    which = _filter(actor, action, since, until)
    order: Order = "oldest" if oldest else "newest"
    page = at_log(reach, lambda log: log.page(tenant, which, order=order, after=after, limit=limit))
    if as_json:
        entries = [kept.as_document() for kept in page.entries]
        print_json({"env": reach.env_name, "entries": entries, "next_after": page.next_after})
        return
    for kept in page.entries:
        say(_line(kept))
    if page.next_after is not None:
        warn(f"there are more: --after {page.next_after}")
    elif not page.entries:
        warn(f"there are no such entries {reach.place}")


def export(
    *,
    tenant: TenantOption = None,
    actor: ActorOption = None,
    action: ActionOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    reach: Reach,
) -> None:
    """Print all entries as JSON lines, the oldest first."""
    which = _filter(actor, action, since, until)
    at_log(reach, lambda log: _write_lines(log.every(tenant, which)))


async def _write_lines(entries: AsyncIterator[KeptEntry]) -> None:
    async for kept in entries:
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
