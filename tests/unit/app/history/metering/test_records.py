"""What of a message is counted, and what is left out."""

from typing import Any

import msgspec
import pytest

from app.history.metering.records import FIGURE_MAX, RECORDS_MAX, CountedRun, runs_of
from tests.support.usage_records import A_TIME_MS, HOUR_MS, a_message, a_record, subject_of


def counted(*records: Any, subject: str | None = None) -> list[CountedRun]:
    data = msgspec.json.encode(list(records))
    return list(runs_of(subject or "greentic.runs.dev.acme.orders", data))


def test_a_record_says_all_that_is_counted() -> None:
    [run] = counted(a_record("r1", status="failed"))
    assert run == CountedRun(
        tenant="acme",
        flow="orders",
        run_id="r1",
        status="failed",
        hour_ms=A_TIME_MS - A_TIME_MS % HOUR_MS,
        duration_ms=12,
        events=1,
        operations=10,
        effects=2,
        bytes=100,
    )


@pytest.mark.parametrize(
    ("changes", "events"),
    [
        ({}, 1),
        ({"batch": ["a", "b", "c"]}, 3),
        ({"batch": []}, 1),
        ({"parent_run_id": "p"}, 0),
        ({"parent_run_id": "p", "batch": ["a"]}, 0),
    ],
)
def test_a_record_without_figures_counts_the_events_it_names(
    changes: dict[str, Any], events: int
) -> None:
    record = a_record("r1", **changes)
    del record["usage"]
    [run] = counted(record)
    assert (run.events, run.operations, run.effects, run.bytes) == (events, 0, 0, 0)
    assert run.duration_ms == 12


@pytest.mark.parametrize("value", [-1, "7", 1.5, None, True, [], {}])
def test_a_figure_that_is_none_counts_nothing(value: Any) -> None:
    usage = {"events": 1, "operations": value, "effects": 1, "bytes": 5}
    [run] = counted(a_record("r1", usage=usage))
    assert (run.events, run.operations, run.effects, run.bytes) == (1, 0, 1, 5)


def test_a_figure_beyond_reason_is_cut() -> None:
    [run] = counted(a_record("r1", usage={"operations": 1 << 60}, started_ms=-(1 << 62)))
    assert run.operations == FIGURE_MAX
    assert run.duration_ms == FIGURE_MAX


def test_a_run_that_ended_before_it_began_took_no_time() -> None:
    [run] = counted(a_record("r1", started_ms=A_TIME_MS + 5))
    assert run.duration_ms == 0


@pytest.mark.parametrize(
    "record",
    [
        7,
        None,
        {},
        a_record("r", tenant="other"),
        a_record("r", flow="other"),
        a_record("r", finished_ms=-1, started_ms=-2),
        a_record("r", finished_ms=253_402_300_800_000),
        a_record("r") | {"run_id": 5},
        a_record("r", started_ms="x"),
        {key: value for key, value in a_record("r").items() if key != "status"},
    ],
    ids=map(str, range(10)),
)
def test_what_is_no_record_of_the_subject_is_left_out(record: Any) -> None:
    assert [run.run_id for run in counted(a_record("a"), record, a_record("b"))] == ["a", "b"]


@pytest.mark.parametrize("data", [b"", b"{}", b"[", b"7", b"\xff", b"[" * 100_000, b'["\xff"]'])
def test_what_is_no_list_of_records_counts_nothing(data: bytes) -> None:
    assert list(runs_of("greentic.runs.dev.acme.orders", data)) == []


@pytest.mark.parametrize("subject", ["", "greentic.runs.dev.acme", "x"])
def test_a_subject_without_a_flow_has_no_runs(subject: str) -> None:
    assert counted(a_record("a"), subject=subject or "greentic") == []


def test_the_flow_of_a_folder_is_known_by_its_tokens() -> None:
    record = a_record("a", flow="auth/login")
    [run] = counted(record, subject=subject_of([record]))
    assert run.flow == "auth/login"


def test_a_message_has_a_bounded_number_of_records() -> None:
    many = a_message(1, [a_record(str(number)) for number in range(RECORDS_MAX + 1)])
    assert len(list(runs_of(many.subject, many.data))) == RECORDS_MAX
