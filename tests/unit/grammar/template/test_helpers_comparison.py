"""Helpers that compare and combine: `eq ne lt lte gt gte and or not`."""

from typing import Any

import pytest

from grammar import BudgetExceededError, compile_template
from tests.support.scopes import Drawer, nested

DEEP = nested(70)
DRAWER = Drawer()


def told(helper: str, *values: Any) -> bool:
    names = {f"v{index}": value for index, value in enumerate(values)}
    shown = compile_template(" ".join(["{{", helper, *names, "}}"])).evaluate(names)
    assert type(shown) is bool
    return shown


@pytest.mark.parametrize(
    ("left", "right", "is_equal"),
    [
        (1, 1, True),
        (1, 1.0, True),
        (1, 2, False),
        (1, True, False),
        (True, True, True),
        (False, 0, False),
        (None, None, True),
        (None, False, False),
        (None, "", False),
        ("1", 1, False),
        ("a", "a", True),
        ("a", "b", False),
        (float("nan"), float("nan"), False),
        ([], [], True),
        ([1, [2]], [1, [2.0]], True),
        ([1], (1,), True),
        ([1, True], [1, 1], False),
        ([1], [1, 2], False),
        ([1], {"0": 1}, False),
        ({}, {}, True),
        ({"a": [1]}, {"a": [1]}, True),
        ({"a": 1}, {"b": 1}, False),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, 1, False),
        ("x" * 1_000, "x" * 1_000, True),
        (DEEP, DEEP, False),
    ],
)
def test_equality_is_deep_and_knows_types(left: Any, right: Any, is_equal: bool) -> None:
    assert told("eq", left, right) is is_equal
    assert told("eq", right, left) is is_equal
    assert told("ne", left, right) is not is_equal


def test_a_host_object_equals_itself_alone() -> None:
    assert told("eq", DRAWER, DRAWER)
    assert not told("eq", DRAWER, {})


@pytest.mark.parametrize(
    ("left", "right", "order"),
    [
        (1, 2, "<"),
        (2, 1.5, ">"),
        (1, 1.0, "="),
        ("a", "b", "<"),
        ("b", "a", ">"),
        ("a", "a", "="),
        ("x" * 99, "x" * 99, "="),
        ("a", 1, ""),
        (1, "a", ""),
        (True, 0, ""),
        (0, True, ""),
        (None, 1, ""),
        ([1], [2], ""),
        ({}, {}, ""),
        (float("nan"), 1, ""),
        (10**400, 1.5, ">"),
    ],
)
def test_order_is_of_numbers_and_of_texts(left: Any, right: Any, order: str) -> None:
    assert told("lt", left, right) is (order == "<")
    assert told("lte", left, right) is (order in {"<", "="} and order != "")
    assert told("gt", left, right) is (order == ">")
    assert told("gte", left, right) is (order in {">", "="} and order != "")


@pytest.mark.parametrize(
    ("value", "is_true"),
    [(0, False), ("", False), ([], False), (None, False), ("a", True), ({}, True), ([0], True)],
)
def test_and_or_not_take_truth_as_if_does(value: Any, is_true: bool) -> None:
    assert told("and", value) is is_true
    assert told("and", value, True) is is_true
    assert told("and", True, value, True) is is_true
    assert told("or", value, False) is is_true
    assert told("or", True, value) is True
    assert told("not", value) is not is_true


@pytest.mark.parametrize("helper", ["eq", "lt"])
def test_comparing_is_paid_by_size(helper: str) -> None:
    loop = compile_template(f"{{{{#each n}}}}{{{{{helper} ../a ../b}}}}{{{{/each}}}}")
    text = "x" * 600_000
    with pytest.raises(BudgetExceededError) as caught:
        loop.render({"n": [1] * 20, "a": text, "b": text + "y"})
    assert caught.value.kind in {"limit_operations", "limit_time"}
