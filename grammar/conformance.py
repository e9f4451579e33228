"""Runs conformance cases. In: one case of LANGUAGE.md's format. Out: whether it came out right.

A case never raises: what goes wrong is its outcome. Limits that a case does not name are off, as
the format asks; only the guards that keep this process safe stay on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from grammar.budget import Budget, Limits
from grammar.dialect import Dialect
from grammar.errors import EvaluationError, GrammarError
from grammar.program import CONDITION, SCRIPT, Mode, Program, compile_text
from grammar.values import Char, Function, Range

_DEPTH_MAX: Final = 300
_SOURCE_BYTES_MAX: Final = 1 << 20
_COUNT_MAX: Final = 1 << 30
_WALL_MS: Final = 1_000.0
_LIMITS: Final = {
    "ops": "operations", "str": "string_bytes", "arr": "array_elements", "map": "map_entries",
    "calls": "call_levels", "vars": "variables", "fns": "functions",
}  # fmt: skip
_MODES: Final = {
    "eval": Mode(Dialect.RHAI), "compile": Mode(Dialect.RHAI),
    "expr": Mode(Dialect.RHAI, is_expression=True), "script": SCRIPT, "branch": CONDITION,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """One case's end. `got` has the form of the case's `expect`."""

    id: str
    ok: bool
    got: Mapping[str, Any]
    expected: Any


def run_case(case: Mapping[str, Any]) -> CaseOutcome:
    """Run one case in the mode it names."""
    expected = case["one_of"] if "one_of" in case else case["expect"]
    got = _run(case)
    ok = _one_of(got, expected) if "one_of" in case else _matches(got, expected, case)
    shown = {key: value for key, value in got.items() if key != "raw"}
    return CaseOutcome(str(case["id"]), ok, shown, expected)


def _limits(named: Mapping[str, Any]) -> Limits:
    chosen: dict[str, Any] = {
        "operations": None, "wall_ms": _WALL_MS, "string_bytes": None, "array_elements": None,
        "map_entries": None, "output_bytes": None, "data_depth": _DEPTH_MAX,
        "source_bytes": _SOURCE_BYTES_MAX, "variables": _COUNT_MAX, "functions": _COUNT_MAX,
    }  # fmt: skip
    for key, value in named.items():
        if key == "depth":
            outer, inner = str(value).split(",")
            chosen["expression_depth"] = int(outer)
            chosen["function_expression_depth"] = int(inner)
        else:
            chosen[_LIMITS[key]] = value
    return Limits(**chosen)


def _compile(case: Mapping[str, Any], limits: Limits) -> Program:
    return compile_text(
        case["script"], name=str(case["id"]), library=None, limits=limits,
        mode=_MODES[case["mode"]],
    )  # fmt: skip


def _run(case: Mapping[str, Any]) -> dict[str, Any]:
    limits = _limits(case.get("limits", {}))
    budget = Budget(limits)
    try:
        program = _compile(case, limits)
        if case["mode"] == "compile":
            return {"compiles": True}
        scope = {key: decode(value) for key, value in case.get("vars", {}).items()}
        if case["mode"] == "branch":
            value: Any = _branch_value(program, scope, budget, case)
        else:
            value = program.evaluate(scope, budget)
        return {"value": encode(value), "type": _type(value), "output": budget.output or []}
    except EvaluationError as error:
        got: dict[str, Any] = {"error": error.kind, "message": str(error)}
        if error.kind == "thrown":
            got["thrown"] = encode(error.thrown_value)
        return got
    except GrammarError as error:
        return {"error": error.kind, "message": str(error)}


def _branch_value(
    program: Program, scope: Mapping[str, Any], budget: Budget, case: Mapping[str, Any]
) -> Any:
    wanted = case.get("expect", {}).get("value")
    if wanted is None or isinstance(wanted, bool):
        return program.run(scope, budget)
    return program.evaluate(scope, budget)


def decode(value: Any) -> Any:
    """Read a value of a case file."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if isinstance(value, dict):
        if "$float" in value:
            return float(value["$float"])
        return {key: decode(item) for key, item in value.items()}
    return value


def encode(value: Any, depth: int = _DEPTH_MAX) -> Any:
    """Write a value as case files do."""
    if isinstance(value, list | dict):
        return _encode_container(value, depth)
    if isinstance(value, Char):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    if isinstance(value, Range):
        return {"$range": [value.first, value.last, value.is_inclusive]}
    return {"$fnptr": value.name} if isinstance(value, Function) else value


def _encode_container(value: Any, depth: int) -> Any:
    if depth <= 0:
        return {"$deep": True}
    if isinstance(value, list):
        return [encode(item, depth - 1) for item in value]
    return {key: encode(item, depth - 1) for key, item in value.items()}


def _type(value: Any) -> str:
    names = {
        type(None): "()", bool: "bool", int: "int", float: "float", str: "string", Char: "char",
        list: "array", dict: "map", Range: "range", Function: "Fn",
    }  # fmt: skip
    return names.get(type(value), type(value).__name__)


def _one_of(got: Mapping[str, Any], allowed: list[Any]) -> bool:
    for item in allowed:
        if isinstance(item, str):
            if got.get("error") == item:
                return True
        elif "value" in got and _same(got["value"], item["value"]):
            return True
    return False


def _matches(got: Mapping[str, Any], expected: Mapping[str, Any], case: Mapping[str, Any]) -> bool:
    if "compiles" in expected:
        return got.get("compiles") is True
    if "error" in expected:
        kind = expected["inner"] if expected["error"] == "in_function" else expected["error"]
        return bool(got.get("error") == kind)
    if "value" not in got or not _same(got["value"], expected["value"]):
        return False
    if "type" in expected and got["type"] != expected["type"]:
        return False
    return "output" not in case or _same([list(item) for item in got["output"]], case["output"])


def _same(a: Any, b: Any) -> bool:
    if isinstance(b, dict) and b.get("$fnptr") == "*":
        return isinstance(a, dict) and "$fnptr" in a
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        return type(a) is type(b) and a == b
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    return bool(a == b)
