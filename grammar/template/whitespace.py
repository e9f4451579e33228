"""White space control. In: a syntax tree as parsed. Out: the same tree, its texts trimmed.

Handlebars' own rules: a `~` takes all white space on its side up to the next tag, and a block
tag, comment or partial that stands alone on its line takes the line with it. Which texts count
as a line's edge is judged by the source, never by what was trimmed before. Refuses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from grammar.template_syntax import (
    Block,
    Comment,
    Output,
    Partial,
    Program,
    Statement,
    Text,
)

WHITE: Final = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What JavaScript's white space is; Python's differs in a few control characters."""
_BLANKS: Final = " \t"


@dataclass(slots=True)
class _Cell:
    """A text while it is trimmed. Each side loses its line's blanks at most once."""

    original: str
    value: str
    is_trimmed_left: bool = False
    is_trimmed_right: bool = False

    def trim_start(self, *, is_whole: bool = False) -> None:
        """Drop white space from the start: all, or the rest of the line with its end."""
        if self.is_trimmed_left and not is_whole:
            return
        before = self.value
        if is_whole:
            self.value = before.lstrip(WHITE)
        else:
            rest = before.lstrip(_BLANKS)
            self.value = rest.removeprefix("\r\n" if rest.startswith("\r\n") else "\n")
        self.is_trimmed_left = self.value != before

    def trim_end(self, *, is_whole: bool = False) -> bool:
        """Drop white space from the end: all, or the blanks of the last line. Tell if any."""
        if self.is_trimmed_right and not is_whole:
            return False
        before = self.value
        self.value = before.rstrip(WHITE if is_whole else _BLANKS)
        self.is_trimmed_right = self.value != before
        return self.is_trimmed_right


@dataclass(slots=True)
class _Fork:
    """A block while its bodies are trimmed."""

    node: Block
    body: _Draft | None
    otherwise: _Draft | None


@dataclass(slots=True)
class _Draft:
    """A program while it is trimmed."""

    items: list[_Item]
    is_chained: bool


_Item: TypeAlias = _Cell | _Fork | Output | Partial | Comment


def trim(program: Program) -> Program:
    """Return the program with all white space rules applied and its comments gone."""
    draft = _open(program)
    _trim_items(draft.items, is_root=True)
    return _close(draft)


def _open(program: Program) -> _Draft:
    return _Draft([_item(node) for node in program.statements], program.is_chained)


def _item(node: Statement) -> _Item:
    if isinstance(node, Text):
        return _Cell(node.value, node.value)
    if isinstance(node, Block):
        bodies = (node.body, node.otherwise)
        body, otherwise = (None if part is None else _open(part) for part in bodies)
        return _Fork(node, body, otherwise)
    return node


def _close(draft: _Draft) -> Program:
    statements: list[Statement] = []
    for item in draft.items:
        if isinstance(item, _Cell):
            if item.value:
                statements.append(Text(item.value))
        elif isinstance(item, _Fork):
            body = None if item.body is None else _close(item.body)
            otherwise = None if item.otherwise is None else _close(item.otherwise)
            statements.append(replace(item.node, body=body, otherwise=otherwise))
        elif not isinstance(item, Comment):
            statements.append(item)
    return Program(tuple(statements), draft.is_chained)


def _trim_items(items: list[_Item], *, is_root: bool) -> None:
    for index, item in enumerate(items):
        if isinstance(item, _Fork):
            _trim_fork(items, index, item, is_root=is_root)
        elif not isinstance(item, _Cell):
            _trim_around(items, index, before=item.strip.before, after=item.strip.after)
            if not isinstance(item, Output):
                _trim_line(items, index, is_root=is_root)


def _trim_around(items: list[_Item], index: int, *, before: bool, after: bool) -> None:
    right, left = _at(items, index + 1), _at(items, index - 1)
    if after and right is not None:
        right.trim_start(is_whole=True)
    if before and left is not None:
        left.trim_end(is_whole=True)


def _trim_line(items: list[_Item], index: int, *, is_root: bool) -> None:
    """Take the line of a comment or partial that stands alone; a partial keeps its indent."""
    if not (
        _ends_line(items, index, is_root=is_root) and _starts_line(items, index, is_root=is_root)
    ):
        return
    right, left = _at(items, index + 1), _at(items, index - 1)
    if right is not None:
        right.trim_start()
    if left is not None and left.trim_end():
        item = items[index]
        if isinstance(item, Partial):
            blanks = len(left.original) - len(left.original.rstrip(_BLANKS))
            items[index] = replace(item, indent=left.original[-blanks:])


def _trim_fork(items: list[_Item], index: int, fork: _Fork, *, is_root: bool) -> None:
    for part in (fork.body, fork.otherwise):
        if part is not None:
            _trim_items(part.items, is_root=False)
    first, last = _trim_branches(fork)
    opens_alone = _starts_line(first, -1) and _ends_line(items, index, is_root=is_root)
    second = _first_otherwise(fork)
    closing = first if second is None else second
    closes_alone = _ends_line(closing, len(closing)) and _starts_line(items, index, is_root=is_root)
    strips = fork.node
    _trim_around(items, index, before=strips.open_strip.before, after=strips.close_strip.after)
    left, right = _at(items, index - 1), _at(items, index + 1)
    if opens_alone:
        _start(first)
        if left is not None:
            left.trim_end()
    if closes_alone:
        if right is not None:
            right.trim_start()
        _end(last)


def _trim_branches(fork: _Fork) -> tuple[list[_Item], list[_Item]]:
    """Trim inside a block, at its opening, `{{else}}` and closing tags.

    Returns the items of its first and of its last branch.
    """
    node = fork.node
    first = _items(fork.body or fork.otherwise)
    second = _first_otherwise(fork)
    if node.open_strip.after:
        _start(first, is_whole=True)
    if second is None:
        if node.close_strip.before:
            _end(first, is_whole=True)
        return first, first
    if node.else_strip.before:
        _end(first, is_whole=True)
    if node.else_strip.after:
        _start(second, is_whole=True)
    if node.close_strip.before:
        _end(second, is_whole=True)
    if _ends_line(first, len(first)) and _starts_line(second, -1):
        _end(first)
        _start(second)
    return first, _items(fork.otherwise)


def _first_otherwise(fork: _Fork) -> list[_Item] | None:
    """Return the items behind the first `{{else}}`, those of the linked block if it is a chain."""
    if fork.body is None or fork.otherwise is None:
        return None
    items = fork.otherwise.items
    link = items[0] if fork.otherwise.is_chained else None
    return _items(link.body) if isinstance(link, _Fork) else items


def _items(draft: _Draft | None) -> list[_Item]:
    return [] if draft is None else draft.items


def _at(items: list[_Item], index: int) -> _Cell | None:
    item = items[index] if 0 <= index < len(items) else None
    return item if isinstance(item, _Cell) else None


def _start(items: list[_Item], *, is_whole: bool = False) -> None:
    cell = _at(items, 0)
    if cell is not None:
        cell.trim_start(is_whole=is_whole)


def _end(items: list[_Item], *, is_whole: bool = False) -> None:
    cell = _at(items, len(items) - 1)
    if cell is not None:
        cell.trim_end(is_whole=is_whole)


def _ends_line(items: list[_Item], index: int, *, is_root: bool = False) -> bool:
    """Tell whether only white space stands between `items[index]` and its line's start."""
    if index == 0:
        return is_root
    cell = _at(items, index - 1)
    if cell is None:
        return False
    white = cell.original[len(cell.original.rstrip(WHITE)) :]
    return "\n" in white or (is_root and index == 1 and white == cell.original)


def _starts_line(items: list[_Item], index: int, *, is_root: bool = False) -> bool:
    """Tell whether only white space stands between `items[index]` and its line's end."""
    if index + 1 == len(items):
        return is_root
    cell = _at(items, index + 1)
    if cell is None:
        return False
    white = cell.original[: len(cell.original) - len(cell.original.lstrip(WHITE))]
    is_edge = is_root and index + 2 == len(items)
    return "\n" in white or (is_edge and white == cell.original)
