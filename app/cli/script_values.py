"""What the script commands read and show: scopes, libraries, values, errors with their place.

In: arguments and files. Out: data for the language, and texts for people or JSON. Refuses
(CommandError) files that cannot be read, or are too large, and scopes that are no JSON object.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from app.bus.codec import decode_json
from app.cli.output import print_json, warn
from app.errors import CommandError
from grammar import (
    FlowCheckError,
    FunctionLibrary,
    GrammarError,
    HostMap,
    compile_functions,
    show_value,
)

STATE: Final = "state"
"""The name under which flows have their state; a scope's object of this name becomes one."""

FILE_BYTES_MAX: Final = 1024 * 1024


class LocalState(HostMap):
    """State in memory: begun with a scope's object, kept as long as the command runs."""

    __slots__ = ("entries",)

    def __init__(self, entries: dict[str, Any]) -> None:
        self.entries = entries

    def get(self, key: str) -> Any:
        """Give the value; None where there is none."""
        return self.entries.get(key)

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""
        self.entries[key] = value

    def remove(self, key: str) -> None:
        """Forget a key."""
        self.entries.pop(key, None)

    def contains(self, key: str) -> bool:
        """Tell whether there is a value."""
        return key in self.entries


def read_text(path: Path) -> str:
    """Read a text file."""
    try:
        data = sys.stdin.buffer.read(FILE_BYTES_MAX + 1) if str(path) == "-" else _bytes(path)
        if len(data) > FILE_BYTES_MAX:
            raise CommandError(f"{path} is larger than {FILE_BYTES_MAX} bytes")
        return data.decode()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{path} is no UTF-8 text") from None


def _bytes(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(FILE_BYTES_MAX + 1)


def read_scope(text: str | None) -> dict[str, Any]:
    """Read a scope: JSON, or ``@FILE``. There is always a state."""
    scope: Any = {}
    if text is not None:
        source = read_text(Path(text[1:])) if text.startswith("@") else text
        scope = decode_json(source.encode(errors="surrogateescape"), "scope")
    if not isinstance(scope, dict):
        raise CommandError("the scope is no JSON object", hint='write {"name": value}')
    entries = scope.get(STATE, {})
    if isinstance(entries, dict):
        scope[STATE] = LocalState(entries)
    return scope


def read_library(paths: Iterable[Path]) -> FunctionLibrary | None:
    """Compile files of functions into one library; None without files."""
    parts = [compile_functions(read_text(path), name=str(path)) for path in paths]
    return FunctionLibrary().merge(*parts) if parts else None


def show(value: Any) -> str:
    """Show a value as scripts write it; a state by what it holds."""
    return show_value(value.entries if isinstance(value, LocalState) else value)


def show_error(error: GrammarError, *, json_output: bool) -> None:
    """Show an error with its place: a caret for people, line and column as JSON."""
    if json_output:
        print_json({"error": error_document(error)})
    else:
        warn(error.render())


def error_document(error: GrammarError) -> dict[str, Any]:
    """Give an error as JSON data; ``others`` holds the further findings of a check."""
    document: dict[str, Any] = {"code": error.code, "kind": error.kind, "message": error.message}
    if error.span is not None:
        document |= {"line": error.span.line, "column": error.span.column}
    if error.source is not None:
        document["file"] = error.source.name
    if error.hint is not None:
        document["hint"] = error.hint
    if isinstance(error, FlowCheckError):
        document["others"] = [
            {"message": item.message, "line": item.span.line, "column": item.span.column}
            for item in error.diagnostics[1:]
        ]
    return document
