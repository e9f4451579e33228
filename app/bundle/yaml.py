"""YAML as flows and bundles may use it: plain data with positions, none of the dangerous parts.

In: a text. Out: a `Document` of dicts, lists, text, numbers, booleans and null, by the YAML 1.2
core schema. Refuses aliases, anchors, tags, duplicate keys, second documents, deep nesting and
large files, each with line, column and what to do instead. Iterative: no input recurses.
"""

from collections.abc import Iterator
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from app.bundle.document import Document, Path, Place, Position, excerpt_of
from app.bundle.problems import Problem
from app.bundle.scalars import PlainValue, ScalarError, resolve_plain
from app.bundle.yaml_advice import Advice, advise, quote_it

FILE_BYTES_MAX: Final = 1024 * 1024
DEPTH_MAX: Final = 32
VALUES_MAX: Final = 20_000
"""Values in one file. A megabyte of one-letter values would keep the parser busy for seconds."""
PROBLEMS_MAX: Final = 100
"""Nobody reads more at once, and a hostile file must not fill the memory with them."""


def read_yaml(text: str, file: str) -> Document:
    """Read a text. Never raises for what is in it: the document carries the problems.

    With problems the data is incomplete and must not be used for more than finding further ones.
    """
    builder = _Builder(text, file)
    if len(text.encode("utf-8", "surrogatepass")) > FILE_BYTES_MAX:
        builder.report((1, 1), "yaml.too_large", f"the file is larger than {FILE_BYTES_MAX} bytes")
    else:
        builder.build()
    return Document(file, text, builder.data, builder.places, tuple(builder.problems))


class _GaveUpError(Exception):
    """The rest of the text cannot be understood; the reason has been reported."""


class _Frame:
    """An open list or map."""

    __slots__ = ("container", "key", "key_position", "path")

    def __init__(self, container: dict[str, Any] | list[Any], path: Path) -> None:
        self.container = container
        self.path = path
        self.key: str | None = None
        self.key_position: Position | None = None

    @property
    def expects_key(self) -> bool:
        return isinstance(self.container, dict) and self.key is None

    def next_path(self) -> Path:
        if isinstance(self.container, list):
            return (*self.path, len(self.container))
        return (*self.path, self.key or "")

    def add(self, value: Any) -> None:
        if isinstance(self.container, list):
            self.container.append(value)
        elif self.key is not None:
            self.container[self.key] = value
            self.key = self.key_position = None


class _Builder:
    """Turns the parser's events into data, keeping what is open on a list instead of the stack."""

    __slots__ = ("_documents", "_file", "_frames", "_text", "_values", "data", "places", "problems")

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._frames: list[_Frame] = []
        self._documents = 0
        self._values = 0
        self.data: Any = None
        self.places: dict[Path, Place] = {}
        self.problems: list[Problem] = []

    def build(self) -> None:
        """Read the whole text, or as much of it as can be understood."""
        try:
            for event in _events(self._text):
                self._take(event)
        except _GaveUpError:
            pass
        except YAMLError as error:
            self._report_syntax(error)

    def report(
        self, position: Position, code: str, message: str, *, hint: str | None = None
    ) -> None:
        """Note a problem."""
        excerpt = excerpt_of(self._text, *position)
        path = self._frames[-1].next_path() if self._frames else ()
        self.problems.append(
            Problem("error", code, message, self._file, *position, hint, excerpt, path)
        )
        if len(self.problems) >= PROBLEMS_MAX:
            raise _GaveUpError

    def _report_syntax(self, error: YAMLError) -> None:
        advice = _advice(error, self._text)
        if not any(problem.line == advice.position[0] for problem in self.problems):
            try:
                self.report(advice.position, "yaml.syntax", advice.message, hint=advice.hint)
            except _GaveUpError:
                return

    def _take(self, event: Any) -> None:
        position = _position(event)
        match event:
            case DocumentStartEvent():
                self._begin_document(position)
            case MappingEndEvent() | SequenceEndEvent():
                self._frames.pop()
            case AliasEvent():
                message = "aliases (*) are not allowed"
                self.report(position, "yaml.alias", message, hint=self._alias_hint(position))
                self._take_scalar(None, position, "", None)
            case ScalarEvent():
                self._refuse_decorations(event, position)
                self._take_scalar_event(event, position)
            case MappingStartEvent():
                self._refuse_decorations(event, position)
                self._open({}, position)
            case SequenceStartEvent():
                self._refuse_decorations(event, position)
                self._open([], position)

    def _begin_document(self, position: Position) -> None:
        self._documents += 1
        if self._documents > 1:
            self.report(position, "yaml.documents", "a second document (---) is not allowed")
            raise _GaveUpError

    def _refuse_decorations(self, event: Any, position: Position) -> None:
        if event.anchor is not None:
            self.report(position, "yaml.anchor", "anchors (&) are not allowed")
        if event.ctag is not None and str(event.ctag) not in ("", "None"):
            hint = "remove it, or quote the value if it is text"
            self.report(position, "yaml.tag", f"tags ({event.ctag}) are not allowed", hint=hint)

    def _take_scalar_event(self, event: ScalarEvent, position: Position) -> None:
        style = event.style or ""
        if self._frames and self._frames[-1].expects_key:
            self._take_key(event.value, position)
            return
        value: PlainValue = event.value
        if not style:
            try:
                value = resolve_plain(event.value)
            except ScalarError as error:
                hint = "quote it if it is text"
                self.report(position, "yaml.number", str(error), hint=hint)
        self._take_scalar(value, position, style, event.value)

    def _take_key(self, key: str, position: Position) -> None:
        """Keys are the text as written: ``on``, ``1`` and ``null`` are names like any other."""
        frame = self._frames[-1]
        frame.key, frame.key_position = key, position
        if key in frame.container:
            place = self.places[(*frame.path, key)]
            first = (place.key or place.value)[0]
            message = f"the key {_shown(key)} stands here twice, first on line {first}"
            self.report(position, "yaml.duplicate_key", message, hint="remove one of them")
        elif key == "<<":
            self.report(position, "yaml.merge", "merge keys (<<) are not allowed")

    def _take_scalar(
        self, value: PlainValue, position: Position, style: str, raw: str | None
    ) -> None:
        if self._frames and self._frames[-1].expects_key:
            raise _GaveUpError
        self._place(value, Place(position, self._key_position(), style=style, raw=raw))

    def _open(self, container: dict[str, Any] | list[Any], position: Position) -> None:
        if self._frames and self._frames[-1].expects_key:
            hint = 'quote a template: "{{ … }}"' if self._is_template_at(position) else None
            message = "a list or a map cannot be a key"
            self.report(position, "yaml.key", message, hint=hint)
            raise _GaveUpError
        if len(self._frames) >= DEPTH_MAX:
            message = f"lists and maps are nested deeper than {DEPTH_MAX} levels"
            self.report(position, "yaml.depth", message)
            raise _GaveUpError
        path = self._frames[-1].next_path() if self._frames else ()
        self._place(container, Place(position, self._key_position(), is_scalar=False))
        self._frames.append(_Frame(container, path))

    def _place(self, value: Any, place: Place) -> None:
        self._values += 1
        if self._values > VALUES_MAX:
            message = f"the file has more than {VALUES_MAX} values"
            self.report(place.value, "yaml.too_large", message)
            raise _GaveUpError
        if self._frames:
            self.places[self._frames[-1].next_path()] = place
            self._frames[-1].add(value)
        else:
            self.places[()] = place
            self.data = value

    def _alias_hint(self, position: Position) -> str:
        """Most aliases are no aliases, but an unquoted ``*/5 * * * *``."""
        line, column = position
        value = self._text.split("\n")[line - 1][column - 1 :]
        return f"write the value out; if it is text, {quote_it(value)}"

    def _key_position(self) -> Position | None:
        return self._frames[-1].key_position if self._frames else None

    def _is_template_at(self, position: Position) -> bool:
        line = self._text.split("\n")[position[0] - 1]
        return "{{" in line[max(0, position[1] - 2) :]


def _events(text: str) -> Iterator[Any]:
    """Give the parser's events; the pure one, since it is the one whose marks are exact."""
    events: Iterator[Any] = YAML(typ="safe", pure=True).parse(text)
    return events


def _position(event: Any) -> Position:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1)


def _advice(error: YAMLError, text: str) -> Advice:
    if isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        column = error.position - (text.rfind("\n", 0, error.position) + 1) + 1
        return Advice((line, column), "the file has a control character that YAML does not allow")
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        return advise(error, text)
    return Advice((1, 1), "the file is no YAML")


def _shown(key: str) -> str:
    return repr(key if len(key) <= 40 else key[:40] + "…")  # noqa: PLR2004 - as much as one reads
