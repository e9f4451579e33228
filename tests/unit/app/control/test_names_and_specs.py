"""Names and specifications of streams, and the limits that would lose events."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import InvalidSubjectError
from actors.subjects import matches_pattern
from app.bus.admin_specs import ConsumerSpec
from app.control import names, streams
from app.control.limits import StreamLimits
from app.errors import BusError

TOKENS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True) | st.sampled_from(
    ["a", "a-t-b", "t", "b", "t-b", "0"]
)
PATTERNS = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=4).flatmap(
    lambda tokens: st.sampled_from([".".join(tokens), ".".join([*tokens, ">"]), ">"])
)
TYPES = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5).map(".".join)


@given(TOKENS, TOKENS, TOKENS, TOKENS)
def test_no_two_tenants_share_a_stream(env: str, tenant: str, env2: str, tenant2: str) -> None:
    is_same = (env, tenant) == (env2, tenant2)
    assert (names.events_stream(env, tenant) == names.events_stream(env2, tenant2)) is is_same


@pytest.mark.parametrize(
    "name",
    [
        names.dead_stream,
        names.egress_stream,
        names.audit_stream,
        names.usage_stream,
        names.deployments_bucket,
        names.leases_bucket,
        names.state_bucket,
        lambda env: names.work_stream(env, 0),
        lambda env: names.journal_stream(env, 0),
        lambda env: names.runs_stream(env, 0),
        lambda env: names.events_stream(env, "acme"),
        lambda tenant: names.events_stream("dev", tenant),
        names.work_durable,
        lambda tenant: str(names.work_shard(tenant, 4)),
    ],
)
def test_name_of_what_is_no_token_is_refused(name: Callable[[str], str]) -> None:
    assert name("dev")
    for wrong in ("", "a.b", "*", ">", "Dev", "a b"):
        with pytest.raises(InvalidSubjectError):
            name(wrong)


FLOW_LANES = st.lists(TOKENS, min_size=1, max_size=3).map(".".join).filter(
    lambda lane: len(lane) <= 128
) | st.sampled_from(["~", "a", "a.b", "a_b", "a-b", "a-L-b".lower(), "run", "lane.run"])


@given(TOKENS, FLOW_LANES, TOKENS, FLOW_LANES)
def test_no_two_lanes_share_a_consumer(tenant: str, lane: str, tenant2: str, lane2: str) -> None:
    one, two = names.lane_durable(tenant, lane), names.lane_durable(tenant2, lane2)
    assert (one == two) is ((tenant, lane) == (tenant2, lane2))
    assert names.parse_lane_durable(one) == (tenant, lane)
    assert one != names.work_durable(tenant2)
    assert len(one) < 255
    assert not set(one) & set(" .*>/\\")


@pytest.mark.parametrize(
    "durable", ["flows", "work-acme", "work-lane-L-a", "lane-acme", "lane-acme-L-", "lane--L-~~"]
)
def test_other_consumers_serve_no_lane(durable: str) -> None:
    assert names.parse_lane_durable(durable) is None


@pytest.mark.parametrize(
    "lane", ["", "~~", "a..b", ".a", "a.", "*", "a.>", "A", "a b", "a+b", "a" * 161]
)
def test_what_cannot_name_a_lane_is_refused(lane: str) -> None:
    assert not names.is_lane(lane)
    with pytest.raises(InvalidSubjectError):
        names.lane_durable("acme", lane)


@pytest.mark.parametrize("is_exclusive", [True, False], ids=["exclusive", "shared"])
def test_lanes_consumer_takes_its_own_subject_and_nothing_else(is_exclusive: bool) -> None:
    lane = names.TenantLane("acme", "auth.login")
    spec = streams.lane_consumer("dev", lane, 0, StreamLimits(), is_exclusive=is_exclusive)
    config = spec.as_config()
    assert spec.stream == "WORK-dev-0"
    assert config["filter_subjects"] == ["greentic.work.dev.acme.lane.auth.login"]
    assert (config["max_ack_pending"], config["ack_wait"]) == (1000, 30 * 10**9)
    pinned = (config["priority_groups"], config["priority_policy"], config["priority_timeout"])
    assert pinned == ((["lane"], "pinned_client", 10 * 10**9) if is_exclusive else (None,) * 3)


def test_shard_of_a_tenant_never_changes() -> None:
    # The published check value of CRC-32 is 0xCBF43926 for these nine characters.
    assert names.work_shard("123456789", 256) == 0x26
    assert names.work_shard("acme", 1) == 0


@given(st.lists(PATTERNS, max_size=6), TYPES)
def test_consumer_filters_cover_every_trigger(patterns: list[str], event_type: str) -> None:
    spec = streams.flows_consumer("dev", "acme", patterns, StreamLimits())
    subject = f"greentic.events.dev.acme.{event_type}"
    if any(matches_pattern(pattern, event_type) for pattern in patterns):
        assert sum(matches_pattern(filter_, subject) for filter_ in spec.filters) == 1
    if not patterns:
        assert spec.filters == ("greentic.never.dev.acme",)


def test_consumer_without_filters_cannot_be_described() -> None:
    with pytest.raises(BusError, match="needs a filter"):
        ConsumerSpec("S", "d", ())


def test_new_consumer_starts_where_it_is_told() -> None:
    assert ConsumerSpec("S", "d", ("a",)).start_config() == {"deliver_policy": "all"}
    assert ConsumerSpec("S", "d", ("a",), first_sequence=7).start_config() == {
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": 7,
    }


def test_shard_keeps_the_subjects_it_had() -> None:
    first = streams.shard_subjects("greentic.work", "dev", ["b", "a"])
    assert first == ("greentic.work.dev.a.>", "greentic.work.dev.b.>")
    assert streams.shard_subjects("greentic.work", "dev", ["c"], first) == (
        *first,
        "greentic.work.dev.c.>",
    )


def test_duplicate_window_is_bounded_and_within_the_age() -> None:
    day = 24 * 3600
    StreamLimits(events_duplicate_window_seconds=3 * day)
    StreamLimits(events_duplicate_window_seconds=day, events_age_seconds=day)
    StreamLimits(events_age_seconds=0)
    for window in (0, -1, 3 * day + 1):
        with pytest.raises(BusError, match="window"):
            StreamLimits(events_duplicate_window_seconds=window)
    with pytest.raises(BusError, match="at least as long"):
        StreamLimits(events_duplicate_window_seconds=day, events_age_seconds=day - 1)


def test_work_stream_names_no_limit_that_ends_a_schedule() -> None:
    config = streams.work_spec("dev", 0, ("greentic.work.dev.>",), StreamLimits()).as_config()
    assert (config["max_age"], config["max_bytes"]) == (0, -1)
    assert config["retention"] == "workqueue"
