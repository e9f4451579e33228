"""Templates: Handlebars, compiled once and rendered often.

In: a source, its partials, later a scope. Out: text, or the value of a single tag. Refuses
everything but the scope's data: no attributes, no code, one pass, nothing evaluated twice.
"""

from __future__ import annotations

from grammar.template.program import Template, compile_template

__all__ = ["Template", "compile_template"]
