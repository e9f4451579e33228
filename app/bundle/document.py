"""A document that remembers where each of its parts stands in the text.

In: plain data and the places of its parts. Out: positions for paths, and problems that show them.
An unknown path is answered with its nearest known ancestor, so that a missing key has a place too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from app.bundle.problems import Problem, Severity

Path = tuple[str | int, ...]
Position = tuple[int, int]

EXCERPT_CHARS_MAX: Final = 160


@dataclass(frozen=True, slots=True)
class Place:
    """Where one value stands. Lines and columns count from 1."""

    value: Position
    key: Position | None = None
    """Where its key stands; None in a list and for the document itself."""
    is_scalar: bool = True
    style: str = ""
    """Empty for plain, else the character that opens the scalar: a quote, ``|`` or ``>``."""
    raw: str | None = None
    """The scalar's text before it was read as a number, a boolean or null."""


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data (dicts, lists, text, numbers) with the places of its parts."""

    file: str
    text: str = field(repr=False)
    data: Any = None
    places: Mapping[Path, Place] = field(default_factory=dict, repr=False)
    problems: tuple[Problem, ...] = ()

    def position_of(self, path: Path, *, of: Literal["auto", "key", "value"] = "auto") -> Position:
        """Give line and column of a path, or of its nearest known ancestor.

        ``auto`` points at a scalar's value, and at the key of a list or a map.
        """
        for length in range(len(path), -1, -1):
            place = self.places.get(path[:length])
            if place is not None:
                return _pick(place, of if length == len(path) else "auto")
        return (1, 1)

    def raw_of(self, path: Path) -> str | None:
        """Give a scalar's text as written: ``1.10``, which as a number would be 1.1."""
        place = self.places.get(path)
        return None if place is None else place.raw

    def position_within(self, path: Path, line: int, column: int) -> Position:
        """Give the place in the file of a place inside a text value, as a script error names it.

        Exact for ``|`` blocks and for scalars on one line without escapes; for the rest the start
        of the value.
        """
        place = self.places.get(path)
        if place is None:
            return self.position_of(path)
        first_line, first_column = place.value
        if place.style == "|":
            return (first_line + line, self._block_indent(first_line) + column)
        if line == 1 and place.style != ">":
            return (first_line, first_column + len(place.style) + column - 1)
        return place.value

    def problem(
        self,
        path: Path,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        severity: Severity = "error",
        of: Literal["auto", "key", "value"] = "auto",
    ) -> Problem:
        """Make a problem of a path of this document."""
        line, column = self.position_of(path, of=of)
        return Problem(
            severity,
            code,
            message,
            self.file,
            line,
            column,
            hint,
            excerpt_of(self.text, line, column),
            path,
        )

    def _block_indent(self, header_line: int) -> int:
        """Columns before the text of a block scalar: those of its first line that is not blank."""
        for line in self.text.split("\n")[header_line:]:
            if line.strip():
                return len(line) - len(line.lstrip(" "))
        return 0


def excerpt_of(text: str, line: int, column: int) -> str | None:
    """Show a line with a caret below one of its columns; None where there is no such line."""
    lines = text.split("\n")
    if not 0 < line <= len(lines) or not lines[line - 1].strip():
        return None
    shown = lines[line - 1].rstrip("\r")
    start = max(0, column - 1 - EXCERPT_CHARS_MAX // 2)
    cut = shown[start : start + EXCERPT_CHARS_MAX]
    lead = "".join("\t" if char == "\t" else " " for char in shown[start : column - 1])
    return f"{cut}\n{lead}^"


def _pick(place: Place, of: Literal["auto", "key", "value"]) -> Position:
    wants_key = of == "key" or (of == "auto" and not place.is_scalar)
    return place.key if wants_key and place.key is not None else place.value
