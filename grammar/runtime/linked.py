"""The names that compiled code can reach: the compiler's own, never a script's.

In: nothing. Out: the table that each program's globals begin with. Refuses nothing.
"""

from __future__ import annotations

from typing import Any, Final

from grammar.budget import Budget
from grammar.runtime import access, calls, comparison, control, faults, operators, sizes, text
from grammar.runtime.unit import RuntimeUnit
from grammar.values import INT_MAX, INT_MIN, Function


def scope_or_function(scope: Any, unit: RuntimeUnit, name: str) -> Any:
    """Read a name that is both a function's and perhaps the scope's: the scope wins."""
    try:
        return scope[name]
    except KeyError:
        return calls.function_value(unit, name)


LINKED: Final[dict[str, Any]] = {
    "type": type, "int": int, "float": float, "str": str, "dict": dict, "bool": bool,
    "INT_MIN": INT_MIN, "INT_MAX": INT_MAX, "Function": Function, "refill": Budget.refill,
    "CATCHABLE": control.CATCHABLE, "UNCATCHABLE": control.UNCATCHABLE,
    "OpenRange": access.OpenRange, "scope_or_function": scope_or_function,
    **{
        item.__name__: item
        for item in (
            access.get_property, access.get_index, access.assign_path,
            calls.enter, calls.call_named, calls.function_cell, calls.method, calls.method_cell,
            calls.change_path, calls.constant_method, calls.function_value,
            comparison.equal, comparison.unequal, comparison.less, comparison.less_equal,
            comparison.greater, comparison.greater_equal,
            control.iterate, control.iterate_copy, control.host_copy, control.present,
            control.is_in_scope, control.this_value, control.this_cell, control.join,
            control.arm_of, control.case_fits, control.throw, control.caught, control.error_value,
            faults.no_variable, faults.constant_changed,
            operators.add, operators.add_to, operators.subtract, operators.multiply,
            operators.divide, operators.remainder, operators.power, operators.shift_left,
            operators.shift_right, operators.bit_and, operators.bit_or, operators.bit_xor,
            operators.is_in, operators.has, operators.negate, operators.plus, operators.invert,
            operators.need_bool, operators.make_range,
            sizes.copy_value, sizes.sized, text.display,
        )
    },
}  # fmt: skip
