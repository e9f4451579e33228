"""Inputs one after the other that share variables and functions, as a prompt needs them.

In: scripts, each of them whole. Out: their values. What an input declares with `let`, `const` and
`fn` is there for the next ones; a second `fn` of one name replaces the first. An input that fails
changes nothing. Refuses what `compile_script` refuses.

Three things are different from one long script: a closure keeps the variables as they were at the
end of its input, `return` and `exit` leave the variables as they were before, and data of all
variables that an input names is counted together against the limits of data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from grammar.budget import DEFAULT_LIMITS, Budget, Limits
from grammar.dialect import Dialect
from grammar.errors import BudgetExceededError, FlowSyntaxError
from grammar.parser.script import parse_script
from grammar.parser.tokens import ScriptLexer
from grammar.program import FunctionLibrary, Mode, compile_functions, compile_text
from grammar.runtime.text import debug
from grammar.span import SourceText, Span
from grammar.syntax import (
    ArrayLiteral,
    Assign,
    Block,
    Jump,
    Let,
    Literal,
    Name,
    Script,
    Statement,
    Try,
)
from grammar.values import Function, HostMap

# No script can spell these names: they begin with a blank.
_MARK_NAME: Final = " mark"
_VALUE_NAME: Final = " value"
_MARK: Final = Function("mark", {})
_NOWHERE: Final = Span(0, 0, 1, 1)
_SHOWING: Final = Limits(operations=None, wall_ms=None, string_bytes=None, data_depth=128)

FunctionKey = tuple[str, int]


def is_unfinished(text: str) -> bool:
    """Tell whether more lines must follow: a bracket, a text or a comment is still open."""
    lexer = ScriptLexer(SourceText("<input>", text), Dialect.SCRIPT)
    try:
        for _ in lexer.tokens():
            pass
    except FlowSyntaxError:
        return lexer.is_cut
    return lexer.is_open


def show_value(value: Any) -> str:
    """Show a value as the language's `debug` does, of any size."""
    return debug(Budget(_SHOWING), value)


@dataclass(frozen=True, slots=True)
class _Source:
    """The functions of one input, blanks around them, and where each stands."""

    name: str
    text: str
    spans: Mapping[FunctionKey, Span]


class Dialogue:
    """One person's inputs. Not for two threads."""

    def __init__(
        self,
        scope: Mapping[str, Any],
        *,
        library: FunctionLibrary | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._scope = dict(scope)
        self._constants: frozenset[str] = frozenset()
        self._given = library or FunctionLibrary()
        self._library = self._given
        self._sources: tuple[_Source, ...] = ()
        self._limits = limits
        self._count = 0

    @property
    def variables(self) -> Mapping[str, Any]:
        """The scope and every variable, by name."""
        return dict(self._scope)

    @property
    def functions(self) -> tuple[FunctionKey, ...]:
        """Name and count of parameters of every function, in order."""
        return tuple(sorted(self._library.functions))

    def run(self, text: str, budget: Budget | None = None) -> Any:
        """Run one input and give its value, functions included. Raises as `Program.run` does."""
        self._count += 1
        name = f"<input {self._count}>"
        tree = parse_script(SourceText(name, text), Dialect.SCRIPT)
        sources, library = self._with_functions(name, text, tree)
        kept = [key for key in self._scope if key in text and self._is_variable(key)]
        declared = {
            item.name.name: item.is_constant for item in tree.statements if isinstance(item, Let)
        }
        names = list(dict.fromkeys([*kept, *declared]))
        mode = Mode(
            Dialect.SCRIPT, rewrite=lambda script: _framed(script, kept, names, self._constants)
        )
        program = compile_text(text, name=name, library=library, limits=self._limits, mode=mode)
        scope = {**self._scope, _MARK_NAME: _MARK}
        result = program.evaluate(scope, budget or Budget(self._limits))
        value = result
        if isinstance(result, list) and result and result[0] is _MARK:
            value = result[1]
            self._keep(dict(zip(names, result[2:], strict=True)), declared)
        self._sources, self._library = sources, library
        return value

    def _is_variable(self, name: str) -> bool:
        return not isinstance(self._scope[name], HostMap)

    def _keep(self, values: Mapping[str, Any], declared: Mapping[str, bool]) -> None:
        scope = {**self._scope, **values}
        cap = self._limits.variables
        if len(scope) > cap:
            raise BudgetExceededError(
                f"Too many variables: the limit is {cap}", kind="limit_variables"
            )
        constant = {name for name, is_constant in declared.items() if is_constant}
        self._constants = (self._constants - declared.keys()) | constant
        self._scope = scope

    def _with_functions(
        self, name: str, text: str, tree: Script
    ) -> tuple[tuple[_Source, ...], FunctionLibrary]:
        if not tree.functions:
            return self._sources, self._library
        spans = {(item.name, len(item.parameters)): item.span for item in tree.functions}
        own = _blanked(text, (item.span for item in tree.functions))
        sources = [_without(source, spans) for source in self._sources]
        kept = (*(item for item in sources if item.spans), _Source(name, own, spans))
        compiled = (
            compile_functions(item.text, name=item.name, limits=self._limits) for item in kept
        )
        return kept, self._given.merge(*compiled)


def _blanked(text: str, spans: Iterable[Span]) -> str:
    """Keep the spans where they stand, and the line ends; the rest becomes blanks."""
    pieces: list[str] = []
    at = 0
    for span in sorted(spans, key=lambda item: item.start):
        pieces += [_blank(text[at : span.start]), text[span.start : span.end]]
        at = span.end
    return "".join(pieces) + _blank(text[at:])


def _blank(text: str) -> str:
    return "".join(item if item == "\n" else " " for item in text)


def _without(source: _Source, replaced: Mapping[FunctionKey, Span]) -> _Source:
    spans = {key: span for key, span in source.spans.items() if key not in replaced}
    return _Source(source.name, _blanked(source.text, spans.values()), spans)


def _framed(
    tree: Script, kept: Iterable[str], names: Iterable[str], constants: frozenset[str]
) -> Script:
    """Declare the variables before the statements, and read them after."""
    before: list[Statement] = [
        Let(_name(name), _name(name), is_constant=name in constants, span=_NOWHERE) for name in kept
    ]
    statements = list(tree.statements)
    value: Name | Literal = Literal(None, _NOWHERE)
    last = statements[-1] if statements else None
    if last is not None and not isinstance(last, Let | Assign | Jump):
        inner = Block((last,), last.span) if isinstance(last, Try) else last
        statements[-1] = Let(_name(_VALUE_NAME), inner, is_constant=False, span=last.span)
        value = _name(_VALUE_NAME)
    after = ArrayLiteral((_name(_MARK_NAME), value, *map(_name, names)), _NOWHERE)
    return Script((*before, *statements, after), (), tree.span)


def _name(name: str) -> Name:
    return Name(name, _NOWHERE)
