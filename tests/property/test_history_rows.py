"""Rows that are read in one go are those that are read field by field."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors.errors import InvalidEventError
from app.bus.codec import decode_json
from app.history.projection.quick import quick_row
from app.history.projection.reading import MessagePlace, read_message
from app.history.store.documents import pack, unpack
from app.history.store.rows import RunRow, row_of
from tests.support.histories import a_record

TEXTS = st.one_of(
    st.text(max_size=5),
    st.sampled_from(
        ["", "a", "x" * 128, "x" * 129, "x" * 2049, "\0", "é", "tab\t", '"\\u"', "[{" * 40]
    ),
)
NUMBERS = st.sampled_from([0, 1, -1, 2**53 - 1, 2**53, 2**70, 1.0, 1.5, True, None, "1"])
VALUES: st.SearchStrategy[Any] = st.one_of(
    TEXTS,
    NUMBERS,
    st.just([]),
    st.just({}),
    st.dictionaries(st.sampled_from(["code", "events"]), TEXTS),
)
PARTS = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {},
        optional={
            name: st.one_of(TEXTS, NUMBERS)
            for name in ("code", "node", "message", "events", "bytes")
        },
    ),
)
NAMES = tuple(a_record())
CHANGES = st.dictionaries(st.sampled_from(NAMES), PARTS, max_size=4)


def slowly(data: bytes) -> RunRow | None:
    try:
        return row_of(decode_json(data, "record"), 1, 2, 3)
    except InvalidEventError:
        return None


@given(CHANGES, st.sets(st.sampled_from(NAMES), max_size=2))
def test_a_row_read_in_one_go_is_that_of_its_fields(
    changes: dict[str, Any], gone: set[str]
) -> None:
    record = {name: value for name, value in (a_record() | changes).items() if name not in gone}
    data = json.dumps(record).encode()
    quick, slow = quick_row(data, 1, 2, 3), slowly(data)
    if quick is not None:
        assert quick == slow
    place = MessagePlace(f"a.b.c.{record.get('tenant')}", 1, 2)
    rows = read_message(b"[%b]" % data, place).rows
    found = rows[0] if rows else None
    if slow is None:
        assert found is None
    elif found is not None:
        assert (found.run_id, dict(found.document)) == (slow.run_id, dict(slow.document))
        assert unpack(pack(found.document)) == unpack(pack(slow.document))


def test_ordinary_records_are_read_in_one_go() -> None:
    error = {"code": "http.status", "node": "fetch", "message": "no"}
    for changes in (
        {},
        {"error": error, "status": "failed"},
        {"usage": None},
        {"correlation_id": "c"},
    ):
        data = json.dumps(a_record(1, **changes)).encode()
        assert quick_row(data, 1, 2, 3) == slowly(data)
        assert quick_row(data, 1, 2, 3) is not None
