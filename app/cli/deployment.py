"""``greentic-events rollback``, ``promote`` and ``deployment …``: what tenants have in force.

In: a tenant. Out: what it has in force and had before; changes, and what the workers say of them.
Refuses what `app.deployments.desk` refuses, and to take flows away that nobody was asked about.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from actors.subjects import check_token
from app.bundle.archive import pack_bundle
from app.cli.apply import JsonOption, NoWaitOption, TimeoutOption, show_workers
from app.cli.auditing import cli_who
from app.cli.deploying import Bench, DeploymentsPlace
from app.cli.deployment_text import change_line, list_line, show_lines
from app.cli.exit_codes import FAILED
from app.cli.output import print_json, say, warn
from app.cli.reach import Reach, reaching
from app.cli.told_deployments import Deployments, ToldChange
from app.deployments.changes import WorkersReport
from app.deployments.desk import WAIT_SECONDS
from app.errors import CommandError

YES_HINT: Final = "say --yes if that is meant"

TenantOption = Annotated[str, typer.Option("--tenant", help="The tenant, like demo.")]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Data folder with nats.json: BUNDLE/.greentic.")
]
NatsOption = Annotated[
    str | None, typer.Option("--nats-url", help="NATS server, nats://user:password@host:port.")
]
EnvOption = Annotated[str | None, typer.Option("--env", help="The env; GREENTIC_ENV, else dev.")]
Told = tuple[ToldChange, WorkersReport | None]


def deployment_app() -> typer.Typer:
    """Put the commands of this noun together."""
    app = typer.Typer(help="What tenants have in force, and had.", no_args_is_help=True)
    app.command("list")(reaching(deployment_list))
    app.command("show")(reaching(deployment_show))
    app.command("remove")(reaching(deployment_remove))
    app.command("pack")(deployment_pack)
    return app


def rollback_command(
    *,
    tenant: TenantOption,
    to: Annotated[
        int | None,
        typer.Option("--to", min=1, help="The deployment's number; else the one before."),
    ] = None,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = WAIT_SECONDS,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Put a tenant's former deployment in force again, as a new one.

    Secrets and the tenant's settings are those of now. `deployment show` has the numbers.
    """
    check_token(tenant, "tenant")
    place = DeploymentsPlace(reach, 0.0 if no_wait else timeout)

    async def work(bench: Deployments) -> Told:
        change = await bench.rollback(tenant, to)
        return change, await bench.wait()

    _finish(place.at_bench(work), reach, as_json=as_json)


def promote_command(
    *,
    tenant: TenantOption,
    to: Annotated[str, typer.Option("--to", help="The other env, on the same NATS.")],
    again: Annotated[
        bool, typer.Option("--again", help="Also what is in force there already.")
    ] = False,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = WAIT_SECONDS,
    data: DataOption = None,
    nats_url: NatsOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put what a tenant has in force here in force in another env.

    The tenant must be there, and the secrets that the bundle refers to: this env's are not taken.
    """
    check_token(tenant, "tenant")
    place = DeploymentsPlace(Reach(data, nats_url, env), 0.0 if no_wait else timeout)

    async def work(here: Bench, there: Bench) -> Told:
        change = await here.desk.promote(cli_who(), tenant, there.desk, again=again)
        return there.note(change), await there.wait()

    told = place.at_two(check_token(to, "env"), work)
    _finish(told, Reach(data, nats_url, to), as_json=as_json)


def deployment_list(
    *,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Show what every tenant of an env has in force."""
    found = DeploymentsPlace(reach).at_bench(lambda bench: bench.list())
    documents = dict(sorted(found.documents.items()))
    if as_json:
        current = [{"tenant": t, **d.current.as_mapping()} for t, d in documents.items()]
        unreadable = list(found.unreadable)
        print_json({"env": reach.env_name, "deployments": current, "unreadable": unreadable})
        return
    for tenant, document in documents.items():
        say(list_line(tenant, document))
    for tenant in found.unreadable:
        warn(f"what is kept of {tenant}'s deployment cannot be read", style="red")
    if not documents:
        warn(f"there are no deployments {reach.place}")


def deployment_show(
    *,
    tenant: TenantOption,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Show what a tenant has in force, and what it had before."""
    check_token(tenant, "tenant")
    found = DeploymentsPlace(reach).at_bench(lambda bench: bench.show(tenant))
    if as_json:
        where = {"tenant": tenant, "env": reach.env_name, "revision": found.revision}
        print_json({**where, **found.as_mapping()})
        return
    for line in show_lines(tenant, found):
        say(line)


def deployment_remove(
    *,
    tenant: TenantOption,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = WAIT_SECONDS,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Take a tenant's flows out of force; its data and its history stay.

    A rollback brings them back.
    """
    check_token(tenant, "tenant")
    place = DeploymentsPlace(reach, 0.0 if no_wait else timeout)
    if not yes:
        _ask(tenant, reach.place)

    async def work(bench: Deployments) -> Told:
        change = await bench.remove(tenant)
        return change, await bench.wait()

    _finish(place.at_bench(work), reach, as_json=as_json)


def deployment_pack(
    file: Annotated[Path, typer.Argument(help="The archive to write.")],
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")] = Path(),
    *,
    as_json: JsonOption = False,
) -> None:
    """Write a bundle's archive, as the API takes it: just the files that a bundle consists of.

    Answers go into it as they are, secrets among them: only you can read the file.
    """
    archive = pack_bundle(bundle)
    try:
        # Over nothing that others may read already.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(archive.content)
    except OSError as error:
        raise CommandError(f"cannot write {file}: {error.strerror}") from None
    if as_json:
        print_json({"file": str(file), "bundle": archive.digest, "bytes": len(archive.content)})
    else:
        say(f"{file}: {archive.digest}, {len(archive.content)} bytes")


def _ask(tenant: str, place: str) -> None:
    if not sys.stdin.isatty():
        message = "this takes the tenant's flows away, and nobody can be asked here"
        raise CommandError(message, hint=YES_HINT)
    typer.confirm(f"take the flows of {tenant} {place} out of force?", abort=True, err=True)


def _finish(told: Told, reach: Reach, *, as_json: bool) -> None:
    change, report = told
    if as_json:
        workers = None if report is None else report.as_mapping()
        print_json({"env": reach.env_name, **change.as_mapping(), "workers": workers})
    else:
        say(change_line(change, reach.place))
        show_workers(report)
    if report is not None and not report.is_well:
        raise typer.Exit(FAILED)
