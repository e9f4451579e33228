"""Keys and the gate. In: values and sequences. Out: names, and who may pass."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import PermanentError
from actors.flows.control import ConcurrencyRule, ControlPlan, RateRule
from actors.lanes.gate import Gate
from actors.lanes.keys import KEY_BYTES_MAX, hash_of_key, keys_of
from actors.nodes.scope import build_scope
from grammar import compile_script
from tests.support.builders import an_event


def scope(payload: Any) -> Any:
    event = an_event(payload=payload)
    return build_scope(event, env="dev", tenant="demo", now_seconds=0, variables={"v": 1})


# ── Keys ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ([1, 2], [2, 1], False),
        (1, 1.0, False),
        ("1", 1, False),
        (None, "", False),
        ("é", "é", True),
        ("e\u0301", "é", False),
        (2**63, 2**63 + 1, False),
    ],
)
def test_keys_are_equal_as_json(one: Any, other: Any, is_same: bool) -> None:
    assert (hash_of_key(one) == hash_of_key(other)) is is_same


@pytest.mark.parametrize("value", [float("nan"), object(), {"x": object()}, "x" * KEY_BYTES_MAX])
def test_what_is_no_small_json_is_no_key(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        hash_of_key(value)


def test_rules_without_key_and_of_tenant_scope_have_names_too() -> None:
    plan = ControlPlan(
        concurrency=ConcurrencyRule(1, compile_script("payload.k"), "tenant"),
        throttle=RateRule(1, 1),
        ordered=compile_script("flow.v"),
    )
    keys = keys_of("a/b", plan, scope({"k": "x"}))
    assert keys == {
        "concurrency": f"concurrency:~:{hash_of_key('x')}",
        "throttle": "throttle:a/b:",
        "ordered": f"ordered:a/b:{hash_of_key(1)}",
    }


@pytest.mark.parametrize(
    ("text", "payload"),
    [("payload.k.x", {"k": 1}), ("nobody", {}), ("payload", "x" * KEY_BYTES_MAX), ("|x| x", {}), ("let i = 0; while true { i += 1 }", {})],
    ids=["type", "name", "large", "function", "budget"],
)  # fmt: skip
def test_key_that_fails_says_so(text: str, payload: Any) -> None:
    plan = ControlPlan(ordered=compile_script(text))
    with pytest.raises(PermanentError, match="key of 'ordered'") as caught:
        keys_of("orders", plan, scope(payload))
    assert caught.value.reason == "control_key_failed"


def test_missing_field_is_a_key_of_its_own() -> None:
    plan = ControlPlan(ordered=compile_script("payload.k"))
    assert keys_of("o", plan, scope({}))["ordered"] == f"ordered:o:{hash_of_key(None)}"


# ── Gate ─────────────────────────────────────────────────────────────────────────────────────


def test_gate_is_shut_until_it_is_known_what_is_missing() -> None:
    gate = Gate()
    assert not gate.is_open_for(1)
    gate.take_over([], [])
    assert gate.is_open_for(1)
    gate.shut()
    assert not gate.is_open_for(1)
    assert not gate.is_clear


@given(
    st.sets(st.integers(1, 40)),
    st.sets(st.integers(1, 40)),
    st.lists(st.tuples(st.sampled_from(["expect", "arrive"]), st.integers(1, 40))),
    st.one_of(st.none(), st.sets(st.integers(1, 40))),
)
def test_gate_is_open_for_what_is_before_everything_missing(
    outstanding: set[int], ours: set[int], moves: list[tuple[str, int]], left: set[int] | None
) -> None:
    gate = Gate()
    gate.take_over(outstanding, ours)
    missing = outstanding - ours
    for move, sequence in moves:
        if move == "expect":
            gate.expect(sequence)
            missing.add(sequence)
        else:
            gate.arrive(sequence)
            missing.discard(sequence)
    if left is not None:
        gate.keep_only(left)
        missing &= left
    assert gate.is_clear is (not missing)
    for sequence in range(1, 42):
        assert gate.is_open_for(sequence) is all(sequence < one for one in missing)
