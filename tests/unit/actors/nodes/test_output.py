"""The limits of a node's value (SPEC 13). In: values. Out: the same value, or a refusal."""

import datetime as dt
from typing import Any

import pytest

from actors.errors import PermanentError
from actors.nodes.output import OUTPUT_BYTES_MAX, check_output


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        2**200,
        1.5,
        "",
        "x",
        {},
        [],
        {"a": [1, {"b": None}]},
        nested(64),
        "x" * 200_000,
    ],
)
def test_json_passes_unchanged(value: Any) -> None:
    assert check_output(value) is value


@pytest.mark.parametrize(
    "value",
    [
        float("nan"), float("inf"), [-float("inf")], {"a": {1: 2}}, {1, 2}, (1,), b"x",
        dt.date(2024, 1, 1), [object()],
    ],
)  # fmt: skip
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(PermanentError) as caught:
        check_output(value)
    assert caught.value.reason == "not_json"


@pytest.mark.parametrize(
    "value",
    [
        "x" * (OUTPUT_BYTES_MAX - 1),
        "é" * (OUTPUT_BYTES_MAX // 2),
        ["x" * 1024] * 257,
        [1] * 200_000,
        {f"k{n}": n for n in range(40_000)},
        [["x" * 100_000]] * 100,
        nested(65),
    ],
)
def test_what_is_too_large_or_deep_is_refused(value: Any) -> None:
    with pytest.raises(PermanentError) as caught:
        check_output(value)
    assert caught.value.reason == "too_large"


def test_size_is_counted_as_json_bytes() -> None:
    just_fits = "x" * (OUTPUT_BYTES_MAX - 2)
    assert check_output(just_fits) is just_fits


def test_own_limit_and_name() -> None:
    with pytest.raises(PermanentError, match="the payload is larger than 10 bytes"):
        check_output("x" * 9, "payload", bytes_max=10)


def test_parts_that_are_shared_count_each_time_they_appear() -> None:
    value: Any = [1] * 600
    for _ in range(3):
        value = [value] * 600
    with pytest.raises(PermanentError) as caught:
        check_output(value)
    assert caught.value.reason == "too_large"


@pytest.mark.parametrize(
    "value",
    [
        {"a": None, "b": True, "c": 1, "d": "x" * 256, "e": 1.5},
        {f"k{n}": "x" * 256 for n in range(33)},
        {"k" * 257: 1},
        {"a": 1 << 63},
        {"a": "x" * 257},
        {"a": [1]},
    ],
)
def test_maps_pass_whether_small_and_flat_or_not(value: Any) -> None:
    assert check_output(value) is value


@pytest.mark.parametrize("value", [{1: 1}, {"a": float("nan")}, {"a": (1,)}])
def test_small_maps_are_checked_too(value: Any) -> None:
    with pytest.raises(PermanentError) as caught:
        check_output(value)
    assert caught.value.reason == "not_json"
