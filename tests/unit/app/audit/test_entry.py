"""Entries of the audit log: read back as they were, bounded, and without secrets."""

import json
from typing import Any

import pytest

from app.audit.entry import (
    ENTRY_BYTES_MAX,
    VALUE_BYTES_MAX,
    AuditEntry,
    decode_entry,
    encode_entry,
)
from app.audit.reading import AuditFilter, KeptEntry
from app.errors import StoreError
from app.stores.api_key import new_text


def an_entry(**changes: Any) -> AuditEntry:
    values: dict[str, Any] = {
        "actor": "cli:ann@desk", "action": "key.revoke", "tenant": "acme", "target": "4fk29x0a",
        "before": {"name": "ci"}, "after": {"revoked": True}, "at_ms": 5000, "source": "cli",
    }  # fmt: skip
    return AuditEntry(**(values | changes))


@pytest.mark.parametrize("tenant", ["acme", None])
def test_entry_reads_back(tenant: str | None) -> None:
    entry = an_entry(tenant=tenant, error="store.conflict", of="x")
    assert decode_entry(encode_entry(entry)) == entry


def test_no_two_entries_have_one_id() -> None:
    assert an_entry().id != an_entry().id


@pytest.mark.parametrize(
    "change",
    [{"v": 2}, {"v": None}, {"more": 1}, {"action": "Key.revoke"}, {"action": "key"},
     {"tenant": "A.b"}, {"at_ms": "soon"}, {"source": "elsewhere"}, {"actor": None}],
    ids=str,
)  # fmt: skip
def test_anything_else_is_no_entry(change: dict[str, Any]) -> None:
    document = json.loads(encode_entry(an_entry())) | change
    with pytest.raises(StoreError):
        decode_entry(json.dumps(document).encode())


@pytest.mark.parametrize("data", [b"", b"no", b"[]", b"{}", b"\xff", b"[" * 50_000])
def test_noise_is_no_entry(data: bytes) -> None:
    with pytest.raises(StoreError):
        decode_entry(data)


def test_large_values_are_cut_and_say_so() -> None:
    value = {"text": "é" * 50_000}
    entry = an_entry(before=value, after=value, target="t" * 9000, actor="a\nb" * 900)
    data = encode_entry(entry)
    assert len(data) < ENTRY_BYTES_MAX
    found = decode_entry(data)
    assert found.before["cut"] is True
    assert found.before["bytes"] > VALUE_BYTES_MAX
    assert found.before["head"].startswith('{"text":"é')
    assert len(found.target) == 512
    assert "\n" not in found.actor


def test_what_is_no_json_is_named_by_its_type() -> None:
    assert decode_entry(encode_entry(an_entry(after=object()))).after["cut"] is True


@pytest.mark.parametrize("field", ["target", "before", "after", "actor"])
@pytest.mark.parametrize("size", [0, 1500, 9000])
def test_key_loses_its_secret_wherever_it_stands(field: str, size: int) -> None:
    text = new_text()
    value = "x" * size + str(text)
    data = encode_entry(an_entry(**{field: value})).decode()
    assert text.secret not in data
    assert text.secret[:20] not in data


def test_action_that_is_none_is_a_defect() -> None:
    with pytest.raises(ValueError, match="no action"):
        encode_entry(an_entry(action="everything"))


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (AuditFilter(), True),
        (AuditFilter(actor="cli:ann@desk"), True),
        (AuditFilter(actor="cli:ann"), False),
        (AuditFilter(action="key"), True),
        (AuditFilter(action="key.revoke"), True),
        (AuditFilter(action="key.re"), False),
        (AuditFilter(since_ms=5000, until_ms=5001), True),
        (AuditFilter(since_ms=5001), False),
        (AuditFilter(until_ms=5000), False),
    ],
)
def test_filter_takes_whole_words(which: AuditFilter, expected: bool) -> None:
    assert which.matches(an_entry()) is expected


@pytest.mark.parametrize(
    ("source", "actor"),
    [("cli", "platform"), ("platform-api", "platform"), ("api", "key:x"), ("system", "key:x")],
)
def test_tenant_sees_no_names_of_the_platforms_people(source: str, actor: str) -> None:
    kept = KeptEntry(1, "s", an_entry(source=source, actor="key:x")).for_tenant()
    assert kept.as_document()["actor"] == actor
