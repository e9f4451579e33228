"""Templates, ready to render. In: sources, then scopes. Out: text, or a value.

Refuses what the parser, the checker and the budget refuse; a render raises EvaluationError and
BudgetExceededError (with their place) and whatever the host's own scope raises, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Literal

from grammar.budget import DEFAULT_LIMITS, Budget, Limits, utf8_bytes
from grammar.errors import (
    LIMIT_KINDS,
    MISMATCH_KINDS,
    BudgetExceededError,
    EvaluationError,
    FlowSyntaxError,
    ValueMismatchError,
)
from grammar.parser.template import parse_template
from grammar.span import SourceText, Span
from grammar.template import reading
from grammar.template.checker import Checker, Reads, Unit
from grammar.template.compiler import (
    FILE_NAME,
    MAIN,
    VALUE,
    Compiled,
    Compiler,
    helper_global,
    single_output,
)
from grammar.template.detaching import detach
from grammar.template.formatting import (
    CHARACTERS_AN_OPERATION,
    HelperFaultError,
    escape_html,
    find_special,
    to_text,
)
from grammar.template.helpers.catalog import HELPERS
from grammar.template.whitespace import trim
from grammar.template_syntax import Program, Text

TAGS_MAX: Final = 4_000
"""Tags of one source, escaped ones and comments too: compiling one takes half a millisecond."""


class Template:
    """A compiled template: immutable, and safe to render from many places at once.

    `names` are the scope's names it reads, `paths` the same as dotted paths; `reads_whole_scope`
    tells that it also uses the scope itself (`{{json this}}`, `{{lookup this key}}`).
    """

    __slots__ = (
        "_compiled",
        "_is_escaped",
        "_limits",
        "_render",
        "_value",
        "is_constant",
        "name",
        "names",
        "paths",
        "reads_whole_scope",
        "source",
    )

    def __init__(
        self, unit: Unit, compiled: Compiled, reads: Reads, *, limits: Limits, is_html: bool
    ) -> None:
        functions = _load(compiled)
        single = single_output(unit.program)
        self._compiled = compiled
        self._limits = limits
        self._render: Callable[..., list[str]] = functions[MAIN]
        self._value: Callable[..., Any] | None = functions.get(VALUE)
        self._is_escaped = is_html and single is not None and single.is_escaped
        self.name = unit.source.name
        self.source = unit.source.text
        self.names = frozenset(reads.names)
        self.paths = frozenset(reads.paths)
        self.reads_whole_scope = reads.is_whole
        self.is_constant = all(isinstance(node, Text) for node in unit.program.statements)

    def render(self, scope: Mapping[str, Any], budget: Budget | None = None) -> str:
        """Return the text. What the scope lacks renders as nothing.

        Raises EvaluationError for a value a helper refuses, BudgetExceededError past a limit.
        """
        used = Budget(self._limits) if budget is None else budget
        try:
            text = reading.joined(self._render(scope, scope, used, None, 0), used)
            used.count_output(text)
        except (HelperFaultError, EvaluationError, RecursionError) as fault:
            raise self._placed(fault) from None
        return text

    def evaluate(self, scope: Mapping[str, Any], budget: Budget | None = None) -> Any:
        """Return the value of a template that is one tag alone, else the rendered text.

        Arrays and maps come as detached copies: the host may store or change the result, and
        what it was read from stays as it is. A missing value is None. In an HTML template a
        text is escaped as it would be when rendered. Raises as `render` does.
        """
        if self._value is None:
            return self.render(scope, budget)
        used = Budget(self._limits) if budget is None else budget
        try:
            value = detach(self._value(scope, scope, used, None, 0), used)
            if isinstance(value, str):
                value = escape_html(value, used) if self._is_escaped else value
                used.charge(len(value) // CHARACTERS_AN_OPERATION)
        except (HelperFaultError, EvaluationError, RecursionError) as fault:
            raise self._placed(fault) from None
        return value

    def __repr__(self) -> str:
        return f"Template({self.name!r})"

    def _placed(self, fault: BaseException) -> EvaluationError:
        """Give a fault its place: the line of the innermost compiled function it came through."""
        error: EvaluationError
        if isinstance(fault, EvaluationError):
            error = fault
        elif isinstance(fault, HelperFaultError):
            error = _error_class(fault.kind)(fault.message, kind=fault.kind)
        else:
            error = BudgetExceededError("Nested too deeply", kind="limit_depth")
        line = _line_of(fault.__traceback__)
        if line is None:  # the text as a whole: too much of it
            error.locate(Span(0, 0, 1, 1), SourceText(self.name, self.source))
        else:
            source, span = self._compiled.places[line - 1]
            error.locate(span, source)
        return error


def compile_template(
    source: str,
    *,
    name: str = "<template>",
    partials: Mapping[str, str] | None = None,
    escape: Literal["none", "html"] = "none",
    limits: Limits = DEFAULT_LIMITS,
) -> Template:
    """Compile a template with the partials it reaches; others are not even parsed.

    `escape` says what plain tags do (`{{{raw}}}` never escapes); `limits` bound the source and
    each render that brings no budget of its own. Raises FlowSyntaxError, and FlowCheckError with
    all findings of the first source that has any.
    """
    known = partials or {}
    unit = _parse(SourceText(name, source), limits)

    def unit_of(partial: str) -> Unit | None:
        text = known.get(partial)
        return None if text is None else _parse(SourceText(partial, text), limits)

    checker = Checker(unit_of, known)
    checker.check(unit)
    is_html = escape == "html"
    compiled = Compiler(is_html=is_html, partials=checker.units).compile(unit)
    return Template(unit, compiled, checker.reads, limits=limits, is_html=is_html)


def _parse(source: SourceText, limits: Limits) -> Unit:
    if utf8_bytes(source.text) > limits.source_bytes:
        raise FlowSyntaxError(
            f"The template is too long: the limit is {limits.source_bytes} bytes",
            span=source.span(0, 0),
            source=source,
        )
    if source.text.count("{{") > TAGS_MAX:
        raise FlowSyntaxError(
            f"Too many tags: the limit is {TAGS_MAX}", span=source.span(0, 0), source=source
        )
    program = trim(parse_template(source))
    return Unit(source, Program(program.statements))


def _error_class(kind: str) -> type[EvaluationError]:
    if kind in LIMIT_KINDS:
        return BudgetExceededError
    return ValueMismatchError if kind in MISMATCH_KINDS else EvaluationError


def _line_of(traceback: TracebackType | None) -> int | None:
    line = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == FILE_NAME:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _load(compiled: Compiled) -> dict[str, Any]:
    """Run a module's definitions; its functions see these names and nothing else."""
    space: dict[str, Any] = {
        "__builtins__": {},
        "MISSES": reading.MISSES,
        "each_keys": reading.each_keys,
        "each_values": reading.each_values,
        "enter": reading.enter,
        "enumerate": enumerate,
        "escape_html": escape_html,
        "find_special": find_special,
        "frame_value": reading.frame_value,
        "indented": reading.indented,
        "len": len,
        "overlay": reading.overlay,
        "read": reading.read,
        "section_values": reading.section_values,
        "str": str,
        "to_text": to_text,
        "truthy": reading.truthy,
        "truthy_or_zero": reading.truthy_or_zero,
        "type": type,
        "zip": zip,
        **{helper_global(spec): spec.call for spec in HELPERS},
    }
    exec(compiled.code, space)  # noqa: S102 - built from syntax nodes, see the compiler
    space["choose"] = _chooser({name: space[number] for name, number in compiled.partials})
    return space


def _chooser(partials: dict[str, Any]) -> Callable[[Any], Any]:
    """Return what `{{> (expression)}}` calls: from a partial's name to its function."""

    def choose(name: Any) -> Any:
        if isinstance(name, str) and name in partials:
            return partials[name]
        raise HelperFaultError(f"Unknown partial {name!r:.60}", kind="function_not_found")

    return choose
