"""Where nodes meet the language: compile errors become findings, run errors become failed steps.

In: GrammarError. Out: diagnostics with the line inside the script and a caret, or a PermanentError
whose reason names the rule (``script.type_mismatch``, ``template.limit_output``).
"""

from typing import Literal

from actors.diagnostics import Diagnostic, DocumentPath
from actors.errors import PermanentError
from grammar import EvaluationError, FlowCheckError, GrammarError, SourceText, Span

Kind = Literal["script", "condition", "template"]

ERROR_TEXT_CHARS_MAX = 500
"""A thrown value may be a whole document; an error in a result is for people."""


def findings_of(error: GrammarError, kind: Kind, path: DocumentPath) -> list[Diagnostic]:
    """Turn a compile error into findings at ``path``, the place of the text in the document."""
    code = f"flow.{kind}"
    if isinstance(error, FlowCheckError):
        return [
            Diagnostic(
                item.severity,
                code,
                path,
                f"{item.message} (line {item.span.line}, position {item.span.column})",
                item.hint,
                _excerpt(error.source, item.span),
            )
            for item in error.diagnostics
        ]
    excerpt = _excerpt(error.source, error.span)
    return [Diagnostic("error", code, path, str(error), error.hint, excerpt)]


def failure_of(error: EvaluationError, kind: Kind) -> PermanentError:
    """Turn a run-time error into the failure of the step; its text says the line."""
    text = str(error)
    if len(text) > ERROR_TEXT_CHARS_MAX:
        text = text[: ERROR_TEXT_CHARS_MAX - 1] + "…"
    return PermanentError(text, reason=f"{kind}.{error.kind}")


def _excerpt(source: SourceText | None, span: Span | None) -> str | None:
    return None if source is None or span is None else source.excerpt(span)
