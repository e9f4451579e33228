"""The few forms of Markdown that the generated pages are made of.

In: plain texts. Out: Markdown. A ``|`` inside a cell is escaped, and a line break in a cell becomes
a space. Docstrings lose their indentation, their double backquotes, and the numbers of the sections
of the contract that they quote, which readers do not have.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

NOTICE: Final = "<!-- Made by `make docs` from the code; do not edit. -->"

_SECTION: Final = re.compile(r"\s*\((?:SPEC|DESIGN|STYLE|PROTOCOLS)\b[^)]*\)")


def page(title: str, *parts: str) -> str:
    """Give a whole page: its title, the notice that it is generated, its parts."""
    return "\n\n".join((f"# {title}", NOTICE, *parts)) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Give a table; no rows give an empty text."""
    lines = [_row(row) for row in rows]
    if not lines:
        return ""
    return "\n".join((_row(head), _row(["---"] * len(head)), *lines))


def code(text: str) -> str:
    """Mark a text as code; an empty one stays empty."""
    return f"`{text}`" if text else ""


def prose(docstring: str | None) -> str:
    """Give a docstring as Markdown text."""
    text = inspect.cleandoc(docstring or "")
    return _SECTION.sub("", text.replace("``", "`"))


def attribute_docs(kind: type) -> dict[str, str]:
    """Give the texts that stand under a class's attributes, by attribute."""
    definition = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    found = {}
    for before, after in pairwise(body):
        match before, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=text)),
            ):
                found[name] = prose(str(text))
    return found


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
