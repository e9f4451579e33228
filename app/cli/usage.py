"""``greentic-events usage …``: what tenants have used, hour by hour or day by day.

In: a tenant, a flow or all, times. Out: rows for people, as JSON or as CSV. Refuses times that
cannot be read or are too far apart.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, Literal

import typer

from app.bus.direct import DirectReader
from app.cli.api_client import ApiClient, at_api, below, moment_text
from app.cli.connecting import connected
from app.cli.output import print_json, say, warn
from app.cli.reach import Reach, reaching
from app.dead_letters.moments import parse_moment
from app.errors import CommandError
from app.history.metering.reading import DAY_MS, By, Step, UsageSearch, UsageWindows
from app.history.metering.rows import csv_line, document_of, heading
from app.system import SystemClock

SHOWN_DAYS: Final = {"hour": 1, "day": 31}
ROWS_MAX: Final = 100_000
"""Shown at once; an export has no such bound but that of the times."""
PATIENCE_SECONDS: Final = 15.0

TenantOption = Annotated[str, typer.Option("--tenant", help="The tenant, like demo.")]
FlowOption = Annotated[
    str | None, typer.Option("--flow", help="Only of this flow.", show_default="all")
]
SinceOption = Annotated[
    str | None,
    typer.Option("--since", help="Only since then: 2h ago (s, m, h, d, w), or a time."),
]
UntilOption = Annotated[str | None, typer.Option("--until", help="Only before then.")]
StepOption = Annotated[
    Literal["hour", "day"], typer.Option("--step", help="A row for each hour, or each day (UTC).")
]
TotalOption = Annotated[
    bool,
    typer.Option(
        "--total", help="All flows together; an event that two flows take counts for each."
    ),
]

Document = Mapping[str, Any]


def usage_app() -> typer.Typer:
    """Put the commands of this noun together."""
    app = typer.Typer(help="See what tenants have used.", no_args_is_help=True)
    app.command("show")(reaching(show))
    app.command("export")(reaching(export))
    return app


def show(
    *,
    tenant: TenantOption,
    flow: FlowOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    step: StepOption = "hour",
    total: TotalOption = False,
    reach: Reach,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a tenant's usage: of the last day by the hour, of the last 31 days with --step day."""
    search = _search((since, until), flow, step, total=total)
    rows: list[Document] = []

    async def collect(found: AsyncIterator[Document]) -> None:
        async for row in found:
            if len(rows) == ROWS_MAX:
                raise CommandError(f"there are more than {ROWS_MAX} rows", hint="use export")
            rows.append(row)

    _at_usage(reach, tenant, search, collect)
    if as_json:
        print_json({"env": reach.env_name, "tenant": tenant, "step": step, "windows": rows})
        return
    for row in rows:
        say(_line(row))
    if not rows:
        warn(f"tenant {tenant} has used nothing then, {reach.place}")


def export(
    *,
    tenant: TenantOption,
    flow: FlowOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    step: StepOption = "hour",
    total: TotalOption = False,
    as_csv: Annotated[
        bool, typer.Option("--csv/--json", help="CSV with a heading, or a JSON document a line.")
    ] = True,
    reach: Reach,
) -> None:
    """Print a tenant's usage for other programs, the oldest first."""
    search = _search((since, until), flow, step, total=total)

    async def write(found: AsyncIterator[Document]) -> None:
        if as_csv:
            typer.echo(heading(), nl=False)
        async for row in found:
            if as_csv:
                typer.echo(csv_line({"tenant": tenant, **row}), nl=False)
            else:
                print_json({"tenant": tenant, **row}, indent=None)

    _at_usage(reach, tenant, search, write)


# ── Where ────────────────────────────────────────────────────────────────────────────────────


def _at_usage(
    reach: Reach,
    tenant: str,
    search: UsageSearch,
    work: Callable[[AsyncIterator[Document]], Awaitable[None]],
) -> None:
    """Do some work with the rows, from the API or from NATS."""
    if (api := reach.api()) is not None:
        at_api(api, lambda client: work(_asked(client, tenant, search)))
        return
    settings, env = reach.bus(), reach.bus_env

    async def run() -> None:
        async with connected(settings) as bus:
            reader = await DirectReader.start(bus, deadline_seconds=PATIENCE_SECONDS)
            try:
                await work(_read(UsageWindows(reader, env), tenant, search))
            finally:
                await reader.close()

    asyncio.run(run())


async def _read(windows: UsageWindows, tenant: str, search: UsageSearch) -> AsyncIterator[Document]:
    async for row in windows.read(tenant, search):
        yield document_of(row)


async def _asked(client: ApiClient, tenant: str, search: UsageSearch) -> AsyncIterator[Document]:
    query = {
        "flow": search.flow,
        "step": search.step,
        "by": search.by,
        "since": moment_text(search.since_ms),
        "until": moment_text(search.until_ms),
    }
    async for page in client.walk(below("tenants", tenant, "usage", "windows"), query):
        for row in page["windows"]:
            yield row


def _search(
    times: tuple[str | None, str | None], flow: str | None, step: Step, *, total: bool
) -> UsageSearch:
    now_ms = SystemClock().now_ms()
    try:
        since_ms, until_ms = (
            None if text is None else parse_moment(text, now_ms) for text in times
        )
    except ValueError as error:
        raise CommandError(str(error)) from None
    until_ms = now_ms if until_ms is None else until_ms
    since_ms = until_ms - SHOWN_DAYS[step] * DAY_MS if since_ms is None else since_ms
    by: By = "tenant" if total else "flow"
    return UsageSearch(since_ms, until_ms, flow, step, by)


def _line(row: Document) -> str:
    ends = ", ".join(
        f"{row[name]} {name}" for name in ("failed", "rejected", "cancelled") if row[name]
    )
    slow = "" if row["p95_ms"] is None else f"  p95 {row['p95_ms']:g} ms"
    return (
        f"{row['start']}  {row['flow'] or 'all flows'}  {row['runs']} runs"
        f"{f' ({ends})' if ends else ''}  {row['events']} events  {row['effects']} effects"
        f"  {row['operations']} operations  {row['bytes']} bytes{slow}"
    )
