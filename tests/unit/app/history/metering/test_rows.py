"""Usage as CSV and JSON; which usage can be asked for."""

import csv
import io

import pytest

from app.errors import ValueRefusedError
from app.history.metering.reading import DAY_MS, DAYS_MAX, UsageRow, UsageSearch
from app.history.metering.rows import COLUMNS, document_of, heading, line_of
from app.history.metering.usage import Usage

ROW = UsageRow(
    1_760_000_400_000,
    "auth/login",
    Usage(events=3, runs=2, failed=2, bytes=7, duration_ms=1010, durations={5: 1, 100: 1}),
)


def test_a_line_has_what_the_heading_names() -> None:
    [read] = csv.DictReader(io.StringIO(heading() + line_of("acme", ROW), newline=""))
    assert tuple(read) == COLUMNS
    assert read["tenant"], read["flow"] == ("acme", "auth/login")
    assert (read["start"], read["runs"], read["failed"]) == ("2025-10-09T09:00:00Z", "2", "2")
    assert read["p50_ms"] == "5.0"
    assert heading().endswith("\r\n")


def test_a_row_of_all_flows_without_runs_has_empty_cells() -> None:
    line = line_of("acme", UsageRow(0, None, Usage()))
    assert line == "acme,,1970-01-01T00:00:00Z," + "0," * 10 + ",,\r\n"


def test_a_document_has_no_buckets() -> None:
    document = document_of(ROW)
    assert set(document) == {"start_ms", *COLUMNS} - {"tenant"}
    assert document["p99_ms"] == pytest.approx(document["p95_ms"])


@pytest.mark.parametrize("flow", ["", "a.b", "*", ">", "A", "a//b", "/a"])
def test_what_is_no_flow_cannot_be_asked_for(flow: str) -> None:
    with pytest.raises(ValueRefusedError, match="no name of a flow"):
        UsageSearch(0, 1, flow)


def test_times_are_not_too_far_apart() -> None:
    UsageSearch(0, DAYS_MAX * DAY_MS)
    with pytest.raises(ValueRefusedError, match="400 days"):
        UsageSearch(0, DAYS_MAX * DAY_MS + 1)
