"""Programs: texts compiled once, run often. In: source texts, scopes. Out: JSON-like data.

Refuses, when compiling: what is not in the language (FlowSyntaxError, FlowCheckError). When
running: errors of the script (EvaluationError) and limits (BudgetExceededError). Exceptions of
the host, raised by its maps and scopes, pass through untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from grammar.budget import DEFAULT_LIMITS, Budget, Limits
from grammar.compiler.code import CompiledText, compile_tree
from grammar.compiler.state import Unit
from grammar.dialect import Dialect
from grammar.errors import Diagnostic, EvaluationError, FlowCheckError, FlowSyntaxError
from grammar.library.catalog import library_table
from grammar.parser.script import parse_script
from grammar.resolver.check import resolve
from grammar.runtime.control import ExitRun, settle_error
from grammar.runtime.detach import detach
from grammar.runtime.faults import add_hint, mismatch, too_many_calls
from grammar.runtime.linked import LINKED
from grammar.runtime.locate import frames_of
from grammar.runtime.unit import RuntimeUnit
from grammar.span import SourceText, Span
from grammar.syntax import Script


@dataclass(frozen=True, slots=True)
class Mode:
    """How a text is read, and what it must give."""

    dialect: Dialect
    is_expression: bool = False
    is_condition: bool = False
    rewrite: Callable[[Script], Script] | None = None
    """Applied to the tree before it is resolved: a dialogue adds its variables here."""


SCRIPT: Final = Mode(Dialect.SCRIPT)
CONDITION: Final = Mode(Dialect.CONDITION, is_expression=True, is_condition=True)


@dataclass(frozen=True, slots=True)
class _Part:
    """One shared text, compiled but not loaded: each library loads its own copy."""

    place: SourceText
    text: CompiledText
    places: Mapping[tuple[str, int], Span]


@dataclass(frozen=True, slots=True)
class FunctionLibrary:
    """Functions of shared texts, for `compile_script`. Immutable: `merge` gives a new one."""

    parts: tuple[_Part, ...] = ()
    functions: Mapping[tuple[str, int], Callable[..., Any]] = field(default_factory=dict)

    @property
    def mutates_this(self) -> bool:
        """Whether any of the functions may change what it is called on."""
        return any(part.text.mutates_this for part in self.parts)

    def merge(self, *others: FunctionLibrary) -> FunctionLibrary:
        """Join libraries, whose functions may then call each other.

        Raises FlowCheckError, naming both places, when two define the same function.
        """
        return _linked((*self.parts, *(part for other in others for part in other.parts)))


def _linked(parts: tuple[_Part, ...]) -> FunctionLibrary:
    table = library_table(Dialect.SCRIPT)
    known: dict[tuple[str, int], tuple[SourceText, Span]] = {}
    functions: dict[tuple[str, int], Callable[..., Any]] = {}
    units: list[RuntimeUnit] = []
    for part in parts:
        for key, span in part.places.items():
            if key in known:
                raise _twice(key, known[key], (part.place, span))
            known[key] = (part.place, span)
        unit = _load(part.place, part.text, table, None, Dialect.SCRIPT)
        functions.update(unit.functions)
        units.append(unit)
    for unit in units:
        unit.functions = functions
    return FunctionLibrary(parts, functions)


def _twice(
    key: tuple[str, int], first: tuple[SourceText, Span], second: tuple[SourceText, Span]
) -> FlowCheckError:
    (here, span), (there, other) = second, first
    message = (
        f"Function {key[0]} with {key[1]} parameter(s) is defined twice: "
        f"{there.name}:{other.line}:{other.column} and {here.name}:{span.line}:{span.column}"
    )
    return FlowCheckError((Diagnostic("parse", message, span),), source=here)


class Program:
    """A compiled script or condition. Immutable, and safe to run from many tasks at once."""

    __slots__ = (
        "_cost", "_entry", "_is_condition", "_is_light", "_is_plain", "_limits", "_unit",
        "_variables", "name", "names", "source",
    )  # fmt: skip

    def __init__(
        self, unit: RuntimeUnit, text: CompiledText, entry: Callable[..., Any], *,
        limits: Limits, is_condition: bool,
    ) -> None:  # fmt: skip
        self.name = unit.source.name
        self.source = unit.source
        self.names = text.names
        self._unit = unit
        self._entry = entry
        self._limits = limits
        self._cost = text.cost
        self._is_condition = is_condition
        self._is_plain = text.is_plain
        self._variables = text.variables
        cap = limits.operations
        self._is_light = not text.uses_budget and (cap is None or text.cost <= cap)

    def run(self, scope: Mapping[str, Any], budget: Budget | None = None) -> Any:
        """Run once. Raises EvaluationError with the place and kind of what went wrong."""
        try:
            if budget is None:
                if self._is_light and self._is_condition:
                    value = self._entry(None, scope)
                    if value is True or value is False:
                        return value
                budget = Budget(self._limits)
            if self._is_light:
                budget.charge(self._cost)
            return self._result(self._entry(budget, scope), budget)
        except ExitRun as ending:
            self_budget = budget or Budget(self._limits)
            value = ending.value
            return self._result(
                value if self._is_condition else detach(self_budget, value), self_budget
            )
        except Exception as error:  # noqa: BLE001 - the edge of a run
            raise self._explain(error) from None

    def evaluate(self, scope: Mapping[str, Any], budget: Budget) -> Any:
        """Run once and give the value itself, functions and ranges included."""
        try:
            if self._is_light:
                budget.charge(self._cost)
            return self._entry(budget, scope)
        except ExitRun as ending:
            return ending.value
        except Exception as error:  # noqa: BLE001 - the edge of a run
            raise self._explain(error) from None

    def _result(self, value: Any, budget: Budget) -> Any:
        if not self._is_condition:
            return value if self._is_plain else detach(budget, value)
        if value is None or value is False:
            return False
        if value is True:
            return True
        raise mismatch(value, "bool")

    def _explain(self, error: Exception) -> Exception:
        """Give an error its place; the host's own exceptions are given back as they are."""
        settled = settle_error(error)
        if isinstance(error, RecursionError):
            settled = too_many_calls(self._limits.call_levels)
        if settled is None:
            return error
        frames = frames_of(error)
        if frames:
            settled.locate(frames[-1].span, frames[-1].unit.source)
            names = [frame.function for frame in reversed(frames[1:]) if frame.function is not None]
            settled.functions = settled.functions or tuple(names)
        if settled.span is None:
            settled.locate(Span(0, 0, 1, 1), self.source)
        add_hint(settled, self._known(settled))
        return settled

    def _known(self, error: EvaluationError) -> Iterable[str]:
        if error.kind == "variable_not_found":
            return self._variables
        return (name for name, _ in self._unit.functions)


def compile_script(
    source: str, *, name: str = "<script>", library: FunctionLibrary | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Program:  # fmt: skip
    """Compile a script. Raises FlowSyntaxError, FlowCheckError."""
    return compile_text(source, name=name, library=library, limits=limits, mode=SCRIPT)


def compile_condition(
    source: str, *, name: str = "<condition>", library: FunctionLibrary | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Program:  # fmt: skip
    """Compile a condition: one expression, whose result must be a bool or unit (false)."""
    return compile_text(source, name=name, library=library, limits=limits, mode=CONDITION)


def compile_functions(
    source: str, *, name: str, limits: Limits = DEFAULT_LIMITS
) -> FunctionLibrary:
    """Compile a shared text: function definitions only. Raises as `compile_script`."""
    place, text, _ = _compiled(source, name, None, limits, SCRIPT)
    if text.tree_statements:
        raise FlowSyntaxError(
            "Only function definitions may stand in a shared text",
            span=text.tree_statements[0], source=place, hint="wrap it in `fn name() { … }`",
        )  # fmt: skip
    return _linked((_Part(place, text.compiled, text.places),))


def compile_text(
    source: str, *, name: str, library: FunctionLibrary | None, limits: Limits, mode: Mode
) -> Program:
    """Compile a text in any mode; the front door has a verb for each use."""
    place, text, table = _compiled(source, name, library, limits, mode)
    unit = _load(place, text.compiled, table, library, mode.dialect)
    assert unit.entry is not None  # noqa: S101 - loading sets it
    return Program(unit, text.compiled, unit.entry, limits=limits, is_condition=mode.is_condition)


@dataclass(frozen=True, slots=True)
class _Text:
    compiled: CompiledText
    tree_statements: tuple[Span, ...]
    places: Mapping[tuple[str, int], Span]


def _compiled(
    source: str, name: str, library: FunctionLibrary | None, limits: Limits,
    mode: Mode,
) -> tuple[SourceText, _Text, Any]:  # fmt: skip
    place = SourceText(name, source)
    _check_source(place, limits)
    dialect = mode.dialect
    table = library_table(dialect)
    tree = parse_script(place, dialect)
    if mode.rewrite is not None:
        tree = mode.rewrite(tree)
    found = resolve(
        tree, place, limits=limits, dialect=dialect, mutators=table.mutators,
        is_expression=mode.is_expression,
    )  # fmt: skip
    found.mutates_this = found.mutates_this or (library is not None and library.mutates_this)
    unit = Unit(found, dialect, table.mutators)
    if library is not None:
        unit.found.function_names |= {key[0] for key in library.functions}
    compiled = compile_tree(tree, place, unit)
    spans = tuple(item.span for item in tree.statements)
    places = {key: node.span for key, node in found.functions.items()}
    return place, _Text(compiled, spans, places), table


def _check_source(place: SourceText, limits: Limits) -> None:
    try:
        size = len(place.text.encode())
    except UnicodeEncodeError as fault:
        span = place.span(fault.start, fault.end)
        raise FlowSyntaxError("Not a Unicode text", span=span, source=place) from None
    if size > limits.source_bytes:
        raise FlowSyntaxError(
            f"The text is too long: the limit is {limits.source_bytes} bytes",
            span=Span(0, 0, 1, 1), source=place,
        )  # fmt: skip


def _load(
    place: SourceText, text: CompiledText, table: Any, library: FunctionLibrary | None,
    dialect: Dialect,
) -> RuntimeUnit:  # fmt: skip
    names = text.names
    unit = RuntimeUnit(place, text.spans, names, text.function_names, table, dialect)
    space: dict[str, Any] = {"__builtins__": {}, **LINKED, **text.constants, "U": unit}
    exec(text.code, space)  # noqa: S102 - code built from our own nodes, without builtins
    unit.entry = space["f0"]
    if library is not None:
        unit.functions.update(library.functions)
    for key, code_name in text.functions.items():
        unit.functions[key] = space[code_name]
    return unit
