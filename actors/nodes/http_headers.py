"""Header fields that flows set, in requests and in answers.

In: rendered names and values. Out: text pairs. Refuses, as PermanentError, what could smuggle a
second header or change the framing of the message.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from actors.errors import PermanentError
from actors.nodes.rendering import text_of

HEADERS_MAX: Final = 64
HEADER_BYTES_MAX: Final = 8_192

FRAMING_HEADERS: Final = frozenset(
    {
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Belong to whoever sends the message: a flow that sets them would contradict it."""

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_VALUE = re.compile(r"[\t\x20-\x7e]*")


def header_name_problem(name: str) -> str | None:
    """Say why a flow may not set this header, or None."""
    if not _NAME.fullmatch(name):
        return f"{name!r} is no header name"
    if name.lower() in FRAMING_HEADERS:
        return f"a flow may not set {name!r}: it belongs to the connection"
    return None


def check_headers(headers: Any, reason: str) -> list[tuple[str, str]]:
    """Give the pairs of a rendered map, nulls left out, or fail the step with ``reason``."""
    if headers is None:
        return []
    if not isinstance(headers, Mapping) or len(headers) > HEADERS_MAX:
        raise PermanentError(f"headers must be a map of at most {HEADERS_MAX}", reason=reason)
    return [
        (name, _checked_value(name, value, reason))
        for name, value in headers.items()
        if value is not None
    ]


def _checked_value(name: str, value: Any, reason: str) -> str:
    problem = header_name_problem(name)
    if problem is not None:
        raise PermanentError(problem, reason=reason)
    text = text_of(value).strip(" \t")
    if not _VALUE.fullmatch(text) or len(text) > HEADER_BYTES_MAX:
        raise PermanentError(
            f"the value of header {name!r} must be printable ASCII on one line,"
            f" at most {HEADER_BYTES_MAX} bytes",
            reason=reason,
        )
    return text
