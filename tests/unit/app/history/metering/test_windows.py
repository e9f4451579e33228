"""Windows: their places, their values, and that a message counts once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import InvalidSubjectError
from app.history.metering.records import TIME_MS_MAX, CountedRun
from app.history.metering.usage import STATUSES, Usage
from app.history.metering.windows import (
    UsageWindow,
    WindowPlace,
    decode_window,
    hour_key,
    hour_of,
    parse_place,
)

A_TENANT = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,9}", fullmatch=True)
A_FLOW = st.from_regex(r"[a-z0-9_-]{1,5}(/[a-z0-9_-]{1,5}){0,2}", fullmatch=True)
A_COUNT = st.integers(0, 1 << 40)
A_RUN = st.builds(
    CountedRun,
    tenant=st.just("acme"),
    flow=st.just("orders"),
    run_id=st.text(max_size=5),
    status=st.sampled_from([*STATUSES, "unknown"]),
    hour_ms=st.just(0),
    duration_ms=A_COUNT,
    events=A_COUNT,
    operations=A_COUNT,
    effects=A_COUNT,
    bytes=A_COUNT,
)


@given(A_TENANT, st.integers(0, TIME_MS_MAX), A_FLOW)
def test_a_place_reads_back_from_its_key(tenant: str, time_ms: int, flow: str) -> None:
    place = WindowPlace(tenant, hour_of(time_ms), flow)
    assert parse_place(place.as_key()) == place


def test_a_key_begins_with_tenant_and_time() -> None:
    place = WindowPlace("acme", hour_of(1_760_000_400_000), "auth/login")
    assert place.as_key() == "acme.20251009.09.auth.login"
    assert hour_key(0) == "19700101.00"


@pytest.mark.parametrize(
    "key", ["", "acme", "acme.20251009.09", "acme.2025109.09.a", "acme.20251009.24.a", "*.1.1.a"]
)
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_place(key)


def test_a_tenant_that_is_no_token_has_no_key() -> None:
    with pytest.raises(InvalidSubjectError):
        WindowPlace("a.b", 0, "orders").as_key()


@given(st.lists(A_RUN, max_size=8))
def test_a_window_reads_back_from_its_bytes(runs: list[CountedRun]) -> None:
    window = UsageWindow.empty()
    window.apply(runs, 3, 17)
    assert decode_window(window.encode()) == window
    assert window.usage.runs == len(runs) == sum(window.usage.durations.values())


@given(st.lists(A_RUN, max_size=8), st.integers(0, 8))
def test_sums_of_parts_are_the_sum(runs: list[CountedRun], at: int) -> None:
    whole, first, rest = Usage(), Usage(), Usage()
    for run in runs:
        whole.count(run)
    for run in runs[:at]:
        first.count(run)
    for run in runs[at:]:
        rest.count(run)
    first.add(rest)
    assert first == whole
    assert first.percentiles() == whole.percentiles()


def test_a_message_that_comes_again_changes_nothing() -> None:
    run = CountedRun("acme", "orders", "r", "completed", 0, 5, 1)
    window = UsageWindow.empty()
    assert window.apply([run], 0, 5)
    assert not window.apply([run], 0, 5)
    assert not window.apply([run], 0, 4)
    assert window.apply([run], 1, 4)
    assert window.apply([run], 0, 6)
    assert (window.usage.runs, window.through) == (3, {0: 6, 1: 4})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"through": 5}',
        b'{"through": {"0": "5"}}',
        b'{"through": {"0": 5}}',
        b'{"through": {"x": 5}, "usage": {}}',
        UsageWindow.empty().encode().replace(b'"durations":{}', b'"durations":{"9999":1}'),
        UsageWindow.empty().encode().replace(b'"runs":0', b'"runs":-1'),
        UsageWindow.empty().encode().replace(b'"runs":0', b'"runs":1.5'),
        UsageWindow.empty().encode().replace(b'"durations":{}', b'"durations":{"x":1}'),
        UsageWindow.empty().encode().replace(b'"durations":{}', b'"durations":[]'),
    ],
)
def test_what_is_no_window_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_window(data)


def test_percentiles_of_nothing_are_none() -> None:
    assert Usage().percentiles() == {"p50_ms": None, "p95_ms": None, "p99_ms": None}
