"""What one message of a RUNS stream comes to."""

import json
from typing import Any

import pytest

from app.history.projection.reading import MessagePlace, read_message, shard_of

PLACE = MessagePlace("greentic.runs.dev.acme.orders.paid", shard=3, sequence=17)


def record(**fields: Any) -> dict[str, Any]:
    return {
        "tenant": "acme",
        "run_id": "r1",
        "flow": "orders/paid",
        "flow_version": "v1",
        "status": "completed",
        "event_id": "e1",
        "event_type": "order.paid",
        "started_ms": 1,
        "finished_ms": 2,
        "attempt": 1,
        **fields,
    }


def read(records: Any) -> Any:
    return read_message(json.dumps(records).encode(), PLACE)


def test_rows_carry_the_place_of_their_records() -> None:
    found = read([record(), record(run_id="r2")])
    assert [(row.run_id, row.shard, row.sequence, row.index) for row in found.rows] == [
        ("r1", 3, 17, 0),
        ("r2", 3, 17, 1),
    ]
    assert (found.malformed, found.reasons) == (0, ())


def test_one_bad_record_leaves_the_others_and_their_indexes() -> None:
    found = read([record(), {"run_id": "r2"}, record(run_id="r3"), 7])
    assert [(row.run_id, row.index) for row in found.rows] == [("r1", 0), ("r3", 2)]
    assert found.malformed == 2
    assert [reason.split(":")[0] for reason in found.reasons] == ["record 1", "record 3"]


def test_a_record_of_another_tenant_is_left_out() -> None:
    found = read([record(tenant="other"), record()])
    assert [row.run_id for row in found.rows] == ["r1"]
    assert found.malformed == 1


@pytest.mark.parametrize("data", [b"", b"{", b"{}", b"null", b"\xff", b"[" * 100_000])
def test_a_message_that_is_no_list_is_one_malformed_record(data: bytes) -> None:
    found = read_message(data, PLACE)
    assert (list(found.rows), found.malformed, len(found.reasons)) == ([], 1, 1)


def test_few_reasons_are_told_and_all_counted() -> None:
    found = read([{}] * 40)
    assert (found.malformed, len(found.reasons)) == (40, 5)


def test_an_empty_list_is_nothing() -> None:
    assert (read([]).rows, read([]).malformed) == ([], 0)


@pytest.mark.parametrize(
    ("stream", "shard"),
    [("RUNS-dev-0", 0), ("RUNS-a-b-12", 12), ("RUNS-dev", None), ("WORK-dev-0", None)],
)
def test_the_shard_is_read_off_the_streams_name(stream: str, shard: int | None) -> None:
    assert shard_of(stream) == shard
