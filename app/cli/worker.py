"""``greentic-events worker …``: the processes of an env.

In: a server, an env. Out: who lives, since when, what each has taken in and cannot serve, for
people or as JSON. Refuses with a hint where the server has no such env.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import typer
from rich.text import Text

from app.bus.admin import JetStreamAdmin
from app.bus.connection import BusSettings
from app.cli.api_client import ApiClient, at_api
from app.cli.connecting import connected
from app.cli.output import print_json, printable, say, warn
from app.cli.reach import Reach, reaching
from app.control.names import bucket_stream, leases_bucket
from app.errors import CommandError
from app.fleet.fleet import Fleet
from app.fleet.report import WorkerReport
from app.stores.kv import KvBucket
from app.system import SystemClock

SHOWN_MAX: Final = 10
"""Failures and hot tenants that are named of one process; ``--json`` has all that it told."""
_MS: Final = 1000
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def worker_app() -> typer.Typer:
    """Put the commands of this noun together."""
    app = typer.Typer(help="See the processes of an env.", no_args_is_help=True)
    app.callback()(_noun)
    app.command("list")(reaching(list_workers))
    return app


def _noun() -> None:
    """See the processes of an env."""


def list_workers(
    *,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """List the processes that live, and what each has taken in.

    One that was killed is listed for up to 10 seconds.
    """
    found = _living(reach)
    if as_json:
        print_json({"workers": [report.as_mapping() for report in found]})
        return
    if not found:
        warn("no process of this env lives")
    for report in found:
        for line in worker_lines(report, SystemClock().now_ms()):
            say(line)


def worker_lines(report: WorkerReport, now_ms: int) -> Sequence[Text]:
    """Write one process for people: a line, and one for each thing that is amiss or special."""
    age = _age((now_ms - report.started_ms) // _MS)
    taken = "starting" if report.acknowledged is None else f"revision {report.acknowledged}"
    roles = "+".join(report.roles)
    head = f"{report.id}  {roles}  up {age}  {taken}  {report.tenants} tenants  {report.version}"
    lines = [Text(head)]
    lines += [
        Text(f"  cannot serve {tenant}: {printable(reason)}", style="red")
        for tenant, reason in sorted(report.failed.items())[:SHOWN_MAX]
    ]
    if more := report.failures - min(len(report.failed), SHOWN_MAX):
        lines.append(Text(f"  cannot serve {more} more", style="red"))
    if report.hot:
        more_hot = len(report.hot) - SHOWN_MAX
        named = ", ".join(report.hot[:SHOWN_MAX]) + (f" and {more_hot} more" * (more_hot > 0))
        lines.append(Text(f"  hot: {named}", style="yellow"))
    return lines


def _living(reach: Reach) -> tuple[WorkerReport, ...]:
    if (api := reach.api()) is not None:
        return at_api(api, _ask)
    return asyncio.run(_read(reach.bus(), reach.bus_env))


@dataclass(frozen=True, slots=True)
class _Page:
    workers: list[WorkerReport]


async def _ask(client: ApiClient) -> tuple[WorkerReport, ...]:
    found: list[WorkerReport] = []
    async for page in client.walk("/workers"):
        found += client.read(page, _Page).workers
    return tuple(found)


async def _read(settings: BusSettings, env: str) -> tuple[WorkerReport, ...]:
    async with connected(settings) as bus:
        bucket = leases_bucket(env)
        if await JetStreamAdmin(bus).stream_info(bucket_stream(bucket)) is None:
            hint = "name the env with --env; its buckets are made by the first 'start'"
            raise CommandError(f"the server has no env {env!r}", hint=hint)
        fleet = Fleet(KvBucket(bus, bucket), SystemClock())
        await fleet.refresh()
        return fleet.live()


def _age(seconds: int) -> str:
    """Write how long something has been, in the largest unit of which it is at least two."""
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * unit:
            return f"{seconds // unit} {name}"
    return f"{max(0, seconds)} s"
