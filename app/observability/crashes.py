"""An exception as log fields, without its text: that may quote a payload or a secret.

In: an exception. Out: its class and the places its traceback went through, innermost last.
"""

import traceback
from pathlib import PurePath
from typing import Any, Final

FRAMES_MAX: Final = 12


def describe_error(error: BaseException) -> dict[str, Any]:
    """Give ``error_type`` and ``error_stack``, the last `FRAMES_MAX` places."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    return {
        "error_type": type(error).__name__,
        "error_stack": [place_of(frame.filename, frame.lineno, frame.name) for frame in frames],
    }


def place_of(filename: str, line: int | None, name: str) -> str:
    """Name a place by the last parts of its path: the rest is the machine's business."""
    path = "/".join(PurePath(filename).parts[-3:])
    return f"{path}:{line} {name}"
