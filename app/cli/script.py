"""``greentic-events script …``: run scripts, try them out, lay them out, hold them to cases.

In: files of scripts and a scope. Out: a script's value, what it printed and what it cost. A script
that fails, or a file that is not right, ends with 1. The limits are those of flows, but for the
time, since this machine has nobody else to serve.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from app.bus.codec import encode_json
from app.cli.exit_codes import FAILED
from app.cli.output import print_json, say, warn
from app.cli.script_files import conformance, fmt
from app.cli.script_repl import Prompt, read_lines
from app.cli.script_values import (
    STATE,
    LocalState,
    read_library,
    read_scope,
    read_text,
    show,
    show_error,
)
from grammar import (
    DEFAULT_LIMITS,
    Budget,
    Dialogue,
    GrammarError,
    Limits,
    Step,
    compile_script,
    traced,
)

WALL_MS: Final = 10_000.0
LIMITS: Final[Limits] = replace(DEFAULT_LIMITS, wall_ms=WALL_MS)
_VALUE_SHOWN_MAX: Final = 80

ScopeOption = Annotated[
    str | None, typer.Option("--scope", help="Names of the script: a JSON object, or @FILE.")
]
LibraryOption = Annotated[
    list[Path] | None,
    typer.Option("--library", help="A file of functions that the script may call; repeatable."),
]


def script_app() -> typer.Typer:
    """Put the commands of this noun together."""
    app = typer.Typer(help="Run scripts, try them out, lay them out.", no_args_is_help=True)
    app.command("run")(run_script)
    app.command("repl")(repl)
    app.command("fmt")(fmt)
    app.command("conformance")(conformance)
    return app


def run_script(
    path: Annotated[Path, typer.Argument(help="A script; - reads standard input.", metavar="FILE")],
    *,
    scope: ScopeOption = None,
    library: LibraryOption = None,
    trace: Annotated[
        bool, typer.Option("--trace", help="Show the lines that compute, as they run.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run a script and show its value.

    An object `state` in the scope is what `state.get` and `state.set` work on.
    """
    budget = Budget(LIMITS)
    names = read_scope(scope)
    steps: list[Step] = []
    try:
        program = compile_script(
            read_text(path), name=str(path), library=read_library(library or ()), limits=LIMITS
        )
        value = _run(program.run, names, budget, steps if trace else None)
    except GrammarError as error:
        if not json_output:
            _show_progress(budget, steps)
        show_error(error, json_output=json_output)
        raise typer.Exit(FAILED) from None
    # As in flows: what is no JSON, like NaN, is refused.
    as_json = encode_json(value, "value").decode()
    state = names.get(STATE)
    document: dict[str, Any] = {
        "value": value,
        "output": list(budget.printed),
        "operations": budget.operations,
        "state": state.entries if isinstance(state, LocalState) else None,
    }
    if trace:
        document["trace"] = [_step_document(step) for step in steps]
    if json_output:
        print_json(document)
        return
    _show_progress(budget, steps)
    say(as_json)
    if document["state"]:
        warn(f"state       {show(state)}")
    warn(f"operations  {budget.operations} of {LIMITS.operations}")


def _run(run: Any, names: dict[str, Any], budget: Budget, steps: list[Step] | None) -> Any:
    if steps is None:
        return run(names, budget)
    with traced(steps.append):
        return run(names, budget)


def _show_progress(budget: Budget, steps: list[Step]) -> None:
    for step in steps:
        warn(_step_text(step))
    for text in budget.printed:
        say(text)


def _step_text(step: Step) -> str:
    place = f"{step.source.name}:{step.span.line}"
    if step.is_return:
        value = show(step.value)
        shown = value if len(value) <= _VALUE_SHOWN_MAX else f"{value[:_VALUE_SHOWN_MAX]}…"
        return f"{place}  {step.function or 'closure'} gives {shown}"
    return f"{place}  {step.source.line_text(step.span).strip()}"


def _step_document(step: Step) -> dict[str, Any]:
    document: dict[str, Any] = {
        "file": step.source.name,
        "line": step.span.line,
        "function": step.function,
    }
    if step.is_return:
        document["gives"] = show(step.value)
    return document


def repl(*, scope: ScopeOption = None, library: LibraryOption = None) -> None:
    """Try scripts out, input by input.

    Variables and functions stay. An input goes on until its brackets close. `:scope` shows the
    names there are, `:quit` ends.
    """
    dialogue = Dialogue(read_scope(scope), library=read_library(library or ()), limits=LIMITS)
    Prompt(dialogue, read_lines(), LIMITS).run()
