"""``greentic-events run …``: what runs came to, and what can be done about one.

In: a tenant and a run's id, as results and dead letters carry it. Out: what became of it. Refuses
ids that cannot be one.
"""

import asyncio
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from actors.subjects import check_token
from app.audit.log import Change
from app.bootstrap.bus_side import open_canceller
from app.bus.connection import BusSettings
from app.cli.api_client import ApiClient, at_api, below
from app.cli.auditing import audited
from app.cli.output import print_json, say, warn
from app.cli.reach import Reach, reaching
from app.cli.run_looking import check_run, list_runs, show_run
from app.cli.run_tailing import tail_runs


def run_app() -> typer.Typer:
    """Put the commands of this noun together."""
    app = typer.Typer(
        help="See what runs came to, and watch them end; cancel one.", no_args_is_help=True
    )
    app.command("list")(reaching(list_runs))
    app.command("show")(reaching(show_run))
    app.command("tail")(tail_runs)
    app.command("cancel")(reaching(cancel))
    return app


def cancel(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")],
    *,
    tenant: Annotated[str, typer.Option("--tenant", help="The tenant, like demo.")],
    reason: Annotated[
        str, typer.Option("--reason", help="Why; the run's result says it.")
    ] = "cancelled by hand",
    reach: Reach,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Cancel a run: one that goes on ends now, one that sleeps is woken to end.

    Its sub-flows are part of it and end with it; runs that it started by itself go on. What it has
    done to the world stays done. A run that nobody has in hand now ends when it goes on.
    """
    check_run(run_id)
    check_token(tenant, "tenant")
    if (api := reach.api()) is not None:
        found = at_api(api, lambda client: _ask(client, tenant, run_id, reason))
    else:
        found = asyncio.run(_cancel(reach.bus(), reach.bus_env, tenant, run_id, reason))
    if as_json:
        print_json({"run_id": run_id, "tenant": tenant, **found})
    elif found["in_hand"]:
        say(f"run {run_id} is cancelled")
    elif found["was_asleep"]:
        say(f"run {run_id} was asleep; it is woken and cancelled")
    else:
        warn(f"no worker has run {run_id} in hand; if it ever goes on, it ends as cancelled")


@dataclass(frozen=True, slots=True)
class _Found:
    in_hand: int
    was_asleep: bool


async def _ask(client: ApiClient, tenant: str, run_id: str, reason: str) -> dict[str, Any]:
    path = below("tenants", tenant, "runs", run_id, "cancel")
    return asdict(client.read(await client.send("POST", path, {"reason": reason}), _Found))


async def _cancel(
    settings: BusSettings, env: str, tenant: str, run_id: str, reason: str
) -> dict[str, Any]:
    change = Change("run.cancel", tenant, run_id, after={"reason": reason})
    async with audited(settings, env, change) as bus:
        found = await (await open_canceller(bus, env)).cancel(tenant, run_id, reason)
    return {"in_hand": found.in_hand, "was_asleep": found.was_asleep}
