"""Header fields that flows set. In: rendered maps. Out: pairs, or a refusal."""

from typing import Any

import pytest

from actors.errors import PermanentError
from actors.nodes.http_headers import check_headers


def test_absent_headers_are_none() -> None:
    assert check_headers(None, "r") == []


def test_values_become_text_without_blanks_around_them() -> None:
    assert check_headers({"A": " x ", "B": 1, "C": True}, "r") == [
        ("A", "x"),
        ("B", "1"),
        ("C", "true"),
    ]


@pytest.mark.parametrize(
    "headers", ["a", [1], {f"h{n}": "x" for n in range(65)}, {"Transfer-Encoding": "chunked"}]
)
def test_what_is_no_small_map_is_refused(headers: Any) -> None:
    with pytest.raises(PermanentError) as caught:
        check_headers(headers, "reason")
    assert caught.value.reason == "reason"
