"""How a command reaches what it is about: on NATS itself, or through the API of a running program.

In: one group of options that commands share, and the environment. Out: the API's address with a
key, or None for NATS. Refuses options of both ways at once.

A command declares one parameter ``reach: Reach`` and is registered as ``reaching(command)``; on the
command line the options of the group stand in its place.
"""

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from app.bus.connection import BusSettings
from app.cli.api_client import ADMIN_DEFAULT, KEY_CHARS_MAX, ApiAddress
from app.cli.connecting import bus_settings, chosen_env
from app.errors import CommandError

URL_VARIABLE: Final = "GREENTIC_URL"
KEY_VARIABLE: Final = "GREENTIC_KEY"
KEY_HINT: Final = f"set {KEY_VARIABLE}, or name a file that holds it with --key-file"
PANEL: Final = "Where"


UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        help=f"Not NATS, but the API at this admin address; {URL_VARIABLE}.",
        rich_help_panel=PANEL,
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key",
        help="An API key for it. Other users of this machine can read command lines: "
        f"better {KEY_VARIABLE} or --key-file.",
        rich_help_panel=PANEL,
    ),
]
KeyFileOption = Annotated[
    Path | None,
    typer.Option("--key-file", help="The file that holds the key.", rich_help_panel=PANEL),
]
InsecureOption = Annotated[
    bool,
    typer.Option(
        "--insecure",
        help="Send the key over plain HTTP to another machine.",
        rich_help_panel=PANEL,
    ),
]


@dataclass(frozen=True, slots=True)
class Reach:
    """What was said of where."""

    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="Data folder with nats.json: BUNDLE/.greentic.", rich_help_panel=PANEL
        ),
    ] = None
    nats_url: Annotated[
        str | None,
        typer.Option(
            "--nats-url",
            help="NATS server, nats://user:password@host:port.",
            rich_help_panel=PANEL,
        ),
    ] = field(default=None, repr=False)
    env: Annotated[
        str | None,
        typer.Option(
            "--env", help="The env on that NATS; GREENTIC_ENV, else dev.", rich_help_panel=PANEL
        ),
    ] = None
    url: UrlOption = None
    key: KeyOption = field(default=None, repr=False)
    key_file: KeyFileOption = None
    insecure: InsecureOption = False

    @property
    def names_key(self) -> bool:
        """Tell whether a key was named on the command line."""
        return self.key is not None or self.key_file is not None

    @property
    def names_nats(self) -> bool:
        """Tell whether NATS was named on the command line."""
        return self.data is not None or self.nats_url is not None

    def api(self, environment: Mapping[str, str] = os.environ) -> ApiAddress | None:
        """Give the API's address where it is to be asked; None: NATS is. CommandError."""
        if self.names_nats:
            if self.url is not None or self.names_key:
                raise CommandError("--data and --nats-url are for NATS, --url and --key are not")
            return None
        if self.url or self.names_key or environment.get(URL_VARIABLE):
            return self.surely_api(environment)
        return None

    def surely_api(self, environment: Mapping[str, str] = os.environ) -> ApiAddress:
        """Give the API's address, the usual one unless another is named. CommandError."""
        if self.env is not None:
            hint = "leave it out: the program at --url serves one env, its own"
            raise CommandError("--env chooses an env on NATS", hint=hint)
        url = self.url or environment.get(URL_VARIABLE) or ADMIN_DEFAULT
        return ApiAddress.of(url, self._key(environment), is_insecure=self.insecure)

    def bus(self) -> BusSettings:
        """Give the NATS server. CommandError, UnavailableError."""
        return bus_settings(self.nats_url, self.data, os.environ)

    @property
    def bus_env(self) -> str:
        """The env that is meant on NATS."""
        return chosen_env(self.env, os.environ)

    @property
    def env_name(self) -> str | None:
        """The env, as JSON says it; None: the program knows it."""
        return self.bus_env if self.api() is None else None

    @property
    def place(self) -> str:
        """Where, for people: ``in env dev``, ``at http://127.0.0.1:8081``."""
        api = self.api()
        return f"in env {self.bus_env}" if api is None else f"at {api.url}"

    def _key(self, environment: Mapping[str, str]) -> str:
        if self.key is not None and self.key_file is not None:
            raise CommandError("--key and --key-file exclude each other")
        if self.key is not None:
            return self.key
        if self.key_file is not None:
            return _key_in(self.key_file)
        key = environment.get(KEY_VARIABLE)
        if not key:
            raise CommandError("the API takes an API key, and none was given", hint=KEY_HINT)
        return key


def reaching(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command whose parameter ``reach`` is the group of options."""
    names = [each.name for each in fields(Reach)]
    group = inspect.signature(Reach, eval_str=True).parameters

    @functools.wraps(command)
    def asked(**given: Any) -> None:
        command(reach=Reach(**{name: given.pop(name) for name in names}), **given)

    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        told = list(group.values()) if parameter.name == "reach" else [parameter]
        parameters += [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in told]
    asked.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # typer reads it
    asked.__annotations__ = {each.name: each.annotation for each in parameters}
    return asked


def _key_in(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(KEY_CHARS_MAX + 2).decode("ascii").strip()
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{file} holds no API key") from None
