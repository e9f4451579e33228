"""The package's errors. In: what went wrong, and where. Out: text that a person can act on.

GrammarError
├── FlowSyntaxError          the text is not in the language (kind parse, format)
├── FlowCheckError           the text parses but cannot be right; carries all diagnostics
└── EvaluationError          a run ended in an error (kind: LANGUAGE.md section 12)
    ├── ValueMismatchError   a value of the wrong type for what was asked of it
    └── BudgetExceededError  a limit was reached; scripts cannot catch it

Refuses to guess: an error without a place says so by having no span.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

from grammar.span import SourceText, Span

MISMATCH_KINDS: Final = frozenset(
    {
        "type_mismatch",
        "function_not_found",
        "dot_expr",
        "indexing_type",
        "for_not_iterable",
        "not_serialisable",
    }
)
LIMIT_KINDS: Final = frozenset(
    {
        "limit_operations",
        "limit_call_levels",
        "limit_data_size",
        "limit_depth",
        "limit_output",
        "limit_time",
        "limit_variables",
    }
)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding of a checker: what, where, how bad, and what to do about it."""

    kind: str
    message: str
    span: Span
    hint: str | None = None
    severity: Literal["error", "warning"] = "error"


class GrammarError(Exception):
    """Root of the tree. `kind` says which rule; `code` is stable for logs, HTTP and the CLI."""

    code: ClassVar[str] = "grammar.error"

    def __init__(
        self,
        message: str,
        *,
        kind: str,
        span: Span | None = None,
        source: SourceText | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.span = span
        self.source = source
        self.hint = hint

    def __str__(self) -> str:
        if self.span is None:
            return self.message
        return f"{self.message} (line {self.span.line}, position {self.span.column})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.kind), self.__dict__)

    def locate(self, span: Span, source: SourceText) -> None:
        """Give the error its place, unless it already has one: the innermost place wins."""
        if self.span is None:
            self.span = span
            self.source = source

    def render(self) -> str:
        """Show the message, the line with a caret below the place, and the hint."""
        lines = [f"{self.kind}: {self.message}"]
        if self.span is not None and self.source is not None:
            lines.append(f"  --> {self.source.name}:{self.span.line}:{self.span.column}")
            lines += [f"  | {line}" for line in self.source.excerpt(self.span).split("\n")]
        if self.hint is not None:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class FlowSyntaxError(GrammarError):
    """The text does not parse. `kind` is `parse`, or `format` for a bad `format!` text."""

    code = "grammar.syntax"

    def __init__(
        self,
        message: str,
        *,
        kind: str = "parse",
        span: Span | None = None,
        source: SourceText | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, kind=kind, span=span, source=source, hint=hint)


class FlowCheckError(GrammarError):
    """The text parses but breaks rules that need a view of the whole; all findings at once."""

    code = "grammar.check"

    def __init__(self, diagnostics: tuple[Diagnostic, ...], *, source: SourceText) -> None:
        first = diagnostics[0]
        super().__init__(
            first.message, kind=first.kind, span=first.span, source=source, hint=first.hint
        )
        self.diagnostics = diagnostics

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild_check, (self.diagnostics, self.source), self.__dict__)

    def render(self) -> str:
        """Show every finding in the form of `GrammarError.render`, in the order of the text."""
        return "\n".join(
            GrammarError(
                item.message, kind=item.kind, span=item.span, source=self.source, hint=item.hint
            ).render()
            for item in self.diagnostics
        )


class EvaluationError(GrammarError):
    """A run ended in an error. `functions` names the script functions it left, innermost first.

    `details` holds the facts a script's `catch` sees beside kind and message (LANGUAGE.md
    section 5): function, variable, property, index and length, requested and actual.
    """

    code = "grammar.evaluation"

    def __init__(
        self,
        message: str,
        *,
        kind: str,
        span: Span | None = None,
        source: SourceText | None = None,
        hint: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, kind=kind, span=span, source=source, hint=hint)
        self.details: Mapping[str, Any] = details or {}
        self.functions: tuple[str, ...] = ()
        self.thrown_value: Any = None
        self.called_at: Span | None = None
        self.candidates: tuple[str, Iterable[str]] | None = None


class ValueMismatchError(EvaluationError):
    """A value of the wrong type: no such operator or function for it, or no such access."""

    code = "grammar.value_mismatch"


class BudgetExceededError(EvaluationError):
    """A limit was reached. Ends the whole evaluation; `kind` names the limit."""

    code = "grammar.budget_exceeded"


def _rebuild(cls: type[GrammarError], message: str, kind: str) -> GrammarError:
    return cls(message, kind=kind)


def _rebuild_check(
    diagnostics: tuple[Diagnostic, ...], source: SourceText | None
) -> FlowCheckError:
    return FlowCheckError(diagnostics, source=source or SourceText("<unknown>", ""))
