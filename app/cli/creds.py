"""``greentic-events tenant creds …``: a tenant's logins to NATS.

In: a tenant. Out: a file with the login's secret, for its owner alone; afterwards what is known of
it. Refuses to write over a file, and lifetimes that are none.
"""

import asyncio
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from actors.subjects import check_token
from app.accounts.login import BusLogin
from app.cli.api_client import ApiAddress, at_api
from app.cli.api_logins import ApiLogins
from app.cli.auditing import cli_who, open_login_desk
from app.cli.lifetimes import parse_lifetime
from app.cli.login_form import SEED_VARIABLE, LoginForm, read_form
from app.cli.operator import creds_operator
from app.cli.output import print_json, say, warn
from app.cli.reach import Reach, reaching
from app.cli.vault import Whereabouts, find_whereabouts
from app.errors import CommandError
from app.system import SystemClock

LIFETIME_DEFAULT: Final = "90d"
IN_FORCE_SECONDS: Final = 5.0
IN_FORCE_POLL_SECONDS: Final = 0.1

_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")

TenantArgument = Annotated[str, typer.Argument(help="The tenant, like demo.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SeedOption = Annotated[
    Path | None,
    typer.Option(
        "--operator-seed", envvar=SEED_VARIABLE, help="Sign it, for a cluster that trusts this key."
    ),
]


def creds_app() -> typer.Typer:
    """Put the commands of this noun together."""
    app = typer.Typer(help="Issue, show and revoke logins to NATS.", no_args_is_help=True)
    app.command("issue")(reaching(creds_issue))
    app.command("list")(reaching(creds_list))
    app.command("revoke")(reaching(creds_revoke))
    app.command("operator")(creds_operator)
    return app


def creds_issue(
    tenant: TenantArgument,
    *,
    name: Annotated[str, typer.Option("--name", help="Who uses it, for people.")] = "client",
    expires: Annotated[
        str, typer.Option("--expires", help="When it ends: 15m, 24h, 30d, never.")
    ] = LIFETIME_DEFAULT,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="The file to write.", show_default="TENANT-NAME.nk"),
    ] = None,
    operator_seed: SeedOption = None,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Make a login to NATS and write its secret to a file: it is not known to us afterwards.

    Whoever has it publishes the tenant's own event types and hears its events and results, with
    any NATS client. It works within two seconds.
    """
    check_token(tenant, "tenant")
    lifetime_ms = parse_lifetime(expires)
    api, form = _way(reach, operator_seed)
    path = output or Path(f"{tenant}-{_UNFIT.sub('-', name)[:40]}{form.suffix}")
    is_in_force: bool | None = None
    with _new_file(path) as write:
        if api is not None:
            login, seed = at_api(api, lambda client: ApiLogins(client, tenant).issue(name, expires))
            write(f"{seed}\n")
        else:
            order = _Order(_where(reach, form), form, tenant, name, lifetime_ms)
            login, is_in_force = asyncio.run(_issue(order, write))
    if as_json:
        facts = {"env": reach.env_name, "file": str(path), "in_force": is_in_force}
        print_json({**login.as_mapping(), **facts})
        return
    say(f"login {login.id} of {tenant} {reach.place}, {_end(login)}: {path}")
    if is_in_force is False:
        warn("no server takes it yet: it comes into force where greentic-events keeps the accounts")


def creds_list(
    tenant: TenantArgument,
    *,
    operator_seed: SeedOption = None,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Show a tenant's logins, the oldest first, those that have ended too."""
    check_token(tenant, "tenant")
    api, form = _way(reach, operator_seed)

    async def read() -> Sequence[BusLogin]:
        async with open_login_desk(_where(reach, form)) as desk:
            return await desk.logins.list(tenant)

    if api is not None:
        found = at_api(api, lambda client: ApiLogins(client, tenant).list())
    else:
        found = asyncio.run(read())
    if as_json:
        documents: list[dict[str, Any]] = [login.as_mapping() for login in found]
        print_json({"tenant": tenant, "env": reach.env_name, "logins": documents})
        return
    for login in found:
        made = f"made {_minute(login.created_ms)}"
        say(f"{login.id}  {login.public_key}  {made}, {_end(login)}  {login.name}")
    if not found:
        warn(f"{tenant} has no logins to NATS {reach.place}")


def creds_revoke(
    tenant: TenantArgument,
    login_id: Annotated[
        str, typer.Argument(metavar="ID", help="The login's id, as `list` shows it.")
    ],
    *,
    operator_seed: SeedOption = None,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Revoke a login: within two seconds its connections are cut and nobody takes it any more."""
    check_token(tenant, "tenant")
    api, form = _way(reach, operator_seed)

    async def revoke() -> BusLogin:
        where = _where(reach, form)
        async with open_login_desk(where) as desk:
            login = await desk.revoke(cli_who(), tenant, login_id)
            await form.spread(where, desk.logins, tenant)
            return login

    if api is not None:
        login = at_api(api, lambda client: ApiLogins(client, tenant).revoke(login_id))
    else:
        login = asyncio.run(revoke())
    if as_json:
        print_json({**login.as_mapping(), "env": reach.env_name})
    else:
        say(f"revoked {login.id} of {tenant} {reach.place}")


def _way(reach: Reach, operator_seed: Path | None) -> tuple[ApiAddress | None, LoginForm]:
    """Give the API's address, None for NATS, and the form of logins there."""
    api = reach.api()
    if api is not None and operator_seed is not None:
        hint = "leave --operator-seed out, or name NATS"
        raise CommandError("signed logins are issued on NATS, not through the API", hint=hint)
    return api, read_form(operator_seed)


def _where(reach: Reach, form: LoginForm) -> Whereabouts:
    return form.reach(find_whereabouts(reach.nats_url, reach.data, reach.env, os.environ))


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be issued."""

    where: Whereabouts
    form: LoginForm
    tenant: str
    name: str
    lifetime_ms: int | None


async def _issue(order: _Order, write: Callable[[str], None]) -> tuple[BusLogin, bool]:
    """Issue a login, write down what its owner gets, and see whether it is in force."""
    where, form, lifetime_ms = order.where, order.form, order.lifetime_ms
    async with open_login_desk(where) as desk:
        expires_ms = None if lifetime_ms is None else SystemClock().now_ms() + lifetime_ms
        login, key = await desk.issue(cli_who(), order.tenant, order.name, expires_ms=expires_ms)
        text = form.text(where.env, login, key)
        write(text)
        await form.spread(where, desk.logins, order.tenant)
    return login, await _is_in_force(form, where.bus.url, text)


async def _is_in_force(form: LoginForm, url: str, text: str) -> bool:
    """Wait a while until a server takes the login."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + IN_FORCE_SECONDS
    while not await form.is_taken(url, text):
        if loop.time() >= give_up_at:
            return False
        await asyncio.sleep(IN_FORCE_POLL_SECONDS)
    return True


@contextmanager
def _new_file(path: Path) -> Iterator[Callable[[str], None]]:
    """Make a private file and give what fills it: before a login is issued, so that none is lost.

    It is taken away again when nothing was written to it.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        hint = "name another one with --output"
        raise CommandError(f"{path} is there already, and is not written over", hint=hint) from None
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:

        def write(text: str) -> None:
            file.write(text)
            file.flush()

        try:
            yield write
        finally:
            if file.tell() == 0:
                path.unlink(missing_ok=True)


def _end(login: BusLogin) -> str:
    if login.revoked_ms is not None:
        return f"revoked {_minute(login.revoked_ms)}"
    if login.expires_ms is None:
        return "never ends"
    is_over = login.expires_ms <= SystemClock().now_ms()
    return f"{'ended' if is_over else 'ends'} {_minute(login.expires_ms)}"


def _minute(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
