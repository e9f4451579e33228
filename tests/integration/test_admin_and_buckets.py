"""JetStream administration and buckets against a real nats-server: changes, pages, refusals."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from actors.errors import UnavailableError
from app.bus import admin as admin_module
from app.bus.admin import JetStreamAdmin
from app.bus.admin_specs import ConsumerSpec, StreamSpec
from app.bus.connection import Bus
from app.bus.server_folder import Endpoint
from app.bus.servers import Doubt
from app.control import streams
from app.errors import BusError, ConflictError, StoreError
from app.stores import kv as kv_module
from app.stores.kv import KvBucket, KvEntry
from tests.support.bus import connected


@pytest.fixture
async def bus(nats_server: Endpoint) -> AsyncIterator[Bus]:
    async with connected(nats_server) as bus:
        yield bus


@pytest.fixture
def admin(bus: Bus) -> JetStreamAdmin:
    return JetStreamAdmin(bus)


@pytest.fixture
def spec(fresh_env: str) -> StreamSpec:
    return StreamSpec(f"S-{fresh_env}", (f"{fresh_env}.>",))


@pytest.fixture
async def bucket(bus: Bus, admin: JetStreamAdmin, fresh_env: str) -> KvBucket:
    await admin.ensure_stream(streams.bucket_spec(fresh_env))
    return KvBucket(bus, fresh_env)


@dataclass
class Answer:
    data: bytes
    headers: dict[str, str] | None = None


class ScriptedBus:
    """Answers questions from a list; what a real server does only in rare moments."""

    lone_server = "scripted"

    def __init__(self, *answers: object, headers: dict[str, str] | None = None) -> None:
        self._answers = list(answers)
        self._headers = headers
        self.asked: list[str] = []

    async def request(self, subject: str, data: bytes, **_: object) -> Answer:
        self.asked.append(subject)
        return Answer(json.dumps(self._answers.pop(0)).encode(), self._headers)


def refusal(err_code: int, code: int = 400, text: str = "because") -> dict[str, object]:
    return {"error": {"code": code, "err_code": err_code, "description": text}}


# ── Streams ──────────────────────────────────────────────────────────────────────────────────


async def test_stream_is_made_found_and_deleted(admin: JetStreamAdmin, spec: StreamSpec) -> None:
    assert await admin.stream_info(spec.name) is None
    made = await admin.ensure_stream(spec)
    assert (made.messages, made.last_sequence) == (0, 0)
    assert await admin.stream_info(spec.name) == made
    assert await admin.delete_stream(spec.name)
    assert not await admin.delete_stream(spec.name)


async def test_stream_counts_what_it_holds(
    admin: JetStreamAdmin, bus: Bus, spec: StreamSpec, fresh_env: str
) -> None:
    await admin.ensure_stream(spec)
    for _ in range(3):
        await bus.request(f"{fresh_env}.x", b"12345", timeout_seconds=5)
    info = await admin.stream_info(spec.name)
    assert info is not None
    assert (info.messages, info.first_sequence, info.last_sequence) == (3, 1, 3)
    assert info.bytes > 15


async def test_changed_stream_keeps_fields_it_does_not_own(
    admin: JetStreamAdmin, bus: Bus, spec: StreamSpec
) -> None:
    made = await admin.ensure_stream(spec)
    config = {**made.config, "description": "by the operator"}
    await bus.request(
        f"$JS.API.STREAM.UPDATE.{spec.name}", json.dumps(config).encode(), timeout_seconds=5
    )
    changed = await admin.ensure_stream(replace(spec, age_seconds_max=3600))
    assert changed.config["description"] == "by the operator"
    assert changed.config["max_age"] == 3600 * 10**9


async def test_what_cannot_be_changed_is_refused_with_the_servers_code(
    admin: JetStreamAdmin, spec: StreamSpec
) -> None:
    await admin.ensure_stream(spec)
    with pytest.raises(BusError, match="retention") as refused:
        await admin.ensure_stream(replace(spec, retention="workqueue"))
    assert refused.value.server_code == 10052
    assert refused.value.code == "bus.error"


async def test_streams_of_a_subject_are_listed(
    admin: JetStreamAdmin, spec: StreamSpec, fresh_env: str
) -> None:
    for number in range(3):
        one = replace(spec, name=f"{spec.name}-{number}", subjects=(f"{fresh_env}.{number}",))
        await admin.ensure_stream(one)
    assert await admin.stream_names(f"{fresh_env}.>") == {f"{spec.name}-{n}" for n in range(3)}
    assert await admin.stream_names("nobody.listens") == frozenset()


async def test_racing_creators_end_with_one_stream(admin: JetStreamAdmin, spec: StreamSpec) -> None:
    infos = await asyncio.gather(*(admin.ensure_stream(spec) for _ in range(10)))
    assert {info.name for info in infos} == {spec.name}


# ── Consumers ────────────────────────────────────────────────────────────────────────────────


async def test_consumer_is_made_changed_and_deleted(
    admin: JetStreamAdmin, spec: StreamSpec, fresh_env: str
) -> None:
    await admin.ensure_stream(spec)
    wanted = ConsumerSpec(spec.name, "d", (f"{fresh_env}.a",))
    assert await admin.consumer_info(spec.name, "d") is None
    made = await admin.ensure_consumer(wanted)
    assert (made.pending, made.ack_pending, made.ack_floor) == (0, 0, 0)
    assert (await admin.ensure_consumer(wanted)).config == made.config
    changed = await admin.ensure_consumer(
        replace(wanted, filters=(f"{fresh_env}.a", f"{fresh_env}.b"), ack_pending_max=7)
    )
    assert changed.config["max_ack_pending"] == 7
    assert changed.config["ack_wait"] == 30 * 10**9
    narrowed = await admin.ensure_consumer(wanted)
    assert narrowed.config["max_ack_pending"] == 512
    assert await admin.delete_consumer(spec.name, "d")
    assert not await admin.delete_consumer(spec.name, "d")


async def test_consumer_of_an_absent_stream_is_absent_and_cannot_be_made(
    admin: JetStreamAdmin, spec: StreamSpec
) -> None:
    assert await admin.consumer_info(spec.name, "d") is None
    assert await admin.consumer_names(spec.name) == frozenset()
    with pytest.raises(BusError) as refused:
        await admin.ensure_consumer(ConsumerSpec(spec.name, "d", ("a",)))
    assert refused.value.server_code == 10059


async def test_overlapping_filters_are_refused(
    admin: JetStreamAdmin, spec: StreamSpec, fresh_env: str
) -> None:
    await admin.ensure_stream(spec)
    with pytest.raises(BusError) as refused:
        await admin.ensure_consumer(
            ConsumerSpec(spec.name, "d", (f"{fresh_env}.*", f"{fresh_env}.a"))
        )
    assert refused.value.server_code == 10138


async def test_more_than_a_thousand_consumers_fit_and_are_listed(
    admin: JetStreamAdmin, spec: StreamSpec, fresh_env: str
) -> None:
    await admin.ensure_stream(replace(spec, consumers_max=2000))
    for first in range(0, 1030, 103):
        await asyncio.gather(
            *(
                admin.ensure_consumer(ConsumerSpec(spec.name, f"d{n}", (f"{fresh_env}.{n}",)))
                for n in range(first, first + 103)
            )
        )
    assert await admin.consumer_names(spec.name) == {f"d{number}" for number in range(1030)}
    await admin.delete_stream(spec.name)


# ── Moments that are rare ────────────────────────────────────────────────────────────────────


async def test_creator_that_lost_a_race_looks_again(spec: StreamSpec) -> None:
    existing = {
        "config": spec.as_config(),
        "state": {"messages": 0, "bytes": 0, "first_seq": 0, "last_seq": 0},
    }
    bus = ScriptedBus(refusal(10059, 404), refusal(10058), existing)
    info = await JetStreamAdmin(bus).ensure_stream(spec)  # type: ignore[arg-type]
    assert info.name == spec.name
    assert [subject.split(".")[3] for subject in bus.asked] == ["INFO", "CREATE", "INFO"]


async def test_endless_race_is_given_up(spec: StreamSpec) -> None:
    admin = JetStreamAdmin(ScriptedBus(*[refusal(10059), refusal(10058)] * 9))  # type: ignore[arg-type]
    with pytest.raises(BusError, match="changed by somebody else"):
        await admin.ensure_stream(spec)
    admin = JetStreamAdmin(ScriptedBus(*[refusal(10014), refusal(10148)] * 9))  # type: ignore[arg-type]
    with pytest.raises(BusError, match="changed by others"):
        await admin.ensure_consumer(ConsumerSpec("S", "d", ("a",)))


async def test_server_without_a_leader_is_unavailable(spec: StreamSpec) -> None:
    admin = JetStreamAdmin(ScriptedBus(refusal(10008, 503)))  # type: ignore[arg-type]
    with pytest.raises(UnavailableError):
        await admin.stream_info(spec.name)


class ElectingBus(ScriptedBus):
    """One of a cluster that has no leader yet."""

    lone_server = None  # type: ignore[assignment]

    def __init__(self, *answers: object) -> None:
        super().__init__(*answers)
        self.doubt = Doubt(time.monotonic, lambda: None)


@pytest.mark.parametrize(
    ("code", "err_code"),
    [
        pytest.param(503, 10008, id="temporarily-unavailable"),
        pytest.param(500, 10009, id="no-leader-here"),
        pytest.param(500, 10118, id="stream-offline"),
    ],
)
async def test_cluster_that_elects_is_asked_again_until_it_can_answer(
    spec: StreamSpec, monkeypatch: pytest.MonkeyPatch, code: int, err_code: int
) -> None:
    monkeypatch.setattr(admin_module, "CLUSTER_PAUSE_SECONDS", 0.01)
    state = {"messages": 0, "bytes": 0, "first_seq": 0, "last_seq": 0}
    found = {"config": spec.as_config(), "state": state}
    bus = ElectingBus(refusal(err_code, code), refusal(err_code, code), found)
    info = await JetStreamAdmin(bus).stream_info(spec.name)  # type: ignore[arg-type]
    assert info is not None
    assert bus.doubt.is_raised
    monkeypatch.setattr(admin_module, "CLUSTER_PATIENCE_SECONDS", 0.05)
    bus = ElectingBus(*[refusal(err_code, code)] * 99)
    with pytest.raises(UnavailableError):
        await JetStreamAdmin(bus).stream_info(spec.name)  # type: ignore[arg-type]


async def test_server_that_is_just_away_is_waited_for_and_one_that_there_is_not_is_not(
    spec: StreamSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_module, "CLUSTER_PAUSE_SECONDS", 0.01)
    state = {"messages": 0, "bytes": 0, "first_seq": 0, "last_seq": 0}
    made = {"config": spec.as_config(), "state": state}
    away = refusal(admin_module.NO_PEERS, text="no suitable peers for placement, peer offline")
    admin = JetStreamAdmin(ElectingBus(away, away, made))  # type: ignore[arg-type]
    assert (await admin.ensure_stream(spec, is_new=True)).name == spec.name
    few = refusal(admin_module.NO_PEERS, text="no suitable peers for placement")
    with pytest.raises(BusError, match="cannot be kept"):
        await JetStreamAdmin(ElectingBus(few)).ensure_stream(spec, is_new=True)  # type: ignore[arg-type]


async def test_replicas_are_the_streams_only_where_they_are_named() -> None:
    assert "num_replicas" not in StreamSpec("S", ("s",)).as_config()
    assert StreamSpec("S", ("s",), replicas=3).as_config()["num_replicas"] == 3


async def test_listing_never_goes_round_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_module, "PAGES_MAX", 3)
    pages = [{"consumers": ["x"], "streams": ["x"], "total": 10**9}] * 9
    assert await JetStreamAdmin(ScriptedBus(*pages)).consumer_names("S") == {"x"}  # type: ignore[arg-type]
    assert await JetStreamAdmin(ScriptedBus(*pages)).stream_names(">") == {"x"}  # type: ignore[arg-type]


# ── Buckets ──────────────────────────────────────────────────────────────────────────────────


async def test_bucket_reads_back_what_it_was_given(bucket: KvBucket) -> None:
    assert await bucket.get("a.b") == KvEntry(None, 0)
    revision = await bucket.put("a.b", b"\x00\xff")
    assert await bucket.get("a.b") == KvEntry(b"\x00\xff", revision)
    await bucket.put("a.b", b"")
    assert (await bucket.get("a.b")).value == b""


async def test_other_clients_see_an_ordinary_bucket(
    bucket: KvBucket, bus: Bus, fresh_env: str
) -> None:
    await bucket.put("a", b"1")
    native = await bus.client.jetstream().key_value(fresh_env)
    assert (await native.get("a")).value == b"1"
    await native.put("b", b"2")
    assert (await bucket.get("b")).value == b"2"
    await native.delete("b")
    gone = await bucket.get("b")
    assert gone.value is None
    assert gone.revision > 0


async def test_bucket_compares_and_sets(bucket: KvBucket) -> None:
    revision = await bucket.put("a", b"1", revision=0)
    with pytest.raises(ConflictError):
        await bucket.put("a", b"2", revision=0)
    with pytest.raises(ConflictError):
        await bucket.delete("a", revision=revision - 1)
    await bucket.delete("a", revision=revision)
    assert (await bucket.get("a")).value is None


async def test_expired_key_is_as_if_it_had_never_been(bucket: KvBucket) -> None:
    await bucket.put("a", b"1", ttl_seconds=1)
    async with asyncio.timeout(10):
        while (await bucket.get("a")).revision:
            await asyncio.sleep(0.05)
    await bucket.put("a", b"2", revision=0)


async def test_keys_lists_what_has_a_value(bucket: KvBucket) -> None:
    assert await bucket.keys() == frozenset()
    for key in ("acme.a", "acme.b", "acme-2.a", "other"):
        await bucket.put(key, b"1")
    await bucket.delete("acme.b")
    assert await bucket.keys() == {"acme.a", "acme-2.a", "other"}
    assert await bucket.keys("acme") == {"acme.a"}


@pytest.mark.parametrize(
    "key", ["", "*", "a.*", ">", "a.>", ".a", "a.", "a..b", "a b", "ä", "a\r\nPUB x", "x" * 901]
)
async def test_key_that_is_no_literal_subject_is_refused(bucket: KvBucket, key: str) -> None:
    for attempt in (bucket.get(key), bucket.put(key, b""), bucket.delete(key)):
        with pytest.raises(StoreError, match="cannot be a key"):
            await attempt


@pytest.mark.parametrize("name", ["", "a.b", "*", "a b", "a\n"])
def test_bucket_name_that_reaches_elsewhere_is_refused(bus: Bus, name: str) -> None:
    with pytest.raises(StoreError, match="cannot name a bucket"):
        KvBucket(bus, name)


async def test_value_over_the_buckets_limit_is_refused(
    bus: Bus, admin: JetStreamAdmin, fresh_env: str
) -> None:
    await admin.ensure_stream(streams.bucket_spec(fresh_env, value_bytes_max=10))
    with pytest.raises(StoreError, match="exceeds"):
        await KvBucket(bus, fresh_env).put("a", b"x" * 11)


async def test_absent_bucket_is_unavailable(bus: Bus, fresh_env: str) -> None:
    with pytest.raises(UnavailableError):
        await KvBucket(bus, fresh_env).get("a")
    with pytest.raises(UnavailableError):
        await KvBucket(bus, fresh_env).put("a", b"")
    with pytest.raises(StoreError):
        await KvBucket(bus, fresh_env).keys()


async def test_bucket_tells_outage_from_refusal() -> None:
    with pytest.raises(UnavailableError):
        await KvBucket(ScriptedBus(refusal(10008, 503)), "b").put("a", b"")
    bus = ScriptedBus({}, headers={"Status": "408", "Description": "Bad Request"})
    with pytest.raises(StoreError, match="408 Bad Request"):
        await KvBucket(bus, "b").get("a")


async def test_write_beside_another_on_its_way_waits_for_what_becomes_of_it() -> None:
    """A cluster's answer while its replicas have not yet taken the write before ours."""
    undecided = refusal(10164)
    assert await KvBucket(ScriptedBus(undecided, undecided, {"seq": 7}), "b").put("a", b"") == 7
    with pytest.raises(ConflictError):
        await KvBucket(ScriptedBus(undecided, refusal(10071)), "b").put("a", b"", revision=1)


async def test_write_beside_another_that_never_ends_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kv_module, "REQUEST_SECONDS", 0.05)
    with pytest.raises(UnavailableError, match="does not end"):
        await KvBucket(ScriptedBus(*[refusal(10164)] * 99), "b").put("a", b"", revision=1)
