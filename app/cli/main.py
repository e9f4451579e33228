"""The console script ``greentic-events``.

In: the process's arguments. Out: an exit code by the table of ``app.cli.exit_codes``. This is the
one place that catches every error; ``--debug`` shows their tracebacks. What a command needs is
imported when it is used (`app.cli.commands`): help and the version come at once.
"""

import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from app.cli.commands import CommandGroup
from app.system import PROGRAM, program_version

OK: Final = 0
INTERRUPTED: Final = 130
"""Both as in `app.cli.exit_codes`, which knows every package's errors."""


def main() -> None:
    """Run the program and end the process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and give its exit code."""
    try:
        build_app()(args=list(arguments), prog_name=PROGRAM)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else OK
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the command line's edge (STYLE 5)
        from app.cli.reporting import report  # noqa: PLC0415 - slow, and seldom wanted

        return report(error, arguments)
    return OK


def build_app() -> typer.Typer:
    """Give the program; its commands are `app.cli.commands.COMMANDS`."""
    app = typer.Typer(
        name=PROGRAM,
        cls=CommandGroup,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    app.callback()(_global_options)
    return app


def _show_version(value: bool) -> None:
    if value:
        sys.stdout.write(f"{PROGRAM} {program_version()}\n")
        raise typer.Exit


def _global_options(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and end.", callback=_show_version, is_eager=True
        ),
    ] = False,
    _debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Run event flows on webhooks and timers over NATS.

    New here? [bold]greentic-events init my-bundle[/bold] writes a bundle that works,
    [bold]greentic-events start my-bundle[/bold] runs it and
    [bold]greentic-events flow doctor my-bundle[/bold] tells what is wrong with it.

    Exit codes: 0 all well, 1 what was examined is wrong, 2 wrong usage, 3 wrong configuration,
    4 nobody answers, 5 refused, 70 a defect of this program.
    """


if __name__ == "__main__":
    main()
