"""``greentic-events secret …``: what flows may use as `secrets.NAME` in calls that go out.

In: a tenant and a name; the value from a prompt, standard input, a file or a variable, and never
from the command line, which other users of the machine can read. Out: names; no command shows a
value.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from actors.ports import SECRET_BYTES_MAX
from app.cli.auditing import cli_who
from app.cli.output import print_json, say, warn
from app.cli.reach import Reach, reaching
from app.cli.secret_desk import at_secrets
from app.cli.secret_rekey import secret_rekey
from app.errors import CommandError
from app.stores.secrets import check_name, check_owner, check_value

TenantArgument = Annotated[
    str, typer.Argument(help="The tenant, like demo; _bundle for the providers' own secrets.")
]
NameArgument = Annotated[str, typer.Argument(help="Its name, like API_KEY.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_UNSET: Final = "the environment variable {} is not set"


def secret_app() -> typer.Typer:
    """Put the commands of this noun together."""
    app = typer.Typer(
        help="Store secrets for flows; nothing shows them again.", no_args_is_help=True
    )
    app.command("set")(reaching(secret_set))
    app.command("list")(reaching(secret_list))
    app.command("remove")(reaching(secret_remove))
    app.command("rekey")(secret_rekey)
    return app


def secret_set(
    tenant: TenantArgument,
    name: NameArgument,
    *,
    from_env: Annotated[
        str | None, typer.Option("--from-env", help="Take the value of this variable.")
    ] = None,
    from_file: Annotated[
        Path | None, typer.Option("--from-file", help="Take the whole content of this file.")
    ] = None,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Store a secret, over one of that name.

    The value is asked for without being shown, or read from standard input (one line end is left
    out). Flows read it as secrets.NAME in http and provider nodes, at their next call.
    """
    check_owner(tenant)
    check_name(name)
    value = _read_value(name, from_env, from_file)
    check_value(value)

    at_secrets(reach, lambda secrets: secrets.set(cli_who(), tenant, name, value))
    if as_json:
        print_json({"tenant": tenant, "name": name, "env": reach.place})
    else:
        say(f"stored {name} for {tenant} {reach.place}")


def secret_list(
    tenant: TenantArgument,
    *,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Name a tenant's secrets; values are not shown."""
    check_owner(tenant)
    names = at_secrets(reach, lambda secrets: secrets.list(tenant))
    if as_json:
        print_json({"tenant": tenant, "env": reach.env_name, "secrets": list(names)})
        return
    for name in names:
        say(name)
    if not names:
        warn(f"{tenant} has no secrets {reach.place}")


def secret_remove(
    tenant: TenantArgument,
    name: NameArgument,
    *,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Forget a secret."""
    check_owner(tenant)
    check_name(name)
    at_secrets(reach, lambda secrets: secrets.remove(cli_who(), tenant, name))
    if as_json:
        print_json({"tenant": tenant, "name": name, "env": reach.place})
    else:
        say(f"removed {name} of {tenant} {reach.place}")


def _read_value(name: str, from_env: str | None, from_file: Path | None) -> str:
    if from_env is not None and from_file is not None:
        raise CommandError("--from-env and --from-file exclude each other")
    if from_env is not None:
        value = os.environ.get(from_env)
        if not value:
            raise CommandError(_UNSET.format(from_env))
        return value
    if from_file is not None:
        return _decoded(_file_bytes(from_file))
    if sys.stdin.isatty():
        return str(typer.prompt(name, hide_input=True, err=True))
    text = _decoded(sys.stdin.buffer.read(SECRET_BYTES_MAX + 3))
    return text.removesuffix("\n").removesuffix("\r")


def _file_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(SECRET_BYTES_MAX + 1)
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from None


def _decoded(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise CommandError("a secret must be text in UTF-8; encode other bytes as base64") from None
