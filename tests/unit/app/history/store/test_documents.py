"""Documents come back as they went in; what is damaged says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bus.codec import encode_json
from app.errors import StoreError
from app.history.store.documents import pack, pack_all, unpack
from tests.support.histories import a_record

leaves = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(
    st.characters(exclude_categories=["Cs"])
)  # fmt: skip
documents = st.dictionaries(
    st.text("abc", max_size=5), st.recursive(leaves, st.lists, max_leaves=9)
)


@given(documents)
def test_a_document_comes_back(document: dict[str, object]) -> None:
    assert unpack(pack(document)) == document


def test_a_record_takes_less_than_half() -> None:
    record = a_record()
    assert len(pack_all([record])[0]) * 2 < len(encode_json(record, "record"))


def test_the_largest_record_comes_back() -> None:
    record = a_record(output="x" * 60_000 + "é" * 2000)
    assert unpack(pack(record)) == record


@pytest.mark.parametrize(
    "body", [b"", b"\x02" + pack({})[1:], pack(a_record())[:-9], b"\x01\xff\xff"],
    ids=["empty", "another way", "cut", "noise"],
)  # fmt: skip
def test_what_is_damaged_is_told(body: bytes) -> None:
    with pytest.raises(StoreError):
        unpack(body)


def test_what_is_no_object_is_told() -> None:
    with pytest.raises(StoreError):
        unpack(pack([1]))  # type: ignore[arg-type]
