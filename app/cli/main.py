"""The console script ``greentic-events``.

In: the process's arguments. Out: an exit code by the table of ``app.cli.exit_codes``. This is the
one place that catches every error; ``--debug`` shows their tracebacks.
"""

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from actors.errors import ActorsError
from app.bundle.problems import Problem
from app.bundle.report import as_document, as_text
from app.cli.apply import apply_command, diff_command
from app.cli.audit import audit_app
from app.cli.dead_letter import dead_letter_app
from app.cli.deployment import deployment_app, promote_command, rollback_command
from app.cli.docs import docs_command
from app.cli.doctor import doctor_command
from app.cli.event import event_app
from app.cli.exit_codes import INTERNAL, INTERRUPTED, OK, exit_code_of
from app.cli.flow import flow_app
from app.cli.init import init_command
from app.cli.outbox import outbox_app
from app.cli.output import print_json, warn
from app.cli.platform import platform_app
from app.cli.reach import reaching
from app.cli.run import run_app
from app.cli.script import script_app
from app.cli.secret import secret_app
from app.cli.setup import setup_command
from app.cli.signature import signature_app
from app.cli.start import start_command
from app.cli.tenant import tenant_app
from app.cli.timer import timer_app
from app.cli.worker import worker_app
from app.errors import AppError
from app.system import PROGRAM, program_version
from grammar import GrammarError

_OWN_ERRORS: Final = (AppError, ActorsError, GrammarError)


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
        return _report(error, arguments)
    return OK


def build_app() -> typer.Typer:
    """Put the commands together: one line each."""
    app = typer.Typer(
        name=PROGRAM,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    app.callback()(_global_options)
    app.command("init")(init_command)
    app.command("wizard", help="The same as init.", hidden=True)(init_command)
    app.command("setup")(setup_command)
    app.command("start")(start_command)
    app.command("apply")(reaching(apply_command))
    app.command("diff")(reaching(diff_command))
    app.command("rollback")(reaching(rollback_command))
    app.command("promote")(promote_command)
    app.add_typer(deployment_app(), name="deployment")
    app.add_typer(flow_app(), name="flow")
    app.add_typer(event_app(), name="event")
    app.add_typer(script_app(), name="script")
    app.add_typer(run_app(), name="run")
    app.add_typer(audit_app(), name="audit")
    app.add_typer(platform_app(), name="platform")
    app.add_typer(timer_app(), name="timer")
    app.add_typer(worker_app(), name="worker")
    app.add_typer(dead_letter_app(), name="dead-letter")
    app.add_typer(outbox_app(), name="outbox")
    app.add_typer(secret_app(), name="secret")
    app.add_typer(tenant_app(), name="tenant")
    app.add_typer(signature_app(), name="signature")
    app.command("doctor")(doctor_command)
    app.command("docs", hidden=True)(docs_command)
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


def _report(error: Exception, arguments: Sequence[str]) -> int:
    code = exit_code_of(error)
    if "--debug" in arguments:
        traceback.print_exception(error)
    document = _error_document(error)
    if "--json" in arguments:
        print_json({"error": document})
        return code
    problems = [item for item in getattr(error, "problems", ()) if isinstance(item, Problem)]
    for problem in problems:
        warn(as_text(problem))
    if not problems:
        warn(f"error: {document['message']} [{document['code']}]", style="red")
    if document.get("hint"):
        warn(f"  hint: {document['hint']}")
    return code


def _error_document(error: Exception) -> dict[str, Any]:
    if not isinstance(error, _OWN_ERRORS):
        message = f"this is a defect of {PROGRAM}: {type(error).__name__}: {error}"
        hint = f"run it again with '{PROGRAM} --debug …' and report what it shows"
        return {"code": "cli.internal", "message": message, "hint": hint, "exit": INTERNAL}
    document: dict[str, Any] = {"code": error.code, "message": str(error)}
    problems = getattr(error, "problems", ())
    if problems:
        document["problems"] = [
            as_document(item) if isinstance(item, Problem) else str(item) for item in problems
        ]
    if way_out := getattr(error, "hint", None):
        document["hint"] = way_out
    return document


if __name__ == "__main__":
    main()
