"""The syntax of templates: frozen nodes, no behaviour.

In: what `grammar.parser.template` read. Out: what `grammar.template` trims, checks and compiles.
It stands outside that package because the parser builds these nodes and must not import the
room that calls it. Refuses nothing: the parser and the checker do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from grammar.span import Span


@dataclass(frozen=True, slots=True)
class Strip:
    """The two `~` of a tag: white space goes before it (`before`) and after it (`after`)."""

    before: bool = False
    after: bool = False


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, number, boolean, null or undefined (both None). `original` is its key form."""

    value: str | int | float | bool | None
    original: str
    span: Span


@dataclass(frozen=True, slots=True)
class Path:
    """A read: `up` contexts outwards, then one key after the other. No keys: the context itself.

    `is_data` marks `@name`; `is_scoped` marks `this.x`, `./x` and `../x`, which are never helpers.
    """

    keys: tuple[str, ...]
    up: int
    is_data: bool
    is_scoped: bool
    original: str
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """A head with its arguments: `truncate name 20 suffix="…"`; without any, often just a path.

    `height` counts the calls nested in it, itself included.
    """

    head: Expression
    params: tuple[Expression, ...]
    hash: tuple[tuple[str, Expression], ...]
    span: Span
    height: int


Expression: TypeAlias = Literal | Path | Call


@dataclass(frozen=True, slots=True)
class Text:
    """Text as it stands in the source."""

    value: str


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment; it renders as nothing but can stand alone on a line."""

    strip: Strip


@dataclass(frozen=True, slots=True)
class Output:
    """A tag that renders a value: `{{x}}`, or unescaped `{{{x}}}` and `{{&x}}`."""

    call: Call
    is_escaped: bool
    strip: Strip


@dataclass(frozen=True, slots=True)
class Partial:
    """`{{> name context key=value}}`; `indent` is put before each of its lines."""

    call: Call
    strip: Strip
    indent: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """`{{#head …}}body{{else}}otherwise{{/head}}`; `{{^head}}` comes with the two swapped.

    `height` counts the blocks nested in it, itself included.
    """

    call: Call
    names: tuple[str, ...]
    body: Program | None
    otherwise: Program | None
    open_strip: Strip
    else_strip: Strip
    close_strip: Strip
    height: int


Statement: TypeAlias = Text | Comment | Output | Partial | Block


@dataclass(frozen=True, slots=True)
class Program:
    """A run of statements. `is_chained` marks the one-block body that `{{else if …}}` makes."""

    statements: tuple[Statement, ...]
    is_chained: bool = False
