"""Turns what a YAML parser complains about into what its author should do.

In: the parser's error and the text. Out: a place, a sentence and a hint. Knows the mistakes that
flows invite: an unquoted cron line, an unquoted template, a colon in a value, tabs.
"""

from dataclasses import dataclass
from typing import Final

from ruamel.yaml.error import MarkedYAMLError

from app.bundle.document import Position

_QUOTED_CHARS_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class Advice:
    """Where it went wrong, what it means and what to do."""

    position: Position
    message: str
    hint: str | None = None


def advise(error: MarkedYAMLError, text: str) -> Advice:
    """Explain an error that has a mark."""
    problem, context = error.problem or "", error.context or ""
    here = (error.problem_mark.line + 1, error.problem_mark.column + 1)
    lines = text.split("\n")
    line = lines[here[0] - 1] if here[0] <= len(lines) else ""
    if "scanning an alias" in context or "scanning an anchor" in context:
        return _alias(error, line)
    if "{{" in line and '"' not in line and "'" not in line:
        return Advice(here, "a template must be quoted", 'write "{{ … }}" with quotes around it')
    if "cannot start any token" in problem:
        return _bad_start(here, line)
    if "mapping values are not allowed" in problem:
        hint = "quote the value if the ':' belongs to it; else check the indentation"
        return Advice(here, "a ':' is not allowed here", hint)
    if "unexpected end of stream" in problem and error.context_mark is not None:
        start = error.context_mark
        return Advice((start.line + 1, start.column + 1), "the quote opened here is never closed")
    return _structure(here, problem, context)


def _alias(error: MarkedYAMLError, line: str) -> Advice:
    """Explain an unquoted ``* * * * *``: no alias at all, but a cron line."""
    mark = error.context_mark or error.problem_mark
    value = line[mark.column :]
    message = f"a plain value cannot start with {value[:1]!r}"
    return Advice((mark.line + 1, mark.column + 1), message, quote_it(value))


def _bad_start(here: Position, line: str) -> Advice:
    char = line[here[1] - 1 : here[1]]
    if char == "\t":
        return Advice(here, "a tab cannot stand here", "indent with spaces")
    hint = quote_it(line[here[1] - 1 :])
    return Advice(here, f"a plain value cannot start with {char!r}", hint)


def _structure(here: Position, problem: str, context: str) -> Advice:
    if "block end" in problem or "block collection" in context or "block mapping" in context:
        hint = "lines of one list or map start in the same column"
        return Advice(here, "this does not fit the lines above", hint)
    if "flow" in context or "<stream end>" in problem:
        return Advice(here, "a '[' or '{' is never closed, or a ',' is missing")
    if "could not find expected ':'" in problem:
        return Advice(here, "a ':' is missing after a key")
    return Advice(here, problem or "the file is no YAML")


def quote_it(value: str) -> str:
    """Suggest quotes around the rest of a line, without its comment."""
    text = value.split(" #", maxsplit=1)[0].strip()
    shown = text if len(text) <= _QUOTED_CHARS_MAX else text[:_QUOTED_CHARS_MAX] + "…"
    return f'quote it: "{shown}"'
