"""Outcomes: the settle table of DESIGN 4, and the document of a result."""

from typing import Any, get_args

import pytest

from actors.outcomes import (
    Answer,
    Cancelled,
    Completed,
    Continued,
    Failed,
    Interrupted,
    Rejected,
    RunError,
    RunOutcome,
    RunResult,
    Settlement,
    settlement_of,
    status_of,
)

ERROR = RunError("http.timeout", "call/send", "no answer")
TABLE: dict[type[Any], tuple[Any, Settlement, str | None]] = {
    Completed: (Completed(1), Settlement.ACK, "completed"),
    Failed: (Failed(ERROR), Settlement.ACK, "failed"),
    Rejected: (Rejected("rate"), Settlement.ACK, "rejected"),
    Cancelled: (Cancelled("asked"), Settlement.ACK, "cancelled"),
    Continued: (Continued(1, 2), Settlement.ACK, None),
    Interrupted: (Interrupted("going"), Settlement.NAK, None),
}


def test_the_table_has_every_outcome() -> None:
    assert set(TABLE) == set(get_args(RunOutcome))


@pytest.mark.parametrize("kind", TABLE)
def test_only_an_interrupted_run_gives_its_delivery_back(kind: type[Any]) -> None:
    outcome, settlement, _ = TABLE[kind]
    assert settlement_of(outcome) is settlement


@pytest.mark.parametrize("kind", [kind for kind, row in TABLE.items() if row[2]])
def test_final_outcomes_have_the_names_of_the_contract(kind: type[Any]) -> None:
    outcome, _, status = TABLE[kind]
    assert status_of(outcome) == status


@pytest.mark.parametrize("judge", [settlement_of, status_of])
def test_what_is_no_outcome_is_refused(judge: Any) -> None:
    with pytest.raises(AssertionError):
        judge("completed")


@pytest.mark.parametrize("error", [None, ERROR])
def test_a_result_is_a_plain_document(error: RunError | None) -> None:
    status = "completed" if error is None else "failed"
    result = RunResult("evt-1", "run-1", "orders", "1.0", status, {"a": 1}, error, 10, 20, 3)
    assert result.as_mapping() == {
        "event_id": "evt-1",
        "run_id": "run-1",
        "flow": "orders",
        "flow_version": "1.0",
        "status": status,
        "output": {"a": 1},
        "error": error and {"code": "http.timeout", "node": "call/send", "message": "no answer"},
        "started_ms": 10,
        "finished_ms": 20,
        "attempt": 3,
    }


def test_an_answer_needs_a_status_only() -> None:
    assert (Answer(204).headers, Answer(204).body) == ({}, None)
