"""Every helper a template may call, in one table. In: a name. Out: its function and its shape.

Adding a helper is a function beside its kind and a line here. Refuses nothing by itself: the
checker compares calls with this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from grammar.template.helpers import comparison, data, dates, numbers, text

PARAMS_MAX: Final = 32


@dataclass(frozen=True, slots=True)
class HelperSpec:
    """One helper: `call(budget, *params, **hash)`, with `now=` too if it `reads_now`."""

    name: str
    call: Callable[..., Any]
    params_min: int
    params_max: int
    hash_names: tuple[str, ...] = ()
    reads_now: bool = False
    is_test: bool = False
    """Whether it gives true or false, and so may open a block: `{{#eq a b}}`."""


HELPERS: Final = (
    HelperSpec("uppercase", text.uppercase, 1, 1),
    HelperSpec("lowercase", text.lowercase, 1, 1),
    HelperSpec("capitalize", text.capitalize, 1, 1),
    HelperSpec("truncate", text.truncate, 2, 3, ("suffix",)),
    HelperSpec("formatNumber", numbers.format_number, 1, 2, ("decimals",)),
    HelperSpec("currency", numbers.currency, 1, 2, ("code",)),
    HelperSpec("percent", numbers.percent, 1, 2, ("decimals",)),
    HelperSpec("formatDate", dates.format_date, 1, 3, ("format", "timezone")),
    HelperSpec("relativeTime", dates.relative_time, 1, 1, reads_now=True),
    HelperSpec("now", dates.now, 0, 2, ("format", "timezone"), reads_now=True),
    HelperSpec("json", data.json, 1, 2, ("indent",)),
    HelperSpec("default", data.default, 2, PARAMS_MAX),
    HelperSpec("lookup", data.lookup, 2, 2),
    HelperSpec("log", data.log, 1, PARAMS_MAX, ("level",)),
    HelperSpec("eq", comparison.eq, 2, 2, is_test=True),
    HelperSpec("ne", comparison.ne, 2, 2, is_test=True),
    HelperSpec("lt", comparison.lt, 2, 2, is_test=True),
    HelperSpec("lte", comparison.lte, 2, 2, is_test=True),
    HelperSpec("gt", comparison.gt, 2, 2, is_test=True),
    HelperSpec("gte", comparison.gte, 2, 2, is_test=True),
    HelperSpec("and", comparison.both, 1, PARAMS_MAX, is_test=True),
    HelperSpec("or", comparison.either, 1, PARAMS_MAX, is_test=True),
    HelperSpec("not", comparison.negated, 1, 1, is_test=True),
)

BY_NAME: Final[Mapping[str, HelperSpec]] = MappingProxyType({spec.name: spec for spec in HELPERS})

KEYWORDS: Final[Mapping[str, str]] = MappingProxyType({"format": "pattern", "timezone": "zone"})
"""Hash names whose function parameter has another name."""
