"""What is looked for in the history, and the pages it comes in.

In: the fields of a search, a cursor. Out: `RunSearch`, `RunPage`, `Cursor`. Refuses with
ValueRefusedError what is no cursor, and a text too short to be looked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.errors import ValueRefusedError
from app.history.store.rows import IDENTITY_CHARS_MAX, NUMBER_MAX, RunRow, plain_text

ERROR_TEXT_CHARS_MIN: Final = 3
"""The indexes know of three characters in a row."""
ERROR_TEXT_CHARS_MAX: Final = 256
PAGE_MAX: Final = 1000
"""Runs in one page."""


@dataclass(frozen=True, slots=True)
class RunSearch:
    """Which runs are meant: those that match every field that is set; None: any."""

    flow: str | None = None
    status: str | None = None
    event_id: str | None = None
    event_type: str | None = None
    correlation_id: str | None = None
    since_ms: int | None = None
    """Ended at this time or later."""
    until_ms: int | None = None
    """Ended before this time."""
    error_text: str | None = None
    """Stands somewhere in the error's code or message, in whatever case; 3 to 256 characters."""
    error_code: str | None = None
    parent_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class RunPage:
    """Runs without their documents, the latest first. ``next_after`` None: there are no more."""

    runs: Sequence[RunRow]
    next_after: str | None


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last run of a page: the next one begins behind it, by (finished_ms, run_id) downwards."""

    finished_ms: int
    run_id: str

    def as_text(self) -> str:
        """Give it as pages name it; `parse_cursor` is the inverse."""
        return f"{self.finished_ms}-{self.run_id}"


def parse_cursor(text: str) -> Cursor:
    """Read a page's ``next_after``; ValueRefusedError for what is none."""
    digits, dash, run_id = text.partition("-")
    is_number = digits.isascii() and digits.isdecimal() and len(digits) <= len(str(NUMBER_MAX))
    if not (dash and is_number and 0 < len(run_id) <= IDENTITY_CHARS_MAX):
        raise ValueRefusedError(f"{text[:40]!r} is no place in the history of runs")
    return Cursor(int(digits), plain_text(run_id))


def search_text(error_code: str | None, error_message: str | None) -> str | None:
    """Give what a search for the text of an error looks through; None: there is no error."""
    if error_code and error_message:
        return f"{error_code}\n{error_message}".casefold()
    one = error_code or error_message
    return one.casefold() if one else None


def wanted_text(text: str) -> str:
    """Fold what is looked for as `search_text` folds; ValueRefusedError: too short, or too long."""
    if not ERROR_TEXT_CHARS_MIN <= len(text) <= ERROR_TEXT_CHARS_MAX:
        raise ValueRefusedError(
            f"the text of an error to look for has {ERROR_TEXT_CHARS_MIN} to "
            f"{ERROR_TEXT_CHARS_MAX} characters, this has {len(text)}"
        )
    return plain_text(text).casefold()
