"""``greentic-events tenant add|list|show|change|suspend|resume|remove``: who the tenants are.

In: a tenant, and what it is to be. Out: what is kept of it. Refuses what `app.tenancy.desk`
refuses, and to remove a tenant that nobody has named twice.
"""

import sys
from enum import StrEnum
from typing import Annotated, Final

import typer

from actors.quotas.plan import DEFAULT_PLAN
from actors.subjects import check_token
from app.cli.api_tenants import Tenants
from app.cli.auditing import cli_who
from app.cli.output import print_json, say, warn
from app.cli.reach import Reach, reaching
from app.cli.tenant_desk import TenantsPlace
from app.cli.tenant_text import (
    removal_lines,
    status_text,
    tenant_document,
    tenant_line,
    tenant_lines,
)
from app.errors import CommandError
from app.tenancy.desk import KEEP, NewTenant, TenantChange
from app.tenancy.record import WORKERS_MAX, TenantSettings
from app.tenancy.store import PAGE_MAX, StoredTenant

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TenantArgument = Annotated[str, typer.Argument(help="The tenant, like demo.")]
NameOption = Annotated[str | None, typer.Option("--name", help="Its name, for people.")]
TimezoneOption = Annotated[
    str | None, typer.Option("--timezone", help="Its time zone, like Europe/Berlin.")
]
LanguageOption = Annotated[str | None, typer.Option("--language", help="Its language, like de.")]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, max=WORKERS_MAX, help="How many workers host it."),
]

YES_HINT: Final = "say --yes if that is meant"


class Unset(StrEnum):
    """What can be as the bundle or the operator says again."""

    TIMEZONE = "timezone"
    LANGUAGE = "language"
    WORKERS = "workers"


def add_record_commands(app: typer.Typer) -> None:
    """Put the commands into the noun."""
    app.command("add")(reaching(tenant_add))
    app.command("list")(reaching(tenant_list))
    app.command("show")(reaching(tenant_show))
    app.command("change")(reaching(tenant_change))
    app.command("suspend")(reaching(tenant_suspend))
    app.command("resume")(reaching(tenant_resume))
    app.command("remove")(reaching(tenant_remove))


def tenant_add(
    tenant: TenantArgument,
    *,
    name: NameOption = None,
    plan: Annotated[str, typer.Option("--plan", help="What it may use.")] = DEFAULT_PLAN,
    timezone: TimezoneOption = None,
    language: LanguageOption = None,
    workers: WorkersOption = None,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Make a tenant. What it runs comes with its first deployment."""
    place = TenantsPlace(reach)
    wanted = NewTenant(
        check_token(tenant, "tenant"),
        name,
        plan,
        TenantSettings(timezone, language),
        workers,
    )
    stored = place.at_desk(lambda desk: desk.add(cli_who(), wanted))
    _warn_of_plan(place, stored)
    _tell(stored, reach, "made", as_json=as_json)


def tenant_list(
    *,
    deleted: Annotated[
        bool, typer.Option("--deleted", help="Also those deleted in the last 30 days.")
    ] = False,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Show the tenants of an env, in the order of their ids."""
    place = TenantsPlace(reach)
    found, unreadable = place.at_desk(lambda desk: _all(desk, with_deleted=deleted))
    if as_json:
        documents = [one.record.as_mapping() | {"revision": one.revision} for one in found]
        print_json({"env": reach.env_name, "tenants": documents, "unreadable": unreadable})
        return
    for one in found:
        say(tenant_line(one.record))
    for tenant in unreadable:
        warn(f"what is kept for tenant {tenant} cannot be read; nobody serves it", style="red")
    if not found:
        warn(f"there are no tenants {reach.place}")


def tenant_show(
    tenant: TenantArgument,
    *,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Show what is kept of a tenant."""
    place = TenantsPlace(reach)
    stored = place.at_desk(lambda desk: desk.find(check_token(tenant, "tenant")))
    if as_json:
        print_json(tenant_document(stored, reach.env_name))
        return
    for line in tenant_lines(stored.record):
        say(line)


def tenant_change(
    tenant: TenantArgument,
    *,
    name: NameOption = None,
    plan: Annotated[str | None, typer.Option("--plan", help="What it may use.")] = None,
    timezone: TimezoneOption = None,
    language: LanguageOption = None,
    workers: WorkersOption = None,
    unset: Annotated[
        list[Unset] | None,
        typer.Option("--unset", help="What shall be as the bundle or the operator says again."),
    ] = None,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Change what a tenant is; what is not named stays."""
    place = TenantsPlace(reach)
    given = {
        "name": name,
        "plan": plan,
        "timezone": timezone,
        "language": language,
        "workers": workers,
    }
    change = _change(given, unset or [])
    stored = place.at_desk(
        lambda desk: desk.change(cli_who(), check_token(tenant, "tenant"), change)
    )
    if plan is not None:
        _warn_of_plan(place, stored)
    _tell(stored, reach, "changed", as_json=as_json)


def tenant_suspend(
    tenant: TenantArgument,
    *,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Stop serving a tenant, and keep all that it has."""
    place = TenantsPlace(reach)
    stored = place.at_desk(lambda desk: desk.suspend(cli_who(), check_token(tenant, "tenant")))
    _tell(stored, reach, "suspended", as_json=as_json)


def tenant_resume(
    tenant: TenantArgument,
    *,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Serve a suspended tenant again."""
    place = TenantsPlace(reach)
    stored = place.at_desk(lambda desk: desk.resume(cli_who(), check_token(tenant, "tenant")))
    _tell(stored, reach, "resumed", as_json=as_json)


def tenant_remove(
    tenant: TenantArgument,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for the tenant's id.")] = False,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Delete a tenant and all that it has, for good."""
    place = TenantsPlace(reach)
    before = place.at_desk(lambda desk: desk.find(check_token(tenant, "tenant")))
    if before.record.is_deleted:
        _tell(before, reach, "removed before", as_json=as_json)
        return
    for line in removal_lines(before.record, reach.place):
        warn(line)
    if not (yes or _is_named(tenant)):
        raise CommandError("nothing was removed", hint="type the tenant's id to remove it")
    stored = place.at_desk(lambda desk: desk.remove(cli_who(), tenant, revision=before.revision))
    _tell(stored, reach, "removed", as_json=as_json)


async def _all(desk: Tenants, *, with_deleted: bool) -> tuple[list[StoredTenant], list[str]]:
    found: list[StoredTenant] = []
    unreadable: list[str] = []
    after: str | None = None
    while True:
        page = await desk.list(after=after, limit=PAGE_MAX, with_deleted=with_deleted)
        found += page.tenants
        unreadable += page.unreadable
        after = page.next_after
        if after is None:
            return found, unreadable


def _change(given: dict[str, str | int | None], unset: list[Unset]) -> TenantChange:
    named = {field for field, value in given.items() if value is not None}
    both = named & set(unset)
    if both:
        raise CommandError(f"--unset {min(both)} and --{min(both)} exclude each other")
    if not named and not unset:
        raise CommandError("nothing is to be changed", hint="name what: --plan, --name, --unset …")
    values = {
        field: None if field in unset else (KEEP if value is None else value)
        for field, value in given.items()
    }
    return TenantChange(**values)  # type: ignore[arg-type] # each under the name of its own option


def _is_named(tenant: str) -> bool:
    """Ask for the tenant's id."""
    if not _is_asked_here():
        raise CommandError("this deletes a tenant, and nobody can be asked here", hint=YES_HINT)
    answer: str = typer.prompt(
        "the tenant's id, to go on", default="", show_default=False, err=True
    )
    return answer.strip() == tenant


def _is_asked_here() -> bool:
    return sys.stdin.isatty()


def _warn_of_plan(place: TenantsPlace, stored: StoredTenant) -> None:
    if stored.record.plan != DEFAULT_PLAN and not place.knows_plans:
        warn(f"no greentic.toml is here: whether there is a plan {stored.record.plan} is not known")


def _tell(stored: StoredTenant, reach: Reach, done: str, *, as_json: bool) -> None:
    if as_json:
        print_json(tenant_document(stored, reach.env_name))
        return
    text = f"{done}: tenant {stored.record.id} {reach.place}"
    say(f"{text}, {status_text(stored.record)}, plan {stored.record.plan}")
