"""``greentic-events tenant key …``: the API keys of a tenant.

In: a tenant. Out: a key's text, once, when it is made; afterwards what is known of it. Refuses
scopes that there are not, and times that are over.
"""

from pathlib import Path
from typing import Annotated, Final

import typer

from actors.subjects import check_token
from app.cli.key_work import KeyPlace, add_key, list_keys, revoke_key, rotate_key
from app.errors import CommandError
from app.identity.scopes import PUBLISH

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Data folder with nats.json: BUNDLE/.greentic.")
]
NatsOption = Annotated[
    str | None, typer.Option("--nats-url", help="NATS server, nats://user:password@host:port.")
]
EnvOption = Annotated[str | None, typer.Option("--env", help="The env; GREENTIC_ENV, else dev.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
NameOption = Annotated[str, typer.Option("--name", help="Who uses it, for people.")]
ExpiresOption = Annotated[
    str | None,
    typer.Option("--expires", help="End after so long: 90d, 12h.", show_default="never"),
]
OverlapOption = Annotated[
    str | None,
    typer.Option("--overlap", help="How long the old key goes on.", show_default="24h"),
]
RotatedExpiresOption = Annotated[
    str | None,
    typer.Option(
        "--expires", help="End the new key after so long.", show_default="as the old one was made"
    ),
]
RevokedOption = Annotated[bool, typer.Option("--revoked", help="Also those revoked lately.")]
PrefixArgument = Annotated[
    str, typer.Argument(help="The key's first eight characters, as `list` shows them.")
]

TenantArgument = Annotated[str, typer.Argument(help="The tenant, like demo.")]

EXPIRES_DAYS_MAX: Final = 3650


def tenant_key_app() -> typer.Typer:
    """Put the commands of this noun together."""
    keys = typer.Typer(help="Make, show, rotate and revoke API keys.", no_args_is_help=True)
    keys.command("add")(key_add)
    keys.command("list")(key_list)
    keys.command("rotate")(key_rotate)
    keys.command("revoke")(key_revoke)
    return keys


def key_add(
    tenant: TenantArgument,
    *,
    name: NameOption = "api",
    scopes: Annotated[
        list[str] | None, typer.Option("--scope", help="What it may do.", show_default=PUBLISH)
    ] = None,
    expires: ExpiresOption = None,
    expires_days: Annotated[
        int | None,
        typer.Option("--expires-days", min=1, max=EXPIRES_DAYS_MAX, help="The same, in days."),
    ] = None,
    data: DataOption = None,
    nats_url: NatsOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an API key and print it: this is the only time that anybody sees it.

    Senders use it as a bearer token, for batches and the API. It works within a second.
    """
    place = KeyPlace(check_token(tenant, "tenant"), data, nats_url, env)
    add_key(place, name, scopes or [PUBLISH], _expires(expires, expires_days), as_json=as_json)


def key_list(
    tenant: TenantArgument,
    *,
    revoked: RevokedOption = False,
    data: DataOption = None,
    nats_url: NatsOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a tenant's API keys, the oldest first; the keys themselves are not known."""
    list_keys(
        KeyPlace(check_token(tenant, "tenant"), data, nats_url, env),
        with_revoked=revoked,
        as_json=as_json,
    )


def key_rotate(
    tenant: TenantArgument,
    prefix: PrefixArgument,
    *,
    overlap: OverlapOption = None,
    expires: RotatedExpiresOption = None,
    data: DataOption = None,
    nats_url: NatsOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key's successor, with its name and scopes, and let the old one end a little later."""
    place = KeyPlace(check_token(tenant, "tenant"), data, nats_url, env)
    rotate_key(place, prefix, overlap, expires, as_json=as_json)


def key_revoke(
    tenant: TenantArgument,
    prefix: PrefixArgument,
    *,
    data: DataOption = None,
    nats_url: NatsOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke a key: within a second nobody takes it any more."""
    revoke_key(
        KeyPlace(check_token(tenant, "tenant"), data, nats_url, env), prefix, as_json=as_json
    )


def _expires(expires: str | None, days: int | None) -> str | None:
    if expires is not None and days is not None:
        raise CommandError("--expires and --expires-days exclude each other")
    return expires if days is None else f"{days}d"
