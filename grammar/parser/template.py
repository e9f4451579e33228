"""Reads templates. In: a source text. Out: the syntax tree, text untouched by white space rules.

Refuses (FlowSyntaxError, with the place): text that is not in `template.lark`, a closing tag that
is not its block's, a path with `..` or `this` after its first key, too long paths and numbers, and
deep nesting. Nesting is limited here, while nodes are built bottom-up, so that every later walk
may recurse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, NoReturn

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput, UnexpectedToken

from grammar.errors import FlowSyntaxError
from grammar.span import SourceText, Span
from grammar.template_syntax import (
    Block,
    Call,
    Comment,
    Expression,
    Literal,
    Output,
    Partial,
    Path,
    Program,
    Statement,
    Strip,
    Text,
)

NESTING_MAX: Final = 48
"""Blocks inside blocks (an `{{else if}}` counts as one), and calls inside calls."""

PATH_PARTS_MAX: Final = 64
"""Keys and `..` of one path: as deep as data may be."""
NUMBER_CHARACTERS_MAX: Final = 64

_KEY_ESCAPE: Final = re.compile(r"\\([\\\]])")
_TAG_NAMES: Final = {
    "ELSE": "`{{else}}`",
    "OPEN_ELSE": "`{{else …}}`",
    "OPEN_END": "a closing tag",
    "CLOSE": "end of the tag",
    "CLOSE_RAW": "`}}}`",
}
_CONTEXTS: Final = frozenset({"..", ".", "this"})
_TEXTS: Final = frozenset({"TEXT", "SLASHED", "ESCAPED"})
_NO_BLOCK: Final = frozenset({"ELSE", "OPEN_ELSE", "OPEN_END"})


def parse_template(source: SourceText) -> Program:
    """Parse a template. Raises FlowSyntaxError with the span of the first fault."""
    try:
        tree: Program = _parser().parse(source.text)  # type: ignore[assignment]
    except UnexpectedInput as fault:
        raise _explain(fault, source) from None
    except FlowSyntaxError as fault:
        fault.source = source
        raise
    return tree


@cache
def _parser() -> Lark:
    return Lark.open(
        "template.lark",
        rel_to=__file__,
        parser="lalr",
        lexer="contextual",
        maybe_placeholders=False,
        propagate_positions=False,
        transformer=_Builder(),
    )


def _explain(fault: UnexpectedInput, source: SourceText) -> FlowSyntaxError:
    """Turn the parser's refusal into words: what stands there, and what to do."""
    start: int | None = fault.pos_in_stream
    if start is None or _is_end(fault):
        start = len(source.text)
    rest = source.text[start : start + 5]
    hint = None
    if isinstance(fault, UnexpectedToken) and fault.token.type in _NO_BLOCK:
        message = f"{_TAG_NAMES[fault.token.type]} has no open block here"
    elif "}}" not in source.text[start:] and not rest.startswith("{{"):
        message, hint = "The text ends inside a tag or block", "close it with `}}` or `{{/name}}`"
    elif rest.startswith(("{{#>", "{{#*", "{{*", "{{{{")):
        message = "Partial blocks, decorators and raw blocks are not supported"
        hint = r"write `\{{` for literal braces, `{{> name}}` for a partial"
    elif rest.startswith("{{!"):
        message, hint = "The comment does not end", "close it with `}}`, or `--}}` after `{{!--`"
    else:
        message = f"Unexpected {_shown(fault, rest)}"
    return FlowSyntaxError(message, span=source.span(start, start + 1), source=source, hint=hint)


def _is_end(fault: UnexpectedInput) -> bool:
    return isinstance(fault, UnexpectedToken) and fault.token.type == "$END"


def _shown(fault: UnexpectedInput, rest: str) -> str:
    """Name what stands there: a token of tags by its name or text, else one character."""
    if isinstance(fault, UnexpectedToken) and fault.token.type not in _TEXTS:
        return _TAG_NAMES.get(fault.token.type, f"`{str(fault.token).strip()}`")
    return _TAG_NAMES["CLOSE"] if rest.startswith(("}}", "~}}")) else f"`{rest[:1]}`"


def _span(token: Token) -> Span:
    start = token.start_pos or 0
    return Span(start, start + len(token), token.line or 1, token.column or 1)


def _refuse(message: str, span: Span, hint: str | None = None) -> NoReturn:
    raise FlowSyntaxError(message, span=span, hint=hint)


def _strip(opening: Token, closing: Token) -> Strip:
    return Strip(before=opening[2:3] == "~", after=closing[-3:-2] == "~")


def _height(items: tuple[Block | Call, ...], span: Span) -> int:
    height = 1 + max((item.height for item in items), default=0)
    if height > NESTING_MAX:
        _refuse(f"Nested too deeply: the limit is {NESTING_MAX}", span)
    return height


@dataclass(frozen=True, slots=True)
class _Else:
    """What follows a block's body: the strip of its `{{else}}` and the program behind it."""

    strip: Strip
    program: Program


class _Builder(Transformer[Token, Any]):
    """Builds nodes bottom-up, one method a rule, as the parser reduces."""

    def start(self, children: list[Any]) -> Program:
        return children[0]  # type: ignore[no-any-return]

    def program(self, children: list[Statement]) -> Program:
        return Program(tuple(children))

    def text(self, children: list[Token]) -> Text:
        token = str(children[0])
        match children[0].type:
            case "ESCAPED":
                return Text(token[1:])
            case "SLASHED":
                return Text(token[:-1])
            case _:
                return Text(token)

    def comment(self, children: list[Token]) -> Comment:
        return Comment(_strip(children[0], children[0]))

    def output(self, children: list[Any]) -> Output:
        opening, call, closing = children
        if isinstance(call.head, Path) and call.head.original == "else":
            _refuse("`{{else}}` has no open block here", _span(opening).until(_span(closing)))
        is_escaped = opening.type == "OPEN" and not opening.endswith("&")
        return Output(call, is_escaped, _strip(opening, closing))

    def partial(self, children: list[Any]) -> Partial:
        opening, call, closing = children
        return Partial(call, _strip(opening, closing))

    def names(self, children: list[Token]) -> tuple[str, ...]:
        return tuple(_key(token) for token in children if token.type == "ID")

    def pair(self, children: list[Any]) -> tuple[str, Expression]:
        name, value = children
        return _key(name), value

    def call(self, children: list[Any]) -> Call:
        values = [child for child in children if not isinstance(child, Token)]
        params = tuple(value for value in values if not isinstance(value, tuple))
        pairs = tuple(value for value in values if isinstance(value, tuple))
        span = params[0].span.until(values[-1][1].span if pairs else params[-1].span)
        arguments = (*params, *(value for _, value in pairs))
        height = _height(tuple(item for item in arguments if isinstance(item, Call)), span)
        return Call(params[0], params[1:], pairs, span, height)

    def path(self, children: list[Token]) -> Path:
        return _path(children, is_data=False)

    def data(self, children: list[Token]) -> Path:
        return _path(children, is_data=True)

    def string(self, children: list[Token]) -> Literal:
        token = children[0]
        value = str(token[1:-1]).replace("\\" + token[0], token[0])
        return Literal(value, value, _span(token))

    def number(self, children: list[Token]) -> Literal:
        token = children[0]
        if len(token) > NUMBER_CHARACTERS_MAX:
            _refuse(f"Number too long: the limit is {NUMBER_CHARACTERS_MAX}", _span(token))
        value = float(token) if "." in token else int(token)
        return Literal(value, str(token), _span(token))

    def word(self, children: list[Token]) -> Literal:
        token = children[0]
        value = {"true": True, "false": False}.get(str(token))
        return Literal(value, str(token), _span(token))

    def block(self, children: list[Any]) -> Block:
        return _closed(*children)

    def inverse_block(self, children: list[Any]) -> Block:
        block = _closed(*children)
        return replace(block, body=block.otherwise, otherwise=block.body)

    def else_block(self, children: list[Any]) -> _Else:
        opening, call, names, closing, body, *after = children
        strip = _strip(opening, closing)
        # Handlebars gives a link of the chain the strip of the link after it; the block that
        # closes the chain replaces the first link's by its own.
        link = _block(call, names, body, after[0] if after else None, (strip, strip))
        return _Else(strip, Program((link,), is_chained=True))

    def plain_else(self, children: list[Any]) -> _Else:
        return _Else(_strip(children[0], children[0]), children[1])

    def close(self, children: list[Any]) -> tuple[Strip, Expression]:
        return _strip(children[0], children[-1]), children[1]


def _closed(*children: Any) -> Block:
    opening, call, names, closing, body, *after, (close_strip, close_head) = children
    if isinstance(call.head, Call):
        _refuse("A block cannot be named by a call", call.head.span)
    if call.head.original != close_head.original:
        _refuse(
            f"`{{{{/{close_head.original}}}}}` closes `{{{{#{call.head.original}}}}}`",
            close_head.span,
            f"write `{{{{/{call.head.original}}}}}`",
        )
    strips = _strip(opening, closing), close_strip
    return _block(call, names, body, after[0] if after else None, strips)


def _block(
    call: Call,
    names: tuple[str, ...],
    body: Program,
    after: _Else | None,
    strips: tuple[Strip, Strip],
) -> Block:
    otherwise = after.program if after else None
    link = otherwise.statements[0] if otherwise is not None and otherwise.is_chained else None
    if isinstance(link, Block):
        otherwise = Program((replace(link, close_strip=strips[1]),), is_chained=True)
    inner = body.statements + (otherwise.statements if otherwise else ())
    height = _height(tuple(item for item in inner if isinstance(item, Block)), call.span)
    else_strip = after.strip if after else Strip()
    return Block(call, names, body, otherwise, strips[0], else_strip, strips[1], height)


def _key(token: Token) -> str:
    """Return the name a token stands for: `[a b]` without its brackets, escapes resolved."""
    text = str(token)
    return _KEY_ESCAPE.sub(r"\1", text)[1:-1] if text.startswith("[") else text


def _path(tokens: list[Token], *, is_data: bool) -> Path:
    keys: list[str] = []
    up = 0
    original = "".join(str(token) if token.type != "ID" else _key(token) for token in tokens)
    span = _span(tokens[0]).until(_span(tokens[-1]))
    parts = [token for token in tokens if token.type == "ID"]
    if len(parts) > PATH_PARTS_MAX:
        _refuse(f"Path too long: the limit is {PATH_PARTS_MAX} keys", span)
    for part in parts:
        if part not in _CONTEXTS:
            keys.append(_key(part))
        elif keys:
            _refuse(f"Invalid path `{original}`", span, f"write `[{part}]` for a key")
        else:
            up += part == ".."
    is_scoped = not is_data and tokens[0] in _CONTEXTS
    return Path(tuple(keys), up, is_data, is_scoped, original, span)
