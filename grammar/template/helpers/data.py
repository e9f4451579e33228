"""Helpers on values as they are. In: any value. Out: a value, JSON text, or a line of the log.

Refuses values without a JSON form (not_serialisable), such as a host map shown whole.
"""

from __future__ import annotations

from typing import Any, Final

from grammar.budget import Budget
from grammar.template.formatting import HelperFaultError, claim, json_text, to_text
from grammar.template.reading import read_key

INDENT_MAX: Final = 8


def json(budget: Budget, value: Any, indent: Any = None) -> str:
    """`json value [indent]`: JSON text, compact unless indented; a missing value is `null`.

    Errors: not_serialisable (a host map, NaN, Infinity), limit_depth, type_mismatch for an
    indent that is no integer from 0 to 8, limit_data_size. Charged by the text's length.
    """
    if indent is not None and indent not in range(INDENT_MAX + 1):
        raise HelperFaultError(f"json: indent must be an integer from 0 to {INDENT_MAX}")
    return json_text(value, budget, None if indent is None else int(indent))


def default(_budget: Budget, *values: Any) -> Any:
    """`default value fallback …`: the first that is not missing, null or empty text."""
    return next((value for value in values if value is not None and value != ""), values[-1])


def lookup(_budget: Budget, value: Any, key: Any) -> Any:
    """`lookup map-or-array key`: the value under a key that is computed, or nothing."""
    return read_key(value, key)


def log(budget: Budget, *values: Any, level: Any = "info") -> None:
    """`log value … [level="warn"]`: renders nothing; the line is kept in `Budget.printed`.

    Errors: limit_output, when the printed text passes the limit of output bytes, limit_data_size.
    """
    texts = [to_text(value, budget) for value in values]
    if level is not None and level != "info":
        texts.insert(0, f"{to_text(level, budget)}:")
    claim(sum(map(len, texts)), budget)
    budget.emit(" ".join(texts))
