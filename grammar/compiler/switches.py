"""Compiles `switch`. In: the node. Out: an arm's number, then the arm.

The arms stand one after the other instead of inside each other, so their count cannot nest
CPython's compiler too deeply; plain literals are found in a table. Refuses nothing.
"""

from __future__ import annotations

import ast
from typing import Any, Final

from grammar.compiler import emit
from grammar.compiler.control import branch, unit
from grammar.compiler.operators import condition, joined_kind
from grammar.compiler.state import FrameState, Operand
from grammar.syntax import Arm, ArrayLiteral, Group, Literal, MapLiteral, RangeOf, Switch, Unary
from grammar.values import Range

_TABLE_MIN: Final = 4


def switch_value(k: FrameState, node: Switch, own: bool) -> Operand:  # noqa: FBT001
    """Compile `switch` for its value."""
    result = k.temp()
    kind = _switch(k, node, result, own)
    return Operand(emit.name(result), kind)


def switch_effect(k: FrameState, node: Switch) -> None:
    """Compile `switch` for its effects."""
    _switch(k, node, None, own=False)


def _switch(k: FrameState, node: Switch, result: str | None, own: bool) -> str | None:  # noqa: FBT001
    subject = k.value(node.subject)
    if not isinstance(subject.expr, ast.Constant):
        subject = k.set_temp(subject.expr, subject.kind)
    chosen = k.temp()
    _choose(k, node, subject, chosen)
    kinds: list[str | None] = []
    if result is not None:
        k.add(emit.store(result, emit.constant(None)))
        if not node.arms or node.arms[-1].cases:
            kinds.append("unit")
    before, dearest = k.cost, 0
    for number, arm in enumerate(node.arms, start=1):
        body, kind = branch(k, result, arm.body, own=own)
        dearest, k.cost = max(dearest, k.cost - before), before
        kinds.append(kind)
        k.add(emit.when(emit.compare(emit.name(chosen), "==", emit.constant(number)), body))
    k.cost = before + dearest
    return _joined(kinds)


def _joined(kinds: list[str | None]) -> str | None:
    if not kinds:
        return unit().kind
    kind = kinds[0]
    for other in kinds[1:]:
        kind = joined_kind(kind, other)
    return kind


def _choose(k: FrameState, node: Switch, subject: Operand, chosen: str) -> None:
    """Find the number of the first arm that fits, 0 for none."""
    values = [[_case(case) for case in arm.cases] for arm in node.arms]
    plain = all(arm.guard is None for arm in node.arms) and all(
        type(case) in (int, str, bool) for cases in values for case in cases
    )
    default = len(node.arms) if node.arms and not node.arms[-1].cases else 0
    if plain and len(node.arms) >= _TABLE_MIN:
        table: dict[Any, int] = {}
        for number, cases in enumerate(values, start=1):
            for case in cases:
                table.setdefault((type(case), case), number)
        found = emit.call("arm_of", k.unit.keep(table), subject.expr, emit.constant(default))
        k.add(emit.store(chosen, found))
        return
    k.add(emit.store(chosen, emit.constant(0)))
    for number, (arm, cases) in enumerate(zip(node.arms, values, strict=True), start=1):
        _test_arm(k, subject, chosen, number, (arm, cases))


def _test_arm(
    k: FrameState, subject: Operand, chosen: str, number: int, what: tuple[Arm, list[Any]]
) -> None:
    arm, cases = what
    undecided = emit.compare(emit.name(chosen), "==", emit.constant(0))
    tests = [_test(k, subject.expr, case) for case in cases]
    fits = emit.all_of(undecided, emit.any_of(*tests)) if tests else undecided
    taken: list[ast.stmt] = [emit.store(chosen, emit.constant(number))]
    if arm.guard is not None:
        with k.block() as guarded:
            k.add(emit.when(condition(k, arm.guard), taken))
        taken = guarded
    k.add(emit.when(fits, taken))


def _test(k: FrameState, subject: ast.expr, case: Any) -> ast.expr:
    if case is None or type(case) is bool:
        return emit.compare(subject, "is", emit.constant(case))
    if type(case) in (int, float, str):
        kind = emit.name(type(case).__name__)
        return emit.all_of(
            emit.compare(emit.call("type", subject), "is", kind),
            emit.compare(subject, "==", emit.constant(case)),
        )
    return emit.call("case_fits", subject, k.unit.keep(case))


def _case(node: Any) -> Any:
    """Compute the value of a literal case."""
    match node:
        case Group(inner=inner):
            return _case(inner)
        case RangeOf(first=Literal(value=first), last=Literal(value=last)):
            return Range(int(first or 0), int(last or 0), node.is_inclusive)
        case ArrayLiteral(items=items):
            return [_case(item) for item in items]
        case MapLiteral(entries=entries):
            return {key: _case(value) for key, value in entries}
        case Unary(operator=operator, operand=operand):
            value = _case(operand)
            is_number = type(value) in (int, float)
            return -value if operator == "-" and is_number else value
        case _:
            return node.value
