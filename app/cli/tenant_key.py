"""``greentic-events tenant key …``: the API keys of a tenant.

In: a tenant. Out: a key's text, once, when it is made; afterwards what is known of it. Refuses
scopes that there are not, and times that are over.
"""

from typing import Annotated, Final

import typer

from actors.subjects import check_token
from app.cli.key_work import KeyPlace, add_key, list_keys, revoke_key, rotate_key
from app.cli.reach import Reach, reaching
from app.errors import CommandError
from app.identity.scopes import PUBLISH

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
    keys.command("add")(reaching(key_add))
    keys.command("list")(reaching(key_list))
    keys.command("rotate")(reaching(key_rotate))
    keys.command("revoke")(reaching(key_revoke))
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
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Make an API key and print it: this is the only time that anybody sees it.

    Senders use it as a bearer token, for batches and the API. It works within a second.
    """
    place = KeyPlace(check_token(tenant, "tenant"), reach)
    add_key(place, name, scopes or [PUBLISH], _expires(expires, expires_days), as_json=as_json)


def key_list(
    tenant: TenantArgument,
    *,
    revoked: RevokedOption = False,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Show a tenant's API keys, the oldest first; the keys themselves are not known."""
    list_keys(
        KeyPlace(check_token(tenant, "tenant"), reach),
        with_revoked=revoked,
        as_json=as_json,
    )


def key_rotate(
    tenant: TenantArgument,
    prefix: PrefixArgument,
    *,
    overlap: OverlapOption = None,
    expires: RotatedExpiresOption = None,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Make a key's successor, with its name and scopes, and let the old one end a little later."""
    place = KeyPlace(check_token(tenant, "tenant"), reach)
    rotate_key(place, prefix, overlap, expires, as_json=as_json)


def key_revoke(
    tenant: TenantArgument,
    prefix: PrefixArgument,
    *,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Revoke a key: within a second nobody takes it any more."""
    revoke_key(KeyPlace(check_token(tenant, "tenant"), reach), prefix, as_json=as_json)


def _expires(expires: str | None, days: int | None) -> str | None:
    if expires is not None and days is not None:
        raise CommandError("--expires and --expires-days exclude each other")
    return expires if days is None else f"{days}d"
