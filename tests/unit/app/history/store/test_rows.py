"""A record becomes a row, or is refused by the name of the field that is wrong."""

from typing import Any

import pytest

from actors.errors import InvalidEventError
from actors.outcomes import RunError, RunResult
from actors.ports import RunRecord
from app.bus.codec import decode_json
from app.bus.records import encode_record
from app.history.store.rows import MESSAGE_CHARS_MAX, NUMBER_MAX, row_of
from tests.support.histories import a_record, a_row, an_error


def test_a_row_has_all_that_its_record_says() -> None:
    record = a_record(
        7,
        correlation_id="order-7",
        parent_run_id="run-1",
        status="failed",
        error=an_error("no answer"),
    )
    row = row_of(record, 3, 41, 5)
    for name in ("tenant", "run_id", "flow", "flow_version", "status", "event_id", "event_type",
                 "trigger", "correlation_id", "parent_run_id", "started_ms", "finished_ms",
                 "attempt"):  # fmt: skip
        assert getattr(row, name) == record[name]
    assert (row.error_code, row.error_node, row.error_message) == (
        "http.status", "fetch", "no answer",
    )  # fmt: skip
    assert (row.events, row.operations, row.effects, row.bytes) == (1, 120, 2, 340)
    assert (row.shard, row.sequence, row.index) == (3, 41, 5)
    assert row.document == record


def test_what_workers_write_is_a_record() -> None:
    result = RunResult(
        event_id="e", run_id="r", flow="f", flow_version="v", status="failed", output=None,
        error=RunError(code="c", node="n", message="m"), started_ms=1, finished_ms=2, attempt=1,
    )  # fmt: skip
    record = RunRecord(tenant="acme", event_type="t", trigger="event", result=result)
    row = row_of(decode_json(encode_record(record), "record"), 0, 1, 0)
    assert (row.tenant, row.flow, row.error_code) == ("acme", "f", "c")


def test_an_older_record_lacks_what_came_later() -> None:
    record = a_record()
    for name in ("correlation_id", "usage", "steps"):
        del record[name]
    row = row_of(record, 0, 1, 0)
    assert row.correlation_id is None
    assert (row.events, row.operations, row.effects, row.bytes) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tenant", None), ("run_id", ""), ("run_id", "x" * 129), ("flow", 3), ("event_id", []),
        ("event_type", None), ("status", None), ("flow_version", 1), ("finished_ms", "now"),
        ("finished_ms", -1), ("finished_ms", NUMBER_MAX + 1), ("started_ms", 1.5),
        ("attempt", True),
    ],
)  # fmt: skip
def test_what_is_no_record_is_refused_by_its_field(field: str, value: Any) -> None:
    with pytest.raises(InvalidEventError) as refused:
        a_row(**{field: value})
    assert refused.value.field == field


@pytest.mark.parametrize("value", [None, [], "text", 7], ids=str)
def test_what_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(InvalidEventError):
        row_of(value, 0, 1, 0)


def test_a_missing_field_is_refused() -> None:
    record = a_record()
    del record["status"]
    with pytest.raises(InvalidEventError):
        row_of(record, 0, 1, 0)


@pytest.mark.parametrize(
    "usage",
    [None, 7, [], {"events": "1", "operations": -1, "effects": 1.5, "bytes": True}],
    ids=["null", "number", "list", "odd"],
)
def test_odd_usage_counts_as_none(usage: Any) -> None:
    row = a_row(usage=usage)
    assert (row.events, row.operations, row.effects, row.bytes) == (0, 0, 0, 0)


def test_texts_are_such_as_every_database_takes() -> None:
    row = a_row(
        error=an_error("nul \0 and half \ud800"), status="failed", correlation_id="a\0b", flow="ü"
    )
    assert row.error_message == "nul \ufffd and half ?"
    assert row.correlation_id == "a\ufffdb"
    assert row.flow == "ü"


def test_what_is_only_shown_is_cut_and_the_document_is_whole() -> None:
    row = a_row(error=an_error("x" * 5000), correlation_id="c" * 300)
    assert row.error_message == "x" * MESSAGE_CHARS_MAX
    assert row.correlation_id == "c" * 256
    assert row.document["error"]["message"] == "x" * 5000
