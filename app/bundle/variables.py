"""``$NAME`` in answers: expanded from the environment of whoever runs the command (SPEC 3).

In: raw options. Out: the same with the variables' values in their places. ``$$`` at the start of a
text stands for one ``$``; a ``$`` before anything that is no name is just a ``$``.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from app.bundle.document import Path

_VARIABLE: Final = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")


def variable_name(value: Any) -> str | None:
    """Give the variable's name if the value is ``$NAME``, else None."""
    match = _VARIABLE.fullmatch(value) if isinstance(value, str) else None
    return None if match is None else match[1]


def escape_text(text: str) -> str:
    """Write a text so that `expand_variables` gives it back as it is."""
    return f"${text}" if text.startswith("$$") or variable_name(text) is not None else text


def expand_variables(
    value: Any,
    environment: Mapping[str, str] | None,
    report: Callable[[Path, str], None],
    path: Path = (),
) -> Any:
    """Put the variables' values in their places; one that is not set is reported and gives None.

    ``environment`` None: none of them is known here. Depth is bounded by the reader's.
    """
    if isinstance(value, dict):
        return {
            key: expand_variables(item, environment, report, (*path, key))
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [
            expand_variables(item, environment, report, (*path, index))
            for index, item in enumerate(value)
        ]
    if isinstance(value, str) and value.startswith("$$"):
        return value[1:]
    name = variable_name(value)
    if name is None:
        return value
    found = None if environment is None else environment.get(name)
    if found is None:
        report(path, name)
    return found
