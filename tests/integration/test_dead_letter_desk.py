"""The desk on a real nats-server: ten thousand letters, two tenants, both directions."""

import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from actors.errors import InvalidSubjectError, UnavailableError
from actors.ids import run_id
from actors.outcomes import RunError
from actors.ports import Continuation, DeadLetter
from actors.subjects import dead_letter_subject, dead_letters_before
from actors.testing.continuations import MemoryContinuations
from app.bus.admin import JetStreamAdmin
from app.bus.continuations import JetStreamContinuations
from app.bus.dead_letters import encode_letter, letter_document
from app.bus.wire import build_headers
from app.dead_letters.desk import DeadLetterDesk, Effort, Order
from app.dead_letters.letters import DAMAGED, LetterFilter, LetterPage, Report
from app.errors import BusError, NotFoundError
from app.system import SystemClock
from tests.support.bus_rig import BusRig, a_rig
from tests.support.letters import a_desk, a_letter, letter_ids, park_all

pytestmark = pytest.mark.server

ALL = LetterFilter()
FAST = Effort(limit=None, per_second=None)
OLD_FIELDS = ("letter_id", "tenant", "reason", "error", "attempts", "flow", "event", "subject")


@pytest.fixture
async def rig(nats_server: object, fresh_env: str) -> AsyncIterator[BusRig]:
    async with a_rig(nats_server, fresh_env) as rig:  # type: ignore[arg-type]
        yield rig


@pytest.fixture
async def scheduled() -> MemoryContinuations:
    return MemoryContinuations()


@pytest.fixture
async def desk(rig: BusRig, scheduled: MemoryContinuations) -> AsyncIterator[DeadLetterDesk]:
    async with a_desk(rig, scheduled) as desk:
        yield desk


async def every_page(
    desk: DeadLetterDesk, tenant: str, which: LetterFilter = ALL, *, order: Order, limit: int
) -> list[LetterPage]:
    pages = [await desk.list(tenant, which, order=order, limit=limit)]
    while (after := pages[-1].next_after) is not None:
        pages.append(await desk.list(tenant, which, order=order, after=after, limit=limit))
    return pages


async def put(rig: BusRig, subject: str, data: bytes) -> None:
    headers = build_headers((("Nats-Msg-Id", f"{subject}:{hash(data)}"),))
    await (await rig.acked.publish_when_room(subject, data, headers))


# ── Listing ──────────────────────────────────────────────────────────────────────────────────


async def test_ten_thousand_letters_among_others_are_paged_both_ways(
    rig: BusRig, desk: DeadLetterDesk
) -> None:
    tenants = ["acme" if n % 5 else "other" for n in range(12_500)]
    await park_all(rig, (a_letter(n, tenant) for n, tenant in enumerate(tenants)))
    mine = [f"r{n}" for n, tenant in enumerate(tenants) if tenant == "acme"]
    assert len(mine) == 10_000
    for order, expected in (("oldest", mine), ("newest", mine[::-1])):
        pages = await every_page(desk, "acme", order=order, limit=1000)  # type: ignore[arg-type]
        assert [len(page.letters) for page in pages] == [1000] * 10
        assert [each for page in pages for each in letter_ids(page.letters)] == expected
    began = time.monotonic()
    page = await desk.list("acme", ALL, limit=20)
    assert letter_ids(page.letters) == mine[:-21:-1]
    assert time.monotonic() - began < 1
    counts = await desk.count("acme")
    assert (counts.total, counts.is_complete) == (10_000, True)
    assert sum(counts.by_flow_and_reason.values()) == 10_000
    assert set(counts.by_flow_and_reason) == {
        (f"flow{n % 2}", a_letter(n).reason) for n in range(6)
    }


@pytest.mark.parametrize("order", ["oldest", "newest"])
async def test_filters_join(rig: BusRig, desk: DeadLetterDesk, order: Order) -> None:
    await park_all(rig, map(a_letter, range(60)))
    cases: dict[LetterFilter, Callable[[int], bool]] = {
        LetterFilter(flow="flow1"): lambda n: n % 2 == 1,
        LetterFilter(reason="script"): lambda n: n % 3 == 1,
        LetterFilter(event_type="order.t4"): lambda n: n % 5 == 4,
        LetterFilter(event_id="e17"): lambda n: n == 17,
        LetterFilter(event_id="e17", flow="flow0"): lambda _: False,
        LetterFilter(since_ms=1010, until_ms=1020): lambda n: 10 <= n < 20,
        LetterFilter(flow="flow0", reason="poison", since_ms=1030): lambda n: (
            n % 2 == 0 and n % 3 == 2 and n >= 30
        ),
        LetterFilter(flow="nobody"): lambda _: False,
    }
    for which, judge in cases.items():
        expected = [f"r{n}" for n in range(60) if judge(n)]
        pages = await every_page(desk, "acme", which, order=order, limit=3)
        found = [each for page in pages for each in letter_ids(page.letters)]
        assert found == (expected if order == "oldest" else expected[::-1]), which


async def test_listing_carries_no_payload_and_showing_does(
    rig: BusRig, desk: DeadLetterDesk
) -> None:
    letter = a_letter(1, path=("load", "call"), flow_version="2", started_ms=900)
    await park_all(rig, [letter])
    [kept] = (await desk.list("acme", ALL)).letters
    assert kept.letter is not None
    assert kept.letter.event is not None
    assert kept.letter.event.payload is None
    assert kept.can_redrive
    assert kept.as_summary()["path"] == ["load", "call"]
    shown = await desk.show("acme", "r1")
    assert shown.letter == letter
    document = shown.as_document()
    assert (document["event"]["payload"], document["failed_ms"]) == ({"n": 1}, 1001)
    assert json.dumps(document)
    assert (await desk.show("acme", f"@{shown.sequence}")).letter == letter


async def test_letters_of_earlier_versions_are_among_them(
    rig: BusRig, desk: DeadLetterDesk, scheduled: MemoryContinuations
) -> None:
    for number in range(6):
        document = letter_document(a_letter(number)) | {"raw": None, "raw_bytes": None}
        old = {name: document[name] for name in (*OLD_FIELDS, "raw", "raw_bytes")}
        if number % 2:
            await park_all(rig, [a_letter(number)])
        else:
            await put(rig, dead_letters_before(rig.env, "acme"), json.dumps(old).encode())
    expected = [f"r{number}" for number in range(6)]
    for limit in (1, 2, 5, 50):
        pages = await every_page(desk, "acme", order="oldest", limit=limit)
        assert [each for page in pages for each in letter_ids(page.letters)] == expected
        pages = await every_page(desk, "acme", order="newest", limit=limit)
        assert [each for page in pages for each in letter_ids(page.letters)] == expected[::-1]
    assert (await desk.show("acme", "r2")).failed_ms > 1_700_000_000_000
    assert letter_ids((await desk.list("acme", LetterFilter(event_id="e2"))).letters) == ["r2"]
    assert (await desk.redrive("acme", ["r2"], FAST)).done == 1
    assert [each.event.id for each in scheduled.scheduled.values()] == ["e2"]


async def test_damaged_letters_are_listed_shown_and_discarded(
    rig: BusRig, desk: DeadLetterDesk, scheduled: MemoryContinuations
) -> None:
    await park_all(rig, [a_letter(1)])
    stranger = encode_letter(a_letter(2, "other"))
    for data in (b"no json", b"{}", stranger):
        await put(rig, dead_letter_subject(rig.env, "acme", "e", f"x{len(data)}"), data)
    page = await desk.list("acme", ALL, order="oldest")
    assert [kept.reason for kept in page.letters] == ["script", *[DAMAGED] * 3]
    broken = page.letters[3]
    assert broken.id == f"@{broken.sequence}"
    assert "payload" not in json.dumps((await desk.show("acme", broken.id)).as_document())
    report = await desk.redrive("acme", LetterFilter(reason=DAMAGED), FAST)
    assert (report.done, report.not_redrivable) == (0, 3)
    report = await desk.discard("acme", LetterFilter(reason=DAMAGED), FAST)
    assert (report.chosen, report.done) == (3, 3)
    assert letter_ids((await desk.list("acme", ALL)).letters) == ["r1"]
    assert scheduled.scheduled == {}


async def test_letters_as_large_as_events_are_paged(rig: BusRig, desk: DeadLetterDesk) -> None:
    large = [replace(a_letter(n), event=None, raw=b"x" * 500_000, subject="a") for n in range(120)]
    await park_all(rig, large)
    for order in ("newest", "oldest"):
        pages = await every_page(desk, "acme", order=order, limit=50)
        assert sorted(each for page in pages for each in letter_ids(page.letters)) == sorted(
            letter.letter_id for letter in large
        )


# ── Redriving and discarding ─────────────────────────────────────────────────────────────────


async def test_redrive_by_filter_leaves_the_rest(
    rig: BusRig, desk: DeadLetterDesk, scheduled: MemoryContinuations
) -> None:
    await park_all(rig, map(a_letter, range(30)))
    report = await desk.redrive("acme", LetterFilter(flow="flow1"), FAST)
    assert (report.chosen, report.done, report.failed, report.has_more) == (15, 15, 0, False)
    waiting = list(scheduled.scheduled.values())
    assert [each.run_id for each in waiting] == [
        run_id(f"e{n}", "flow1", f"r{n}") for n in range(1, 30, 2)
    ]
    left = (await desk.list("acme", ALL, order="oldest")).letters
    assert letter_ids(left) == [f"r{n}" for n in range(0, 30, 2)]


async def test_dry_run_changes_nothing(
    rig: BusRig, desk: DeadLetterDesk, scheduled: MemoryContinuations
) -> None:
    await park_all(rig, [*map(a_letter, range(5)), a_letter(9, event=None, flow=None)])
    report = await desk.redrive("acme", ALL, Effort(is_dry_run=True))
    assert (report.is_dry_run, report.done, report.not_redrivable) == (True, 5, 1)
    assert (await desk.discard("acme", ALL, Effort(is_dry_run=True))).done == 6
    assert len((await desk.list("acme", ALL)).letters) == 6
    assert scheduled.scheduled == {}


async def test_limit_is_said_and_the_next_call_goes_on(rig: BusRig, desk: DeadLetterDesk) -> None:
    await park_all(rig, map(a_letter, range(12)))
    done = []
    while True:
        report = await desk.redrive("acme", ALL, Effort(limit=5, per_second=None))
        done.append(report.done)
        if not report.has_more:
            break
    assert done == [5, 5, 2]


async def test_rate_is_kept_and_progress_told(rig: BusRig, desk: DeadLetterDesk) -> None:
    await park_all(rig, map(a_letter, range(60)))
    told: list[int] = []

    def tell(report: Report) -> None:
        told.append(report.done)

    began = time.monotonic()
    await desk.redrive("acme", ALL, Effort(per_second=100), tell)
    seconds = time.monotonic() - began
    assert 0.55 <= seconds < 3
    assert told == [20, 40, 60]


async def test_runs_that_fail_again_are_not_taken_by_the_same_call(
    rig: BusRig, scheduled: MemoryContinuations
) -> None:
    """A run that ends in a letter at once would else be redriven for ever."""

    class Failing(MemoryContinuations):
        async def schedule(
            self, tenant: str, continuation: Continuation, *, lane: str | None = None
        ) -> None:
            await super().schedule(tenant, continuation, lane=lane)
            again = a_letter(0, letter_id=continuation.run_id, event=continuation.event)
            await rig.dead_letters.park(again)

    failing = Failing()
    await park_all(rig, map(a_letter, range(250)))
    async with a_desk(rig, failing) as desk:
        report = await desk.redrive("acme", ALL, FAST)
        assert (report.chosen, len(failing.scheduled)) == (250, 250)
        assert (await desk.count("acme")).total == 250


async def test_bus_that_goes_away_stops_a_redrive_and_says_where(rig: BusRig) -> None:
    class Vanishing(MemoryContinuations):
        async def schedule(
            self, tenant: str, continuation: Continuation, *, lane: str | None = None
        ) -> None:
            if len(self.scheduled) == 3:
                raise UnavailableError("WORK is away")
            await super().schedule(tenant, continuation, lane=lane)

    await park_all(rig, map(a_letter, range(10)))
    async with a_desk(rig, Vanishing()) as desk:
        report = await desk.redrive("acme", ALL, FAST)
        assert (report.done, report.stopped) == (3, "WORK is away")
        assert (await desk.count("acme")).total == 7


async def test_crash_before_the_letter_is_deleted_leaves_one_run(
    rig: BusRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The continuation is stored first; redriving the letter that stayed is the same run."""

    async def crash(_admin: JetStreamAdmin, _stream: str, _sequence: int) -> bool:
        raise ConnectionResetError

    continuations = JetStreamContinuations(rig.acked, env=rig.env, clock=SystemClock())
    await park_all(rig, [a_letter(1)])
    async with a_desk(rig, continuations) as desk:
        with monkeypatch.context() as patch:
            patch.setattr(JetStreamAdmin, "delete_message", crash)
            with pytest.raises(ConnectionResetError):
                await desk.redrive("acme", ["r1"], FAST)
        assert len(await rig.stored(rig.work_stream)) == 1
        assert (await desk.count("acme")).total == 1
        assert (await desk.redrive("acme", ["r1"], FAST)).done == 1
        assert (await desk.count("acme")).total == 0
        [(_, _, document)] = await rig.stored(rig.work_stream)
        assert document["run_id"] == run_id("e1", "flow1", "r1")


async def test_event_whose_letters_cannot_be_deleted_is_unavailable(
    rig: BusRig, desk: DeadLetterDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_admin: JetStreamAdmin, _stream: str, _sequence: int) -> bool:
        raise BusError("deleting is denied", server_code=10000)

    await park_all(rig, map(a_letter, range(2)))
    monkeypatch.setattr(JetStreamAdmin, "delete_message", refuse)
    with pytest.raises(UnavailableError):
        await desk.redrive_event("acme", "e1")
    report = await desk.discard("acme", ALL, FAST)
    assert (report.done, report.failed, set(report.failures)) == (0, 2, {"r0", "r1"})


async def test_unknown_ids_are_told(rig: BusRig, desk: DeadLetterDesk) -> None:
    await park_all(rig, map(a_letter, range(3)))
    report = await desk.discard("acme", ["r1", "nobody", "@999", "@x", "r1"], FAST)
    assert (report.done, report.failed) == (1, 3)
    assert set(report.failures) == {"nobody", "@999", "@x"}
    assert letter_ids((await desk.list("acme", ALL, order="oldest")).letters) == ["r0", "r2"]


# ── Tenants ──────────────────────────────────────────────────────────────────────────────────


async def test_no_id_filter_or_place_leads_to_another_tenant(
    rig: BusRig, desk: DeadLetterDesk, scheduled: MemoryContinuations
) -> None:
    event = a_letter(1).event
    secret = [a_letter(n, "acme", letter_id=f"s{n}", event=event) for n in range(8)]
    await park_all(rig, secret)
    await park_all(rig, [a_letter(1, "acme2", letter_id="own")])
    for stranger in ("acme2", "ac", "acm"):
        own = ["own"] if stranger == "acme2" else []
        for place in range(12):
            for order in ("newest", "oldest"):
                page = await desk.list(stranger, ALL, order=order, after=place)
                assert set(letter_ids(page.letters)) <= set(own)
            with pytest.raises(NotFoundError):
                await desk.show(stranger, f"@{place if place != 9 else 99}")
        for letter in secret:
            with pytest.raises(NotFoundError):
                await desk.show(stranger, letter.letter_id)
        names_of_all = [letter.letter_id for letter in secret] + [f"@{n}" for n in range(1, 9)]
        for act in (desk.redrive, desk.discard):
            assert (await act(stranger, names_of_all, FAST)).done == 0
        assert (await desk.redrive_event(stranger, "nobody")) == 0
        assert (await desk.count(stranger)).total == len(own)
    assert scheduled.scheduled == {}
    assert (await desk.discard("acme2", ALL, FAST)).done == 1
    assert (await desk.count("acme")).total == 8


@pytest.mark.parametrize("tenant", ["*", ">", "a.b", "", "ACME", "acme.*"])
async def test_tenant_that_is_no_token_is_refused(desk: DeadLetterDesk, tenant: str) -> None:
    with pytest.raises(InvalidSubjectError):
        await desk.list(tenant, ALL)
    with pytest.raises(InvalidSubjectError):
        await desk.show(tenant, "r1")
    with pytest.raises(InvalidSubjectError):
        await desk.discard(tenant, ALL, FAST)


@pytest.mark.parametrize("letter_id", ["*", ">", "*.*", "a b", "ä", "", "@", "@-1", "@" + "9" * 40])
async def test_hostile_ids_are_nobody(rig: BusRig, desk: DeadLetterDesk, letter_id: str) -> None:
    await park_all(rig, map(a_letter, range(3)))
    with pytest.raises(NotFoundError):
        await desk.show("acme", letter_id)


async def test_message_that_is_no_event_is_shown_whole(rig: BusRig, desk: DeadLetterDesk) -> None:
    error = RunError("actors.invalid_event", None, "event: is no JSON")
    letter = DeadLetter("acme", "no_event", error, 1, "EVENTS:5", raw=b"\xff\x00", subject="a.b")
    await park_all(rig, [letter])
    shown = await desk.show("acme", "EVENTS:5")
    assert shown.letter == letter
    assert not shown.can_redrive
    assert shown.as_document()["raw"] == "/wA="
