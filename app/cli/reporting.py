"""What went wrong, as commands tell it: on standard error, or as JSON with ``--json``.

In: an error that no command caught, the arguments. Out: its exit code. Refuses nothing. It knows
every package's errors, which takes time to import: only who has an error to tell of imports this.
"""

import traceback
from collections.abc import Sequence
from typing import Any, Final

from actors.errors import ActorsError
from app.bundle.problems import Problem
from app.bundle.report import as_document, as_text
from app.cli.exit_codes import INTERNAL, exit_code_of
from app.cli.output import print_json, warn
from app.errors import AppError
from app.system import PROGRAM
from grammar import GrammarError

_OWN_ERRORS: Final = (AppError, ActorsError, GrammarError)


def report(error: Exception, arguments: Sequence[str]) -> int:
    """Tell of an error and give the exit code for it."""
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
