"""Cursors come back as they went out; what cannot be looked for is refused."""

import pytest

from app.errors import ValueRefusedError
from app.history.store.search import Cursor, parse_cursor, search_text, wanted_text


@pytest.mark.parametrize(
    "cursor", [Cursor(0, "r"), Cursor(1_790_000_000_123, "run-7-of-9"), Cursor(5, "ü")], ids=str
)
def test_a_cursor_comes_back(cursor: Cursor) -> None:
    assert parse_cursor(cursor.as_text()) == cursor


@pytest.mark.parametrize(
    "text", ["", "-", "12", "12-", "-run", "x-run", "1.5-run", "-1-run", "٣-run", "9" * 40 + "-r",
             "1-" + "r" * 129],
)  # fmt: skip
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueRefusedError):
        parse_cursor(text)


@pytest.mark.parametrize("text", ["", "ab", "x" * 257], ids=["empty", "short", "long"])
def test_a_text_of_an_error_has_a_length(text: str) -> None:
    with pytest.raises(ValueRefusedError):
        wanted_text(text)


def test_code_and_message_are_looked_through_in_whatever_case() -> None:
    text = search_text("Http.Status", "Straße GESPERRT")
    assert text is not None
    assert wanted_text("STRASSE gesperrt") in text
    assert wanted_text("http.status") in text


@pytest.mark.parametrize(("code", "message"), [(None, None), ("", ""), (None, "")])
def test_no_error_has_no_text(code: str | None, message: str | None) -> None:
    assert search_text(code, message) is None
