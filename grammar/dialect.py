"""The dialects of the language (LANGUAGE.md, the points marked [D]).

In: nothing. Out: which of three readings a text gets. Refuses nothing: the stages ask.
"""

from __future__ import annotations

from enum import Enum


class Dialect(Enum):
    """How a text is read."""

    SCRIPT = "script"
    """Statements, with all additions of LANGUAGE.md section 10."""
    CONDITION = "condition"
    """One expression; every `'…'` is a string; unit counts as false."""
    RHAI = "rhai"
    """Plain Rhai, for conformance: no `contains` operator, `trim()` gives unit, and so on."""
