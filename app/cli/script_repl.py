"""The prompt of ``script repl``. In: lines. Out: values, what was printed, errors with their place.

Lines are joined until the brackets close; an empty line gives up on an input that is still open,
as Ctrl-C does. Nothing typed is written to a file: scripts may hold what nobody else should read.
"""

import importlib.util
import sys
from collections.abc import Callable
from typing import Final

from app.cli.output import say, warn
from app.cli.script_values import show, show_error
from grammar import Budget, Dialogue, GrammarError, Limits, is_unfinished

FIRST: Final = "» "
NEXT: Final = "… "
QUIT: Final = ":quit"
SCOPE: Final = ":scope"
HELP: Final = ":help"
_HELP_TEXT: Final = """\
:scope  the names there are, with their values, and the functions
:quit   the end; so is Ctrl-D
Ctrl-C, or an empty line, gives up on an input that is still open."""

ReadLine = Callable[[str], str]
"""Gets a prompt, gives a line without its end. Raises EOFError, KeyboardInterrupt."""


def read_lines() -> ReadLine:
    """Read lines with editing and history on a terminal, plainly from a pipe."""
    if not sys.stdin.isatty():
        return _piped
    if importlib.util.find_spec("readline") is not None:
        importlib.import_module("readline")  # gives input() its editing and history
    return input


def _piped(_prompt: str) -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")


class Prompt:
    """Reads, runs, shows, until the lines end."""

    def __init__(self, dialogue: Dialogue, read_line: ReadLine, limits: Limits) -> None:
        self._dialogue = dialogue
        self._read_line = read_line
        self._limits = limits

    def run(self) -> None:
        """Go on until ``:quit`` or the end of the lines."""
        while True:
            try:
                text = self._read_input()
            except EOFError:
                return
            except KeyboardInterrupt:
                say("")
                continue
            if text == QUIT:
                return
            self._answer(text)

    def _read_input(self) -> str:
        text = self._read_line(FIRST).strip()
        if text.startswith(":"):
            return text
        while len(text) <= self._limits.source_bytes and is_unfinished(text):
            line = self._read_line(NEXT)
            if not line.strip():
                break
            text = f"{text}\n{line}"
        return text

    def _answer(self, text: str) -> None:
        if text == SCOPE:
            self._show_scope()
        elif text == HELP:
            say(_HELP_TEXT)
        elif text.startswith(":"):
            warn(f"there is no {text}: {SCOPE}, {HELP} or {QUIT}")
        elif text:
            self._evaluate(text)

    def _evaluate(self, text: str) -> None:
        budget = Budget(self._limits)
        try:
            value = self._dialogue.run(text, budget)
        except GrammarError as error:
            self._print(budget)
            show_error(error, json_output=False)
        except KeyboardInterrupt:
            self._print(budget)
            warn("interrupted")
        else:
            self._print(budget)
            if value is not None:
                say(show(value))

    def _print(self, budget: Budget) -> None:
        for item in budget.printed:
            say(item)

    def _show_scope(self) -> None:
        for name, value in sorted(self._dialogue.variables.items()):
            say(f"{name} = {show(value)}")
        for name, count in self._dialogue.functions:
            say(f"fn {name}/{count}")
