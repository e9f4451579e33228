"""Steps in a record. In: steps with any values. Out: JSON that is bounded and hides credentials."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.outcomes import RunResult
from actors.ports import ABSENT, RunRecord, RunStep, RunUsage
from app.bus import records
from app.bus.codec import decode_json
from app.bus.record_steps import (
    HIDDEN,
    PREVIEW_BYTES_MAX,
    PREVIEWS_BYTES_MAX,
    encode_steps,
    encode_value,
)


def a_step(output: Any = ABSENT, **fields: Any) -> RunStep:
    return RunStep("first", "script", 3, 40, "done", output=output, **fields)


def a_record(*steps: RunStep, output: Any = None, **fields: Any) -> RunRecord:
    result = RunResult("e1", "r1", "orders", "1", "completed", output, None, 1, 2, 1)
    path = tuple(step.step for step in steps)
    return RunRecord("acme", "order.created", "event:1", result, path, steps=steps, **fields)


def written(record: RunRecord) -> dict[str, Any]:
    data = records.encode_record(record)
    assert len(data) <= records.RECORD_BYTES_MAX
    document: dict[str, Any] = decode_json(data, "record")
    return document


def preview_of(value: Any) -> Any:
    (step,) = json.loads(encode_steps([a_step(value)]))
    return step["output"]


def test_a_step_is_written_with_all_that_is_out_of_the_ordinary() -> None:
    full = RunStep("a/b", "http", 3, 40, "failed", 2, True, True, {"url": "x"}, None, "http.status")
    bare, whole = json.loads(encode_steps([a_step(), full]))
    assert bare == {
        "step": "first", "node": "script", "at_ms": 3, "took_us": 40, "outcome": "done",
    }  # fmt: skip
    assert whole == {
        "step": "a/b", "node": "http", "at_ms": 3, "took_us": 40, "outcome": "failed",
        "attempt": 2, "is_journalled": True, "is_replayed": True, "input": {"url": "x"},
        "output": None, "code": "http.status",
    }  # fmt: skip


@pytest.mark.parametrize("value", [None, 0, "", "ä", [], {"a": [1, {"b": None}]}, 2**70, 1.5])
def test_a_small_value_is_shown_as_it_is(value: Any) -> None:
    assert preview_of(value) == value


@pytest.mark.parametrize("value", ["x" * 5000, '"\\' * 3000, "ä" * 900, ["\x01" * 300] * 9])
def test_a_large_value_is_cut_and_marked(value: Any) -> None:
    shown = preview_of(value)
    assert shown["truncated"] is True
    assert shown["bytes"] == len(encode_value(value) or b"") > PREVIEW_BYTES_MAX
    assert 100 < len(shown["preview"]) <= PREVIEW_BYTES_MAX
    assert len(json.dumps(shown, ensure_ascii=False).encode()) <= PREVIEW_BYTES_MAX + 10


@pytest.mark.parametrize(
    "key",
    [
        "password", "Passwd", "pwd", "client_secret", "access_token", "Authorization",
        "set-cookie", "apiKey", "api_key", "X-API-Key", "credentials", "private_key",
    ],
)  # fmt: skip
def test_what_is_called_like_a_credential_is_hidden(key: str) -> None:
    value = {"ok": 1, "deep": [{key: "hunter2"}], key: {"x": "hunter2"}}
    assert preview_of(value) == {"ok": 1, "deep": [{key: HIDDEN}], key: HIDDEN}
    large = {key: "hunter2", "rest": "x" * 5000}
    assert "hunter2" not in json.dumps(preview_of(large))


@pytest.mark.parametrize("value", [object(), "\ud800", {1, object()}])
def test_what_is_no_json_is_marked(value: Any) -> None:
    assert preview_of(value)["truncated"] is True


def test_a_number_that_json_does_not_know_is_null() -> None:
    assert preview_of([math.nan]) == [None]


def test_readers_take_whatever_depth_a_value_has() -> None:
    for depth in (60, 64, 65, 96, 200):
        value: Any = 1
        for _ in range(depth):
            value = [value]
        document = written(a_record(a_step(value)))
        assert document["steps"][0]["step"] == "first"


def test_the_last_steps_have_their_values_shown_first() -> None:
    steps = [a_step("x" * 3000) for _ in range(40)]
    shown = json.loads(encode_steps(steps))
    previews = ["preview" in step["output"] for step in shown]
    assert previews == sorted(previews)
    assert previews.count(True) == PREVIEWS_BYTES_MAX // PREVIEW_BYTES_MAX
    assert all(step["output"]["truncated"] for step in shown)


# ── Whole records ────────────────────────────────────────────────────────────────────────────


def test_a_record_says_what_its_run_used_and_belongs_to() -> None:
    usage = RunUsage(2, 34, 5, ({"a": 1}, "ä"))
    document = written(a_record(a_step(7), usage=usage, correlation_id="order-7"))
    assert document["correlation_id"] == "order-7"
    assert document["usage"] == {"events": 2, "operations": 34, "effects": 5, "bytes": 7 + 4}
    assert document["steps"][0]["output"] == 7
    assert "steps_truncated" not in document


def test_a_record_of_before_has_the_new_fields_empty() -> None:
    document = written(a_record())
    assert document["correlation_id"] is None
    assert document["steps"] == []
    assert document["usage"] == {"events": 0, "operations": 0, "effects": 0, "bytes": 0}


def test_values_go_before_the_output_does() -> None:
    steps = [a_step("x" * 900) for _ in range(20)]
    document = written(a_record(*steps, output="y" * 50_000))
    assert document["output"] == "y" * 50_000
    assert document["steps_truncated"] is True
    assert "output" not in document["steps"][0]


def test_an_output_that_does_not_fit_leaves_room_for_values() -> None:
    document = written(a_record(a_step("x"), output="y" * 70_000))
    assert document["output"]["truncated"] is True
    assert document["steps"][0]["output"] == "x"
    assert "steps_truncated" not in document


def test_a_batch_of_many_events_fits() -> None:
    record = a_record(a_step("x"))
    batch = tuple(f"{number:0128}" for number in range(1000))
    document = written(record._replace(result=_with_batch(record.result, batch)))
    assert document["batch_truncated"] is True
    assert document["batch"] == list(batch[: records.BATCH_KEPT])


def _with_batch(result: RunResult, batch: tuple[str, ...]) -> RunResult:
    return RunResult(
        **{name: getattr(result, name) for name in RunResult.__slots__ if name != "batch"},
        batch=batch,
    )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60)
    | st.text(alphabet='x\x01"', min_size=300, max_size=2000),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=9), inner, max_size=6),
    max_leaves=20,
)  # fmt: skip
STEPS = st.builds(
    RunStep,
    step=st.text(min_size=1, max_size=400), node=st.text(max_size=20), at_ms=st.integers(0, 2**50),
    took_us=st.integers(0, 2**50), outcome=st.sampled_from(["done", "failed", "slept", "called"]),
    attempt=st.integers(1, 20), is_journalled=st.booleans(), is_replayed=st.booleans(),
    input=st.just(ABSENT) | VALUES, output=st.just(ABSENT) | VALUES,
    code=st.none() | st.text(max_size=100),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=12), st.integers(1, 9), VALUES)
def test_any_record_fits_and_tells_its_steps(steps: list[RunStep], times: int, output: Any) -> None:
    many = (steps * times)[:100]
    document = written(a_record(*many, output=output))
    shown = document["steps"]
    if len(shown) == len(many):
        assert [one["outcome"] for one in shown] == [one.outcome for one in many]
    else:
        assert document["steps_truncated"] is True
    again = written(a_record(*many, output=output))
    assert again == document
