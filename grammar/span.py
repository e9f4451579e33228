"""Places in a text. In: a text and its name. Out: spans, and the lines an error report shows.

Refuses nothing: a span past the end of its text is clipped when it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_TAB: Final = "\t"
EXCERPT_CHARACTERS_MAX: Final = 160


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of code points, `start` to `end`, with the 1-based place of its start."""

    start: int
    end: int
    line: int
    column: int

    def until(self, last: Span) -> Span:
        """Return the span from the start of this one to the end of `last`."""
        return Span(self.start, max(self.end, last.end), self.line, self.column)


@dataclass(frozen=True, slots=True)
class SourceText:
    """A named text, the thing every span points into. `name` is shown in errors, never opened."""

    name: str
    text: str

    def span(self, start: int, end: int) -> Span:
        """Return the span of two offsets. Counts lines from the top: not for hot paths."""
        before = self.text.count("\n", 0, start)
        column = start - (self.text.rfind("\n", 0, start) + 1) + 1
        return Span(start, end, before + 1, column)

    def line_text(self, span: Span) -> str:
        """Return the whole line on which `span` starts, without its line feed."""
        first = self.text.rfind("\n", 0, span.start) + 1
        last = self.text.find("\n", span.start)
        return self.text[first:] if last < 0 else self.text[first:last]

    def excerpt(self, span: Span) -> str:
        """Show the line of `span` with carets below it, cut around the caret if it is long."""
        line = self.line_text(span).rstrip("\r")
        column = min(span.column - 1, len(line))
        width = max(1, min(span.end - span.start, len(line) - column))
        shift = max(0, column - EXCERPT_CHARACTERS_MAX // 2)
        shown = line[shift : shift + EXCERPT_CHARACTERS_MAX]
        lead = "".join(_TAB if c == _TAB else " " for c in line[shift:column])
        carets = "^" * min(width, EXCERPT_CHARACTERS_MAX - (column - shift))
        return f"{shown}\n{lead}{carets}"
