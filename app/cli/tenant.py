"""``greentic-events tenant …``: the API keys of a tenant.

In: a tenant. Out: a key's text, once, when it is made; afterwards what is known of it. Refuses
scopes that there are not, and times that are over.
"""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from actors.subjects import check_token
from app.cli.output import print_json, say, warn
from app.cli.vault import find_whereabouts, open_api_keys
from app.stores.api_key import PUBLISH, ApiKey, KeyText
from app.system import SystemClock

EXPIRES_DAYS_MAX: Final = 3650
MS_PER_DAY: Final = 86_400_000

TenantArgument = Annotated[str, typer.Argument(help="The tenant, like demo.")]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Data folder with nats.json: BUNDLE/.greentic.")
]
NatsOption = Annotated[
    str | None, typer.Option("--nats-url", help="NATS server, nats://user:password@host:port.")
]
EnvOption = Annotated[str | None, typer.Option("--env", help="The env; GREENTIC_ENV, else dev.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def tenant_app() -> typer.Typer:
    """Put the commands of this noun together."""
    app = typer.Typer(help="Manage what belongs to a tenant.", no_args_is_help=True)
    keys = typer.Typer(help="Make, show and revoke API keys.", no_args_is_help=True)
    keys.command("add")(key_add)
    keys.command("list")(key_list)
    keys.command("revoke")(key_revoke)
    app.add_typer(keys, name="key")
    return app


def key_add(
    tenant: TenantArgument,
    *,
    name: Annotated[str, typer.Option("--name", help="Who uses it, for people.")] = "api",
    scopes: Annotated[
        list[str] | None, typer.Option("--scope", help="What it may do.", show_default=PUBLISH)
    ] = None,
    expires_days: Annotated[
        int | None,
        typer.Option(
            "--expires-days", min=1, max=EXPIRES_DAYS_MAX, help="End after so many days.",
            show_default="never",
        ),
    ] = None,
    data: DataOption = None,
    nats_url: NatsOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Make an API key and print it: this is the only time that anybody sees it.

    Senders use it as a bearer token, for batches too. It works within two seconds.
    """
    check_token(tenant, "tenant")
    where = find_whereabouts(nats_url, data, env, os.environ)
    expires_ms = None
    if expires_days is not None:
        expires_ms = SystemClock().now_ms() + expires_days * MS_PER_DAY

    async def add() -> tuple[ApiKey, KeyText]:
        async with open_api_keys(where) as keys:
            return await keys.add(tenant, name, scopes or [PUBLISH], expires_ms=expires_ms)

    key, text = asyncio.run(add())
    if as_json:
        print_json({**key.as_mapping(), "env": where.env, "key": str(text)})
        return
    warn(f"key {key.prefix} of {tenant} in env {where.env}; keep it, it is not shown again:")
    say(str(text))


def key_list(
    tenant: TenantArgument,
    *,
    data: DataOption = None,
    nats_url: NatsOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a tenant's API keys, the oldest first; the keys themselves are not known."""
    where = find_whereabouts(nats_url, data, env, os.environ)

    async def read() -> tuple[ApiKey, ...]:
        async with open_api_keys(where) as keys:
            return await keys.list(tenant)

    found = asyncio.run(read())
    if as_json:
        documents: list[dict[str, Any]] = [key.as_mapping() for key in found]
        print_json({"tenant": tenant, "env": where.env, "keys": documents})
        return
    now_ms = SystemClock().now_ms()
    for key in found:
        say(_line(key, now_ms))
    if not found:
        warn(f"{tenant} has no API keys in env {where.env}")


def key_revoke(
    tenant: TenantArgument,
    prefix: Annotated[
        str, typer.Argument(help="The key's first eight characters, as `list` shows them.")
    ],
    *,
    data: DataOption = None,
    nats_url: NatsOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke an API key: within two seconds nobody takes it any more."""
    where = find_whereabouts(nats_url, data, env, os.environ)

    async def revoke() -> None:
        async with open_api_keys(where) as keys:
            await keys.revoke(tenant, prefix)

    asyncio.run(revoke())
    if as_json:
        print_json({"tenant": tenant, "prefix": prefix, "env": where.env})
    else:
        say(f"revoked {prefix} of {tenant} in env {where.env}")


def _line(key: ApiKey, now_ms: int) -> str:
    end = "never ends"
    if key.expires_ms is not None:
        end = f"{'ended' if key.expires_ms <= now_ms else 'ends'} {_day(key.expires_ms)}"
    return f"{key.prefix}  {','.join(key.scopes)}  made {_day(key.created_ms)}, {end}  {key.name}"


def _day(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")
