"""``Retry-After``. In: headers. Out: seconds from now."""

import pytest

from actors.nodes.retry_after import delay_seconds, retry_after_seconds

NOON = 1_700_000_000_000  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        (" 120 ", 120),
        ("999999999", 86_400),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60),
        ("Tue, 14 Nov 2023 22:14:20 -0000", 60),
        ("Tue, 14 Nov 2023 20:00:00 GMT", 0),
        ("Tue, 14 Nov 2093 20:00:00 GMT", 86_400),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("٣", None),
        ("9999999999", None),
        ("Tue, 99 Nov 2023 20:00:00 GMT", None),
    ],
)
def test_seconds_and_dates_are_read(text: str, seconds: float | None) -> None:
    assert retry_after_seconds({"retry-after": text}, NOON) == seconds


def test_providers_read_seconds_only() -> None:
    assert delay_seconds({"retry-after": "7"}) == 7
    assert delay_seconds({"retry-after": "Tue, 14 Nov 2023 22:14:20 GMT"}) is None
    assert delay_seconds({}) is None
    assert retry_after_seconds({}, NOON) is None
