"""``greentic-events platform key …``: the API keys that stand above all tenants.

In: nothing but where NATS is: whoever may log in there may make them. Out: a key's text, once.
Refuses scopes that there are not.
"""

from typing import Annotated

import typer

from app.cli.key_work import KeyPlace, add_key, list_keys, revoke_key, rotate_key
from app.cli.reach import Reach, reaching
from app.identity.scopes import PLATFORM_ADMIN
from app.stores.api_key import PLATFORM

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


def platform_app() -> typer.Typer:
    """Put the commands of this noun together."""
    app = typer.Typer(help="Manage what belongs to no tenant.", no_args_is_help=True)
    app.add_typer(platform_key_app(), name="key")
    return app


def platform_key_app() -> typer.Typer:
    """Put the commands of this noun together."""
    keys = typer.Typer(help="Make, show, rotate and revoke platform keys.", no_args_is_help=True)
    keys.command("add")(reaching(key_add))
    keys.command("list")(reaching(key_list))
    keys.command("rotate")(reaching(key_rotate))
    keys.command("revoke")(reaching(key_revoke))
    return keys


def key_add(
    *,
    name: NameOption = "platform",
    scopes: Annotated[
        list[str] | None,
        typer.Option(
            "--scope", help="What it may do, in every tenant.", show_default=PLATFORM_ADMIN
        ),
    ] = None,
    expires: ExpiresOption = None,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Make a platform key and print it: this is the only time that anybody sees it.

    A scope of tenants, like tenant-read, holds for every tenant then.
    """
    place = KeyPlace(PLATFORM, reach)
    add_key(place, name, scopes or [PLATFORM_ADMIN], expires, as_json=as_json)


def key_list(
    *,
    revoked: RevokedOption = False,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Show the platform's API keys, the oldest first; the keys themselves are not known."""
    list_keys(KeyPlace(PLATFORM, reach), with_revoked=revoked, as_json=as_json)


def key_rotate(
    prefix: PrefixArgument,
    *,
    overlap: OverlapOption = None,
    expires: RotatedExpiresOption = None,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Make a key's successor, with its name and scopes, and let the old one end a little later."""
    place = KeyPlace(PLATFORM, reach)
    rotate_key(place, prefix, overlap, expires, as_json=as_json)


def key_revoke(
    prefix: PrefixArgument,
    *,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Revoke a key: within a second nobody takes it any more."""
    revoke_key(KeyPlace(PLATFORM, reach), prefix, as_json=as_json)
