"""The operators, for every pair of types. In: operands. Out: values (LANGUAGE.md section 2).

Compiled code handles the common pairs of numbers itself and comes here for the rest. Refuses
every pair that the table does not list (function_not_found), and integers beyond 64 bits.
"""

from __future__ import annotations

import math
from typing import Any, Final

from grammar.budget import Budget
from grammar.errors import EvaluationError
from grammar.runtime.comparison import equal
from grammar.runtime.faults import arithmetic, mismatch, no_function
from grammar.runtime.sizes import copy_value, grow, sized, sized_text
from grammar.runtime.text import display
from grammar.values import INT_MAX, INT_MIN, Char, HostMap, Range

_NAMES: Final = {
    "+": "Addition", "-": "Subtraction", "*": "Multiplication", "/": "Division", "%": "Modulo",
    "**": "Exponential",
}  # fmt: skip
_BITS: Final = 64
_MASK: Final = (1 << _BITS) - 1


def _is_number(value: Any) -> bool:
    kind = type(value)
    return kind is int or kind is float


def checked(result: int, operator: str, a: Any, b: Any) -> int:
    """Give back an integer result that fits 64 bits. Raises arithmetic."""
    if INT_MIN <= result <= INT_MAX:
        return result
    raise overflow(operator, a, b)


def overflow(operator: str, a: Any, b: Any) -> EvaluationError:
    """Build the error of a result beyond 64 bits."""
    return arithmetic(f"{_NAMES[operator]} overflow: {_short(a)} {operator} {_short(b)}")


def _short(value: Any) -> str:
    return str(value) if INT_MIN <= value <= INT_MAX else "a number beyond 64 bits"


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def add(c: Budget, a: Any, b: Any) -> Any:
    """`a + b`."""
    ka, kb = type(a), type(b)
    if ka is int and kb is int:
        return checked(a + b, "+", a, b)
    if _is_number(a) and _is_number(b):
        return _float(a) + _float(b)
    if ka is str or kb is str or (ka is Char and kb is Char):
        return sized_text(c, display(c, a) + display(c, b))
    if ka is list and kb is list:
        return sized(c, a + b)
    if isinstance(a, dict) and isinstance(b, dict):
        return sized(c, {**a, **b})
    raise no_function("+", (a, b))


def add_to(c: Budget, a: Any, b: Any) -> Any:
    """`a += b` on a value that nothing shares: arrays and maps grow in place."""
    if type(a) is list:
        if type(b) is list:
            a.extend(copy_value(c, b))
            c.charge(len(b))
        else:
            a.append(copy_value(c, b))
        return sized_growth(c, a, b)
    if type(a) is dict and isinstance(b, dict):
        a.update(copy_value(c, b))
        return sized_growth(c, a, b)
    return add(c, a, b)


def sized_growth(c: Budget, root: Any, added: Any) -> Any:
    """Give back a grown value after checking its size."""
    grow(c, root, added)
    return root


def subtract(c: Budget, a: Any, b: Any) -> Any:
    """`a - b`; on strings it removes every occurrence."""
    if _is_number(a) and _is_number(b):
        if type(a) is int and type(b) is int:
            return checked(a - b, "-", a, b)
        return _float(a) - _float(b)
    if type(a) is str and isinstance(b, str):
        c.charge(1 + len(a) // 64)
        return a.replace(b, "") if b else a
    raise no_function("-", (a, b))


def multiply(_c: Budget, a: Any, b: Any) -> Any:
    """`a * b`."""
    if _is_number(a) and _is_number(b):
        if type(a) is int and type(b) is int:
            return checked(a * b, "*", a, b)
        return _float(a) * _float(b)
    raise no_function("*", (a, b))


def divide(_c: Budget, a: Any, b: Any) -> Any:
    """`a / b`; integers truncate towards zero."""
    if not (_is_number(a) and _is_number(b)):
        raise no_function("/", (a, b))
    if type(a) is int and type(b) is int:
        if b == 0:
            raise arithmetic(f"Division by zero: {_short(a)} / 0")
        quotient = abs(a) // abs(b)
        return checked(quotient if (a < 0) == (b < 0) else -quotient, "/", a, b)
    x, y = _float(a), _float(b)
    if y == 0:
        if x == 0 or math.isnan(x):
            return math.nan
        return math.copysign(math.inf, x) * math.copysign(1.0, y)
    return x / y


def remainder(_c: Budget, a: Any, b: Any) -> Any:
    """`a % b`; the sign is that of `a`."""
    if not (_is_number(a) and _is_number(b)):
        raise no_function("%", (a, b))
    if type(a) is int and type(b) is int:
        if b == 0:
            raise arithmetic(f"Modulo by zero: {_short(a)} % 0")
        if a == INT_MIN and b == -1:
            raise overflow("%", a, b)
        rest = abs(a) % abs(b)
        return checked(-rest if a < 0 else rest, "%", a, b)
    x, y = _float(a), _float(b)
    return math.nan if y == 0 or math.isinf(x) else math.fmod(x, y)


def power(_c: Budget, a: Any, b: Any) -> Any:
    """`a ** b`."""
    if not (_is_number(a) and _is_number(b)):
        raise no_function("**", (a, b))
    if type(a) is int and type(b) is int:
        return _int_power(a, b)
    x, y = _float(a), _float(b)
    try:
        return math.pow(x, y)
    except OverflowError:
        return -math.inf if x < 0 and y % 2 == 1 else math.inf
    except ValueError:
        return math.inf if x == 0 else math.nan


def _int_power(a: int, b: int) -> int:
    if b < 0:
        raise arithmetic(f"Integer raised to a negative power: {_short(a)} ** {_short(b)}")
    if -1 <= a <= 1:
        return a**b if b < _BITS else (1 if a == 1 or (a == -1 and b % 2 == 0) else a)
    if b >= _BITS or not INT_MIN <= a <= INT_MAX:
        raise overflow("**", a, b)
    return checked(a**b, "**", a, b)


def shift_left(c: Budget, a: Any, b: Any) -> Any:
    """`a << b`; a negative count shifts right."""
    if type(a) is not int or type(b) is not int:
        raise no_function("<<", (a, b))
    if b < 0:
        return shift_right(c, a, -b)
    return 0 if b >= _BITS else _wrap(a << b)


def shift_right(c: Budget, a: Any, b: Any) -> Any:
    """`a >> b`; a negative count shifts left."""
    if type(a) is not int or type(b) is not int:
        raise no_function(">>", (a, b))
    if b < 0:
        return shift_left(c, a, -b)
    return (-1 if a < 0 else 0) if b >= _BITS else a >> b


def _wrap(value: int) -> int:
    value &= _MASK
    return value - (1 << _BITS) if value > INT_MAX else value


def bit_and(_c: Budget, a: Any, b: Any) -> Any:
    """`a & b` on integers and on booleans."""
    if type(a) is type(b) and type(a) in (int, bool):
        return a & b
    raise no_function("&", (a, b))


def bit_or(_c: Budget, a: Any, b: Any) -> Any:
    """`a | b` on integers and on booleans."""
    if type(a) is type(b) and type(a) in (int, bool):
        return a | b
    raise no_function("|", (a, b))


def bit_xor(_c: Budget, a: Any, b: Any) -> Any:
    """`a ^ b` on integers and on booleans."""
    if type(a) is type(b) and type(a) in (int, bool):
        return a ^ b
    raise no_function("^", (a, b))


def is_in(c: Budget, a: Any, b: Any) -> bool:
    """`a in b`, `b contains a`."""
    if type(b) is str and isinstance(a, str):
        c.charge(1 + len(b) // 64)
        return a in b
    if type(b) is list:
        c.charge(1 + len(b) // 2)
        return any(equal(c, a, item) for item in b)
    if isinstance(b, dict) and type(a) is str:
        return a in b
    if isinstance(b, HostMap) and isinstance(a, str):
        return b.contains(str(a))
    if isinstance(b, Range) and type(a) is int:
        return a in b.numbers
    raise no_function("contains", (b, a))


def has(c: Budget, a: Any, b: Any) -> bool:
    """`b contains a`: as `in`, but a one-letter `'k'` is a key too."""
    return is_in(c, str(a) if type(a) is Char and isinstance(b, dict) else a, b)


def negate(_c: Budget, a: Any) -> Any:
    """`-a`."""
    if type(a) is int:
        if not INT_MIN < a <= INT_MAX:
            raise arithmetic(f"Negation overflow: -{_short(a)}")
        return -a
    if type(a) is float:
        return -a
    raise no_function("-", (a,))


def plus(_c: Budget, a: Any) -> Any:
    """`+a`."""
    if _is_number(a):
        return a
    raise no_function("+", (a,))


def invert(_c: Budget, a: Any) -> bool:
    """`!a`."""
    if type(a) is bool:
        return not a
    raise no_function("!", (a,))


def need_bool(value: Any) -> bool:
    """Give back a boolean. Raises type_mismatch: there is no truthiness."""
    if type(value) is bool:
        return value
    raise mismatch(value, "bool")


def make_range(first: Any, last: Any, is_inclusive: Any) -> Range:
    """`a..b` and `a..=b`, integers only."""
    if type(first) is int and type(last) is int:
        return Range(first, last, is_inclusive)
    raise no_function("..=" if is_inclusive else "..", (first, last))
