"""The documents on the bus: inverse where they are read back, bounded, never a crash."""

import base64
import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import InvalidEventError
from actors.events import JSON_DEPTH_MAX, Event
from actors.outcomes import Answer, Ended, RunError, RunResult
from actors.ports import Continuation, DeadLetter, RunRecord
from app.bus import answers, continuations, dead_letters, records, results

EVENT = Event("e1", "order.created", "webhook", 5, {"total": 2**60 + 1})


def a_result(output: Any = None, **fields: Any) -> RunResult:
    result = RunResult("e1", "r1", "orders", "1", "completed", output, None, 1, 2, 1)
    return replace(result, **fields)


def a_record(output: Any = None, **fields: Any) -> RunRecord:
    given = {"path": ("a", "b")} | fields
    run_id = str(given.pop("run_id", "r1"))
    return RunRecord("acme", "order.created", "event", a_result(output, run_id=run_id), **given)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


# ── Results ──────────────────────────────────────────────────────────────────────────────────


def test_result_is_its_public_document() -> None:
    result = a_result({"n": 10**20}, error=RunError("http.timeout", "call", "no answer"))
    assert json.loads(results.encode_result(result)) == result.as_mapping()


@pytest.mark.parametrize(
    ("output", "code"),
    [
        (math.nan, "invalid_output"),
        (["\ud800"], "invalid_output"),
        (object(), "invalid_output"),
        ("x" * results.OUTPUT_BYTES_MAX, "too_large"),
    ],
)
def test_result_that_cannot_be_written_is_a_failure_that_says_so(output: Any, code: str) -> None:
    document = json.loads(results.encode_result(a_result(output)))
    assert document["status"] == "failed"
    assert document["output"] is None
    assert document["error"]["code"] == code
    assert document["run_id"] == "r1"


def test_output_of_full_depth_is_written() -> None:
    deep = nested(JSON_DEPTH_MAX)
    assert json.loads(results.encode_result(a_result(deep)))["output"] == deep


# ── Records ──────────────────────────────────────────────────────────────────────────────────


def test_record_says_where_the_run_came_from() -> None:
    document = json.loads(records.encode_record(a_record(7, parent_run_id="r0")))
    assert document["tenant"] == "acme"
    assert document["path"] == ["a", "b"]
    assert document["parent_run_id"] == "r0"
    assert document["output"] == 7


def test_large_output_is_cut_and_marked() -> None:
    data = records.encode_record(a_record("x" * 200_000))
    assert len(data) <= records.RECORD_BYTES_MAX
    output = json.loads(data)["output"]
    assert output["truncated"] is True
    assert output["bytes"] == 200_002
    assert output["preview"].startswith('"xxx')


def test_output_that_is_no_json_is_marked() -> None:
    assert json.loads(records.encode_record(a_record(math.inf)))["output"]["truncated"] is True


@pytest.mark.parametrize(
    "record",
    [
        a_record("x" * 100_000, path=tuple("s" * 500 for _ in range(1000))),
        a_record("\x01" * 100_000, path=tuple("\x01" * 500 for _ in range(1000)))._replace(
            result=a_result("\x01" * 90_000, error=RunError("c", "n" * 9000, "\x01" * 90_000)),
        ),
    ],
)
def test_every_record_fits(record: RunRecord) -> None:
    data = records.encode_record(record)
    assert len(data) <= records.RECORD_BYTES_MAX
    document = json.loads(data)
    assert document["path_truncated"] is True
    assert document["run_id"] == "r1"


def test_records_are_batched_by_count_and_by_bytes() -> None:
    many = list(records.build_messages(a_record(run_id=f"r{n}") for n in range(205)))
    assert [len(json.loads(data)) for _, data in many] == [100, 100, 5]
    large = list(records.build_messages(a_record("x" * 60_000, run_id=f"r{n}") for n in range(30)))
    assert sum(len(json.loads(data)) for _, data in large) == 30
    assert all(len(data) <= records.MESSAGE_BYTES_MAX for _, data in large)


def test_same_records_make_the_same_message_and_others_another() -> None:
    def message_id(*runs: str) -> str:
        [(identity, _)] = records.build_messages(a_record(run_id=run) for run in runs)
        return identity

    assert message_id("a", "b", "c") == message_id("a", "b", "c")
    assert message_id("a", "b", "c") != message_id("a", "x", "c")
    assert message_id("ab", "c") != message_id("a", "bc")


def test_no_records_make_no_message() -> None:
    assert list(records.build_messages(())) == []


# ── Dead letters ─────────────────────────────────────────────────────────────────────────────


def a_letter(**fields: Any) -> DeadLetter:
    letter = DeadLetter("acme", "failed", RunError("c", "n", "m"), 3, "r1")
    return replace(letter, **fields)


def test_letter_keeps_the_event_whole() -> None:
    event = replace(EVENT, payload=nested(JSON_DEPTH_MAX))
    document = json.loads(dead_letters.encode_letter(a_letter(event=event, flow="orders")))
    assert document["event"] == event.as_mapping()
    assert (document["flow"], document["attempts"], document["reason"]) == ("orders", 3, "failed")


def test_letter_keeps_raw_bytes_up_to_a_limit() -> None:
    raw = b"\xff" * (dead_letters.RAW_BYTES_MAX + 5)
    document = json.loads(dead_letters.encode_letter(a_letter(raw=raw, subject="a.b")))
    assert base64.b64decode(document["raw"]) == raw[: dead_letters.RAW_BYTES_MAX]
    assert document["raw_bytes"] == len(raw)
    assert document["event"] is None


@pytest.mark.parametrize("payload", [math.nan, "x" * 900_000])
def test_letter_with_an_event_that_cannot_be_written_keeps_its_id(payload: Any) -> None:
    event = replace(EVENT, payload=payload)
    document = json.loads(dead_letters.encode_letter(a_letter(event=event)))
    assert document["event"] is None
    assert document["event_id"] == "e1"


def test_long_message_of_a_letter_is_cut() -> None:
    letter = a_letter(error=RunError("c", None, "m" * 100_000))
    assert len(dead_letters.encode_letter(letter)) < 5000


WHOLE = DeadLetter(
    tenant="acme",
    reason="http.timeout",
    error=RunError("http.timeout", "call", "no answer"),
    attempts=4,
    letter_id="r1",
    event=EVENT,
    flow="orders",
    flow_version="1.2",
    trigger=2,
    path=("load", "call"),
    started_ms=10,
    failed_ms=20,
    parent_run_id="r0",
    hops=3,
    events=(EVENT, replace(EVENT, id="e2")),
)


@pytest.mark.parametrize(
    "letter",
    [
        WHOLE,
        replace(WHOLE, events=(EVENT,)),
        replace(WHOLE, events=(), trigger=None, parent_run_id=None, started_ms=None),
        a_letter(raw=b"\xff\x00", subject="a.b", reason="no_event"),
        a_letter(event=replace(EVENT, payload=nested(JSON_DEPTH_MAX))),
    ],
    ids=["batch", "batch-of-one", "event", "no-event", "deep"],
)
def test_letter_reads_back_as_it_was_written(letter: DeadLetter) -> None:
    read = dead_letters.decode_letter(dead_letters.encode_letter(letter))
    assert read.letter == letter
    assert read.event_id == (None if letter.event is None else letter.event.id)
    assert read.raw_bytes == (None if letter.raw is None else len(letter.raw))


def test_letter_whose_event_was_left_out_still_names_it() -> None:
    letter = replace(WHOLE, event=replace(EVENT, payload="x" * 900_000))
    read = dead_letters.decode_letter(dead_letters.encode_letter(letter))
    assert (read.letter.event, read.letter.events, read.event_id) == (None, (), "e1")


def test_letter_keeps_the_end_of_a_long_path() -> None:
    letter = replace(WHOLE, path=tuple(f"s{n}" for n in range(150)))
    read = dead_letters.decode_letter(dead_letters.encode_letter(letter)).letter
    assert list(read.path) == [f"s{n}" for n in range(50, 150)]


def test_letter_of_an_earlier_version_is_read() -> None:
    names = [
        "letter_id",
        "tenant",
        "reason",
        "error",
        "attempts",
        "flow",
        "event",
        "subject",
        "raw",
        "raw_bytes",
    ]
    document = dead_letters.letter_document(WHOLE)
    data = json.dumps({name: document[name] for name in names}).encode()
    letter = dead_letters.decode_letter(data).letter
    assert (letter.letter_id, letter.event, letter.trigger) == ("r1", EVENT, None)
    assert (letter.path, letter.failed_ms) == ((), 0)


@pytest.mark.parametrize(
    "change",
    [
        {"attempts": "4"},
        {"attempts": None},
        {"letter_id": 5},
        {"tenant": None},
        {"error": {"code": "c", "node": None}},
        {"event": {"id": "e1"}},
        {"event": "text"},
        {"more_events": [{}]},
        {"path": ["a", 1]},
        {"raw": "no base64!"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_what_is_no_letter_is_refused(change: dict[str, Any]) -> None:
    document = dead_letters.letter_document(WHOLE) | change
    with pytest.raises(InvalidEventError):
        dead_letters.decode_letter(json.dumps(document).encode())


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(field=st.sampled_from(sorted(dead_letters.letter_document(WHOLE))), value=_VALUES)
def test_any_value_of_a_field_makes_a_letter_or_is_refused(field: str, value: Any) -> None:
    document = dead_letters.letter_document(WHOLE) | {field: value}
    data = json.dumps(document).encode()
    try:
        read = dead_letters.decode_letter(data)
    except InvalidEventError:
        return
    again = dead_letters.decode_letter(dead_letters.encode_letter(read.letter))
    assert again.letter.event == read.letter.event
    assert (again.letter.flow, again.letter.reason) == (read.letter.flow, read.letter.reason)


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{}", b"\xff", b"[" * 5000])
def test_what_is_no_document_is_no_letter(data: bytes) -> None:
    with pytest.raises(InvalidEventError):
        dead_letters.decode_letter(data)


# ── Continuations ────────────────────────────────────────────────────────────────────────────


@given(
    attempt=st.integers(1, 21),
    due_ms=st.integers(0, 2**53),
    parent=st.none() | st.just("r0"),
    hops=st.integers(0, 99),
    payload=st.none() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
)
def test_continuation_comes_back_as_it_went(
    attempt: int, due_ms: int, parent: str | None, hops: int, payload: Any
) -> None:
    event = replace(EVENT, payload=payload)
    continuation = Continuation("r1", "auth/login", event, attempt, due_ms, parent, hops)
    data = continuations.encode_continuation(continuation)
    assert continuations.decode_continuation(data) == continuation


@pytest.mark.parametrize(("field", "value"), [("trigger", 0), ("trigger", "1"), ("round", -1)])
def test_continuation_with_an_odd_trigger_is_refused(field: str, value: object) -> None:
    document = json.loads(continuations.encode_continuation(Continuation("r1", "f", EVENT)))
    with pytest.raises(InvalidEventError, match=field):
        continuations.decode_continuation(json.dumps({**document, field: value}).encode())


def test_continuation_of_a_full_depth_event_is_written() -> None:
    continuation = Continuation("r1", "f", replace(EVENT, payload=nested(JSON_DEPTH_MAX)))
    data = continuations.encode_continuation(continuation)
    assert continuations.decode_continuation(data) == continuation


def test_too_large_continuation_is_refused() -> None:
    with pytest.raises(InvalidEventError, match="larger"):
        continuations.encode_continuation(
            Continuation("r1", "f", replace(EVENT, payload="x" * 900_000))
        )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("run_id", ""),
        ("run_id", "a.b"),
        ("run_id", 7),
        ("flow", ""),
        ("flow", None),
        ("attempt", 0),
        ("attempt", True),
        ("due_ms", -1),
        ("due_ms", 1.5),
        ("hops", "1"),
        ("parent_run_id", "*"),
    ],
)
def test_continuation_with_a_wrong_field_names_it(field: str, value: Any) -> None:
    document = json.loads(continuations.encode_continuation(Continuation("r1", "f", EVENT)))
    with pytest.raises(InvalidEventError) as refused:
        continuations.decode_continuation(json.dumps(document | {field: value}).encode())
    assert refused.value.field == field


@pytest.mark.parametrize("data", [b"[]", b"{}", b"x", b'{"run_id":"r1"}'])
def test_document_that_is_no_continuation_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidEventError):
        continuations.decode_continuation(data)


@pytest.mark.parametrize(
    ("due_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000_007, "2023-11-14T22:13:20.007Z"),
        (10**18, "9999-12-31T23:59:59.000Z"),
    ],
)
def test_due_time_is_rfc_3339(due_ms: int, text: str) -> None:
    assert continuations.format_due(due_ms) == text


# ── Answers ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "message",
    [
        Answer(200, {"x-a": "1"}, {"total": 2**60 + 1}),
        Answer(204),
        Answer(200, {}, "text"),
        Answer(200, {}, [None]),
        Ended("r1", "failed"),
    ],
)
def test_answer_comes_back_as_it_went(message: Answer | Ended) -> None:
    assert answers.decode_answer(answers.encode_answer(message)) == message


@pytest.mark.parametrize("body", [math.nan, "x" * answers.ANSWER_BYTES_MAX, object()])
def test_answer_that_cannot_be_sent_becomes_a_502(body: Any) -> None:
    sent = answers.decode_answer(answers.encode_answer(Answer(200, {}, body)))
    assert isinstance(sent, Answer)
    assert sent.status == 502


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"ended":{"run_id":1,"status":"x"}}',
        b'{"answer":{"status":"200","headers":{},"body":1}}',
        b'{"answer":{"status":200,"headers":[],"body":1}}',
        b'"' + b"x" * answers.ANSWER_BYTES_MAX + b'"',
    ],
)
def test_document_that_is_no_answer_reads_as_none(data: bytes) -> None:
    assert answers.decode_answer(data) is None


def test_header_that_is_no_text_is_left_out() -> None:
    read = answers.decode_answer(b'{"answer":{"status":200,"headers":{"a":1,"b":"c"},"body":1}}')
    assert read == Answer(200, {"b": "c"}, 1)
