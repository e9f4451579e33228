"""The language of flows: scripts, conditions and templates, compiled once and run often.

In: source texts and a scope of JSON data. Out: programs whose results are JSON data. Refuses
everything that is not in LANGUAGE.md, and everything beyond its limits. No I/O, no asyncio.
"""

from __future__ import annotations

from grammar.budget import DEFAULT_LIMITS, Budget, Limits
from grammar.conformance import CaseOutcome, run_case
from grammar.dialogue import Dialogue, is_unfinished, show_value
from grammar.errors import (
    BudgetExceededError,
    Diagnostic,
    EvaluationError,
    FlowCheckError,
    FlowSyntaxError,
    GrammarError,
    ValueMismatchError,
)
from grammar.printer import format_script
from grammar.program import (
    FunctionLibrary,
    Program,
    compile_condition,
    compile_functions,
    compile_script,
)
from grammar.span import SourceText, Span
from grammar.template import Template, compile_template
from grammar.tracing import Step, traced
from grammar.values import HostMap

__all__ = [
    "DEFAULT_LIMITS",
    "Budget",
    "BudgetExceededError",
    "CaseOutcome",
    "Diagnostic",
    "Dialogue",
    "EvaluationError",
    "FlowCheckError",
    "FlowSyntaxError",
    "FunctionLibrary",
    "GrammarError",
    "HostMap",
    "Limits",
    "Program",
    "SourceText",
    "Span",
    "Step",
    "Template",
    "ValueMismatchError",
    "compile_condition",
    "compile_functions",
    "compile_script",
    "compile_template",
    "format_script",
    "is_unfinished",
    "run_case",
    "show_value",
    "traced",
]
