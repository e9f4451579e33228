"""Numbers that no JSON document can carry exactly enough are refused, long text is text."""

import pytest

from app.bundle.scalars import ScalarError, resolve_plain


@pytest.mark.parametrize("text", ["9" * 5000, "0." + "1" * 500, "-" + "9" * 20, "0x" + "f" * 17])
def test_numbers_that_cannot_be_carried_are_refused(text: str) -> None:
    with pytest.raises(ScalarError):
        resolve_plain(text)


def test_long_text_that_begins_like_a_number_is_text() -> None:
    text = "1-" * 300
    assert resolve_plain(text) == text


@pytest.mark.parametrize("number", [-(2**63), 2**63 - 1])
def test_the_largest_numbers_are_exact(number: int) -> None:
    assert resolve_plain(str(number)) == number
