"""What commands print: text for people on a terminal, one JSON document with ``--json``.

In: values and texts. Out: standard output, and standard error for what is no result. Text from
files and events is never read as markup, and `printable` keeps it from moving the cursor.
"""

import json
import re
import sys
from typing import Any, Final

from rich.console import Console
from rich.text import Text

_CONTROLS: Final = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_UNPRINTABLE: Final = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """Replace what could move the cursor or colour the terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _UNPRINTABLE for char in text)


def shortened(text: str, chars_max: int) -> str:
    """Cut a text, and say so with an ellipsis."""
    return text if len(text) <= chars_max else text[:chars_max] + "…"


def printer(*, errors: bool = False) -> Console:
    """Make a console on the current streams (tests and pipes exchange them)."""
    return Console(stderr=errors, markup=False, highlight=False, emoji=False, soft_wrap=True)


def print_json(document: Any, *, indent: int | None = 2) -> None:
    """Print one JSON document; ``indent`` None puts it on one line."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    # JSON escapes the control characters below the blank alone; these move cursors too.
    escaped = _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    sys.stdout.write(escaped + "\n")
    sys.stdout.flush()


def say(text: str | Text, *, style: str | None = None) -> None:
    """Print a line of result."""
    printer().print(text, style=style)


def warn(text: str | Text, *, style: str | None = None) -> None:
    """Print a line that is no result: progress, hints, errors."""
    printer(errors=True).print(text, style=style)
