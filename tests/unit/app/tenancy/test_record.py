"""A tenant's record: what it holds, what it refuses, and when its tombstone ends."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from actors.errors import InvalidSubjectError
from app.errors import StoreError, ValueRefusedError
from app.tenancy.desk import TenantChange
from app.tenancy.record import (
    RECORD_BYTES_MAX,
    TenantRecord,
    TenantSettings,
    read_record,
)

NOW_MS = 1_700_000_000_000
DAY_MS = 24 * 3600 * 1000
ACME = TenantRecord(
    id="acme",
    name="Acme Ltd",
    created_ms=NOW_MS,
    changed_ms=NOW_MS,
    plan="pro",
    settings=TenantSettings("Europe/Berlin", "de"),
    workers=2,
)


@pytest.mark.parametrize(
    "record",
    [
        ACME,
        replace(ACME, settings=TenantSettings(), workers=None, status="suspended"),
        replace(ACME, name="Ünïcode ✓", origin="folder"),
        ACME.deleted(NOW_MS + 5),
        ACME.deleted(NOW_MS + 5).purged(NOW_MS + 9),
    ],
    ids=["full", "bare", "name", "deleted", "purged"],
)
def test_record_is_read_as_it_was_written(record: TenantRecord) -> None:
    assert read_record("acme", record.as_bytes()) == record


def test_document_has_exactly_the_fields_that_others_go_by() -> None:
    assert json.loads(ACME.as_bytes()) == {
        "v": 1, "id": "acme", "name": "Acme Ltd", "plan": "pro",
        "settings": {"timezone": "Europe/Berlin", "language": "de"},
        "workers": 2, "cell": "default", "status": "active", "origin": "api",
        "created_ms": NOW_MS, "changed_ms": NOW_MS, "deleted_ms": None, "purged_ms": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "changed",
    [
        {"v": 2},
        {"id": "other"},
        {"extra": 1},
        {"status": "gone"},
        {"origin": "moon"},
        {"plan": "No Plan"},
        {"cell": "a.b"},
        {"workers": "2"},
        {"workers": 0},
        {"workers": True},
        {"name": ""},
        {"name": "a\nb"},
        {"name": "x" * 201},
        {"settings": {}},
        {"settings": {"timezone": "\x00", "language": None}},
        {"deleted_ms": NOW_MS},
        {"status": "deleted"},
        {"purged_ms": NOW_MS},
        {"created_ms": "now"},
    ],
    ids=lambda changed: json.dumps(changed)[:40],
)
def test_anything_but_a_record_of_this_version_is_none(changed: Mapping[str, Any]) -> None:
    document = json.loads(ACME.as_bytes()) | dict(changed)
    with pytest.raises(StoreError, match="'acme'") as caught:
        read_record("acme", json.dumps(document).encode())
    assert not isinstance(caught.value, ValueRefusedError)


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[]", b"\xff", b"{}", b"[" * 5000, b" " * RECORD_BYTES_MAX + ACME.as_bytes()],
    ids=["empty", "null", "list", "no-text", "object", "deep", "large"],
)
def test_noise_is_no_record(data: bytes) -> None:
    with pytest.raises(StoreError):
        read_record("acme", data)


def test_copied_record_is_nobodys() -> None:
    with pytest.raises(StoreError):
        read_record("other", ACME.as_bytes())


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", ""), ("name", "x" * 201), ("name", "a\tb"), ("workers", 0), ("workers", 1001)],
    ids=lambda value: str(value)[:12],
)
def test_value_of_no_sense_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValueRefusedError):
        replace(ACME, **{field: value})


@pytest.mark.parametrize("field", ["id", "plan", "cell"])
def test_what_becomes_part_of_a_name_is_a_token(field: str) -> None:
    wrong: dict[str, Any] = {field: "a.*"}
    with pytest.raises(InvalidSubjectError):
        replace(ACME, **wrong)


# ── Tombstones ───────────────────────────────────────────────────────────────────────────────


def test_tombstone_ends_thirty_days_after_the_deletion_once_all_data_is_gone() -> None:
    tombstone = ACME.deleted(NOW_MS)
    assert tombstone.ttl_seconds(NOW_MS) is None, "nobody else knows that there is some"
    later = NOW_MS + 10 * DAY_MS
    purged = tombstone.purged(later)
    assert purged.ends_ms == tombstone.ends_ms == NOW_MS + 30 * DAY_MS
    assert purged.ttl_seconds(later) == 20 * 24 * 3600
    assert purged.ttl_seconds(later - 1) == 20 * 24 * 3600 + 1
    assert purged.ttl_seconds(NOW_MS + 40 * DAY_MS) == 1
    assert ACME.ttl_seconds(NOW_MS) is None


def test_tombstone_names_the_day_it_ends() -> None:
    assert ACME.deleted(NOW_MS).end_day == "2023-12-14"
    assert ACME.end_day == ""


def test_deleting_twice_keeps_the_first_time() -> None:
    tombstone = ACME.deleted(NOW_MS)
    assert tombstone.deleted(NOW_MS + 5) is tombstone
    assert not tombstone.is_active
    assert not replace(ACME, status="suspended").is_active
    assert ACME.is_active


def test_only_a_deleted_tenant_can_be_purged() -> None:
    with pytest.raises(StoreError):
        ACME.purged(NOW_MS)


# ── Changes ──────────────────────────────────────────────────────────────────────────────────


def test_change_leaves_what_it_does_not_name() -> None:
    assert TenantChange().applied_to(ACME) == ACME
    assert TenantChange(plan="free").applied_to(ACME) == replace(ACME, plan="free")


def test_nothing_is_a_value_like_any_other() -> None:
    changed = TenantChange(timezone=None, workers=None).applied_to(ACME)
    assert changed.settings == TenantSettings(None, "de")
    assert changed.workers is None
