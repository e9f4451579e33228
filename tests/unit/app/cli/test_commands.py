"""The commands' lines in the help are theirs, and help alone imports none of them."""

import subprocess
import sys
from typing import Any

import pytest
import typer

from app.cli.commands import COMMANDS, AwaitedCommand, CommandPlace
from app.cli.main import build_app

HEAVY = ("app.bus", "app.providers", "app.bundle", "grammar", "nats", "pydantic", "httpx", "faust")


def named(place: CommandPlace) -> str:
    return place.name


@pytest.mark.parametrize("place", COMMANDS, ids=named)
def test_line_of_a_command_is_the_first_of_its_own_help(place: CommandPlace) -> None:
    command = AwaitedCommand(place).loaded()
    assert (command.name, (command.help or "").split("\n\n")[0]) == (place.name, place.help)


@pytest.mark.parametrize("place", COMMANDS, ids=named)
def test_groups_have_commands_and_others_have_none(place: CommandPlace) -> None:
    assert hasattr(AwaitedCommand(place), "commands") is place.maker.endswith("_app")


def test_every_command_stands_in_the_program_once() -> None:
    program: Any = typer.main.get_command(build_app())
    assert list(program.commands) == [place.name for place in COMMANDS]


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help_and_version_import_no_command(word: str) -> None:
    code = (
        "import sys\nfrom app.cli.main import run\n"
        f"assert run([{word!r}]) == 0\n"
        f"print([name for name in sys.modules if name.startswith({HEAVY!r})])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.splitlines()[-1] == "[]"
