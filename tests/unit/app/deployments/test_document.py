"""The document of a tenant's deployment: written and read back, and bounded."""

import json
from dataclasses import replace
from typing import Any

import pytest

from app.control.activations import Activation
from app.deployments.document import (
    HISTORY_MAX,
    DeploymentDocument,
    Revision,
    build_document,
    next_document,
    parse_document,
)
from app.errors import StoreError

ACTIVATED = {"take#1": Activation("order.created", 7)}


def a_revision(bundle: str | None = "a" * 64, **fields: Any) -> Revision:
    plain = Revision(
        bundle=bundle,
        name="shop",
        version="1",
        owner="apply",
        flows=1,
        kind="apply",
        at_ms=1000,
        actor="cli:ann@desk",
    )
    return replace(plain, **fields)


def a_document(revisions: int = 3) -> DeploymentDocument:
    document = None
    for number in range(revisions):
        document = next_document(document, a_revision(f"{number:064x}"), ACTIVATED)
    assert document is not None
    return document


def test_document_is_read_as_it_was_written() -> None:
    document = a_document()
    assert parse_document(build_document(document)) == document
    removed = next_document(document, a_revision(None, kind="remove"), {})
    assert parse_document(build_document(removed)) == removed


def test_bytes_are_the_agreed_shape() -> None:
    found = json.loads(build_document(a_document(2)))
    history = found.pop("history")
    assert found == {
        "v": 1,
        "number": 2,
        "bundle": f"{1:064x}",
        "name": "shop",
        "version": "1",
        "owner": "apply",
        "flows": 1,
        "kind": "apply",
        "at_ms": 1000,
        "actor": "cli:ann@desk",
        "activated": {"take#1": {"pattern": "order.created", "sequence": 7}},
    }
    assert [each["number"] for each in history] == [1]
    assert history[0].keys() == found.keys() - {"v", "activated"}


def test_numbers_grow_and_the_history_forgets_its_oldest_end() -> None:
    document = a_document(HISTORY_MAX + 5)
    assert document.current.number == HISTORY_MAX + 5
    numbers = [each.number for each in document.history]
    assert numbers == list(range(HISTORY_MAX + 4, 4, -1))
    assert len(document.digests) == HISTORY_MAX + 1
    assert document.find(5) is not None
    assert document.find(4) is None
    assert parse_document(build_document(document)) == document


def test_number_of_what_comes_next_is_not_taken_from_it() -> None:
    document = next_document(a_document(3), a_revision(number=99), {})
    assert document.current.number == 4


def test_long_actor_is_cut_and_not_refused() -> None:
    document = next_document(None, a_revision(actor="x" * 2000), {})
    assert parse_document(build_document(document)) == document


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("version", {"v": 2}),
    ("number-zero", {"number": 0}),
    ("digest", {"bundle": "../x"}),
    ("digest-with-a-line", {"bundle": "a" * 64 + "\n"}),
    ("owner", {"owner": "me"}),
    ("kind", {"kind": "deploy"}),
    ("flows", {"flows": -1}),
    ("unknown", {"more": 1}),
    ("sequence", {"activated": {"a#1": {"pattern": "x", "sequence": -1}}}),
    ("history-too-long", {"history": [{}] * 21}),
]


@pytest.mark.parametrize("change", [w[1] for w in WRONG], ids=[w[0] for w in WRONG])
def test_what_is_no_document_is_refused(change: dict[str, Any]) -> None:
    found = json.loads(build_document(a_document()))
    with pytest.raises(StoreError):
        parse_document(json.dumps(found | change).encode())


@pytest.mark.parametrize("missing", ["v", "bundle", "activated", "history", "actor"])
def test_no_field_may_be_missing(missing: str) -> None:
    found = json.loads(build_document(a_document()))
    del found[missing]
    with pytest.raises(StoreError):
        parse_document(json.dumps(found).encode())


@pytest.mark.parametrize(
    "data", [b"", b"null", b"\xff", b"[" * 5000], ids=["empty", "null", "bytes", "deep"]
)
def test_strange_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(StoreError):
        parse_document(data)


def test_history_out_of_order_is_refused() -> None:
    document = a_document()
    turned = replace(document, history=document.history[::-1])
    with pytest.raises(StoreError, match="out of order"):
        parse_document(build_document(turned))


def test_document_beyond_a_message_is_refused_before_it_is_sent() -> None:
    many = {f"flow-{n}#1": Activation("x" * 500, n) for n in range(2000)}
    with pytest.raises(StoreError, match="too large"):
        build_document(next_document(None, a_revision(), many))
