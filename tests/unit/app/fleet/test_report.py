"""Reports: what is written is read again, and nothing else is a report."""

import json
from typing import Any

import pytest

from app.errors import StoreError
from app.fleet.report import (
    FAILED_MAX,
    REASON_CHARS_MAX,
    REPORT_BYTES_MAX,
    WorkerIdentity,
    cut_failed,
    read_report,
    worker_key,
)
from tests.support.fleets import report


def document(**changes: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(report("one", hot=("acme",)).as_bytes())
    return {**found, **changes}


def test_report_survives_its_bytes() -> None:
    said = report("one", acknowledged=7, failed={"acme": "no secret"}, failures=1, hot=("b",))
    assert read_report("one", said.as_bytes()) == said


def test_report_that_has_converged_never_is_told_from_one_that_has_at_nothing() -> None:
    assert not report("one", acknowledged=None).has_acknowledged(0)
    assert report("one", acknowledged=0).has_acknowledged(0)
    assert not report("one", acknowledged=0).has_acknowledged(1)


def test_field_of_a_later_version_is_let_be() -> None:
    data = json.dumps(document(zone="eu-1")).encode()
    assert read_report("one", data) == report("one", hot=("acme",))


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2}, {"v": None}, {"id": "two"}, {"id": ""}, {"pid": "4711"}, {"pid": -1},
        {"roles": "worker"}, {"roles": ["x"] * 11}, {"started_ms": 1.5}, {"beat": True},
        {"acknowledged": "7"}, {"acknowledged": -1}, {"failed": []}, {"failed": {"": "x"}},
        {"failed": {"acme": "x" * (REASON_CHARS_MAX + 1)}}, {"failed": {"acme": 1}},
        {"failed": {f"t{n}": "" for n in range(FAILED_MAX + 1)}}, {"tenants": None},
        {"hot": ["acme", 1]}, {"hot": ["a"] * 201}, {"version": "x" * 256},
    ],
    ids=lambda changes: "-".join(f"{k}={str(v)[:12]}" for k, v in changes.items()),
)  # fmt: skip
def test_what_is_no_report_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(StoreError):
        read_report("one", json.dumps(document(**changes)).encode())


@pytest.mark.parametrize("missing", sorted(document()))
def test_no_field_may_be_absent(missing: str) -> None:
    data = document()
    del data[missing]
    with pytest.raises(StoreError):
        read_report("one", json.dumps(data).encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000, b" " * (REPORT_BYTES_MAX + 1)],
    ids=["empty", "object", "array", "null", "binary", "deep", "large"],
)
def test_noise_is_refused(data: bytes) -> None:
    with pytest.raises(StoreError):
        read_report("one", data)


@pytest.mark.parametrize("worker_id", ["", "a.b", "A", "x" * 101, "a b", "*", ">"])
def test_id_that_could_name_other_keys_is_refused(worker_id: str) -> None:
    with pytest.raises(StoreError):
        worker_key(worker_id)


def test_process_has_another_identity_at_every_start() -> None:
    ids = [WorkerIdentity.of_this_process(["worker"], "1.0").id for _ in range(2)]
    assert len(set(ids)) == 2
    assert [worker_key(one) for one in ids] == [f"WORKER.{one}" for one in ids]


def test_failures_that_are_new_are_told_first() -> None:
    old = {f"a{n:03}": "old" for n in range(FAILED_MAX)}
    told = cut_failed({**old, "z": "new"}, old)
    assert len(told) == FAILED_MAX
    assert told["z"] == "new"
    assert cut_failed({"z": "x" * 1000}, ()) == {"z": "x" * REASON_CHARS_MAX}


def test_largest_report_is_readable() -> None:
    wild = {f"tenant-{n:03}" + "x" * 50: "\x00\udcff𝄞" * 100 for n in range(FAILED_MAX + 50)}
    said = report("one", failed=cut_failed(wild, ()), failures=len(wild))
    assert read_report("one", said.as_bytes()) == said
