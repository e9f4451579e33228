"""The backlog quota judges by what it last heard, and never makes a publish wait."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from actors.errors import QuotaExceededError, TransientError, UnavailableError
from actors.events import Event
from actors.observations import BacklogMeasured, EventRefused
from actors.ports import Envelope
from actors.testing.clock import VirtualClock
from actors.testing.observer import RecordingObserver
from app.bus import backlog as module
from app.bus.backlog import BacklogLimits, BacklogQuota, Pace
from app.bus.backlog_reading import BacklogFigures, BacklogMemory
from app.bus.deliveries import TenantConsumers
from app.bus.observations import BacklogDrained, BacklogFilled, BacklogUnknown, EventsLost
from app.bus.pulls import ConsumerName

NOTHING = BacklogFigures(0, 0)
LIMITS = BacklogLimits(events=100, bytes=10_000)
PACE = Pace(usual=0.04, calm=0.08, pressed=0.01, idle_after=0.2)


def an_envelope(tenant: str = "acme", event_type: str = "order.created", hops: int = 0) -> Envelope:
    return Envelope(tenant, Event("e1", event_type, "webhook", 5, None), "m1", hops=hops)


def consumers_of(tenant: str) -> TenantConsumers:
    return TenantConsumers("dev", tenant, ConsumerName("EV", "flows"), None)


@dataclass
class SaidReader:
    """A reader that says what the test wants."""

    figures: BacklogFigures = NOTHING
    fails: bool = False
    reads: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, _consumers: TenantConsumers, _memory: BacklogMemory) -> BacklogFigures:
        self.reads += 1
        figures = self.figures
        await self.gate.wait()
        if self.fails:
            raise UnavailableError("nobody is there")
        return figures


@dataclass
class Yard:
    """A quota, what it reads from and what it says."""

    quota: BacklogQuota
    reader: SaidReader
    observer: RecordingObserver
    clock: VirtualClock

    def publish(self, count: int = 1, size: int = 10, envelope: Envelope | None = None) -> None:
        for _ in range(count):
            self.quota.enter(envelope or an_envelope()).take(size)

    def refuses(self, envelope: Envelope | None = None) -> bool:
        try:
            self.quota.enter(envelope or an_envelope())
        except (QuotaExceededError, TransientError):
            return True
        return False

    async def wait_reads(self, more: int = 1) -> None:
        """Wait until the server was asked this often from now on, and has answered."""
        wanted = self.reader.reads + more
        await wait_until(lambda: self.reader.reads >= wanted)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def judge(self, events: int, size: int = 0) -> None:
        self.reader.figures = BacklogFigures(events, size)
        self.refuses()  # somebody publishes: it is looked after
        await self.wait_reads(2)


async def wait_until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0.002)


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    reader, observer, clock = SaidReader(), RecordingObserver(), VirtualClock()
    reader.gate.set()
    quota = BacklogQuota(
        LIMITS, consumers_of, reader=reader, observer=observer, clock=clock, pace=PACE
    )
    yield Yard(quota, reader, observer, clock)
    await quota.close()


async def test_unknown_backlog_is_allowed_and_the_first_publish_asks(yard: Yard) -> None:
    yard.reader.gate.clear()
    yard.reader.figures = BacklogFigures(1000, 0)
    yard.publish()
    assert yard.reader.reads == 0, "the request itself asks nobody"
    await yard.wait_reads()
    yard.publish()
    yard.reader.gate.set()
    await wait_until(yard.refuses)


@pytest.mark.parametrize(("events", "size"), [(100, 0), (1, 10_000), (5000, 5)])
async def test_full_backlog_refuses_with_a_time_to_come_back(
    yard: Yard, events: int, size: int
) -> None:
    await yard.judge(events, size)
    with pytest.raises(QuotaExceededError) as caught:
        yard.quota.enter(an_envelope())
    assert caught.value.tenant == "acme"
    assert caught.value.retry_after_seconds == module.RETRY_SECONDS_FIRST
    assert "100" not in str(caught.value), "the figure is the tenant's business"
    assert yard.observer.of(BacklogFilled) == [BacklogFilled("acme", events, size)]
    assert yard.observer.of(EventRefused)[-1] == EventRefused("acme", "quota_exceeded")


async def test_backlog_below_the_quota_refuses_nobody(yard: Yard) -> None:
    await yard.judge(99, 9_999)
    yard.publish(1)
    assert yard.observer.of(EventRefused) == []


async def test_own_publishes_count_until_the_server_has_counted_them(yard: Yard) -> None:
    await yard.judge(90)
    yard.publish(10)
    with pytest.raises(QuotaExceededError) as caught:
        yard.quota.enter(an_envelope())
    assert caught.value.retry_after_seconds == module.RETRY_SECONDS_MIN
    await yard.wait_reads(2)
    assert not yard.refuses(), "it was all done meanwhile"
    assert yard.observer.of(BacklogFilled) == []


async def test_own_bytes_count_too(yard: Yard) -> None:
    await yard.judge(1, 9_000)
    yard.publish(1, size=1_000)
    assert yard.refuses()


async def test_publishes_while_the_server_is_asked_are_not_forgotten(yard: Yard) -> None:
    await yard.judge(60)
    yard.reader.gate.clear()
    yard.publish()
    await yard.wait_reads()
    yard.publish(39)
    measured = len(yard.observer.of(BacklogMeasured))
    yard.reader.gate.set()
    await wait_until(lambda: len(yard.observer.of(BacklogMeasured)) > measured)
    yard.publish()
    assert yard.refuses(), "60, and 40 of which the answer cannot know"


async def test_it_takes_in_again_only_with_a_tenth_of_it_done(yard: Yard) -> None:
    await yard.judge(100)
    await yard.judge(91)
    assert yard.refuses()
    await yard.judge(89)
    assert not yard.refuses()
    assert yard.observer.of(BacklogDrained) == [BacklogDrained("acme", 89, 0)]


async def test_retry_after_follows_how_fast_the_backlog_shrinks(yard: Yard) -> None:
    await yard.judge(200)
    yard.reader.figures = BacklogFigures(190, 0)
    await yard.clock.advance(2.0)
    await yard.wait_reads(2)
    with pytest.raises(QuotaExceededError) as caught:
        yard.quota.enter(an_envelope())
    assert caught.value.retry_after_seconds == pytest.approx(20.0), "1.0 too full, 0.05 a second"


async def test_backlog_that_does_not_shrink_says_the_longest_time(yard: Yard) -> None:
    account = module._Account(fill=1.5, drained_per_second=0.0)
    assert module._retry_after(account) == module.RETRY_SECONDS_MAX
    account.drained_per_second = 0.06
    assert module._retry_after(account) == pytest.approx(10.0)
    account.drained_per_second = 100
    assert module._retry_after(account) == module.RETRY_SECONDS_MIN
    account.drained_per_second = None
    assert module._retry_after(account) == module.RETRY_SECONDS_FIRST
    assert not yard.reader.reads


def test_drain_is_smoothed_and_never_negative() -> None:
    account = module._Account()
    module._learn_drain(account, -3.0)
    assert account.drained_per_second == 0
    module._learn_drain(account, 1.0)
    assert account.drained_per_second == pytest.approx(0.3)


async def test_what_a_flow_emits_fails_for_now(yard: Yard) -> None:
    await yard.judge(100)
    with pytest.raises(TransientError) as caught:
        yard.quota.enter(an_envelope(hops=1))
    assert caught.value.reason == "quota_exceeded"
    assert caught.value.retry_after_seconds == module.RETRY_SECONDS_FIRST


async def test_timers_go_on(yard: Yard) -> None:
    await yard.judge(100)
    assert not yard.refuses(an_envelope(event_type="timer.daily.0"))
    assert yard.refuses()


async def test_tenants_do_not_meet(yard: Yard) -> None:
    await yard.judge(100)
    yard.reader.figures = BacklogFigures(0, 0)
    assert not yard.refuses(an_envelope("other"))


async def test_server_that_does_not_answer_leaves_the_last_figure(yard: Yard) -> None:
    await yard.judge(100)
    yard.reader.fails = True
    yard.refuses()
    await yard.wait_reads(3)
    assert yard.refuses()
    assert yard.observer.of(BacklogUnknown) == [BacklogUnknown("acme", "nobody is there")]
    yard.reader.fails = False
    await yard.judge(10)
    assert not yard.refuses()


async def test_server_is_left_alone_when_nobody_publishes_and_nothing_waits(yard: Yard) -> None:
    yard.publish()
    await wait_until(lambda: not yard.quota._keepers)
    reads = yard.reader.reads
    await asyncio.sleep(0.1)
    assert yard.reader.reads == reads
    yard.publish()
    await yard.wait_reads()


async def test_unforeseen_error_leaves_no_room_that_nobody_looks_after(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read(_consumers: TenantConsumers, _memory: BacklogMemory) -> BacklogFigures:
        raise ZeroDivisionError

    await yard.judge(100)
    monkeypatch.setattr(yard.reader, "read", read)
    [keeper] = yard.quota._keepers
    with pytest.raises(ZeroDivisionError):
        await keeper
    monkeypatch.undo()
    assert not yard.refuses(), "unknown is allowed, and asked anew"
    await wait_until(yard.refuses)


async def test_backlog_that_is_worked_off_is_followed_to_its_end(yard: Yard) -> None:
    yard.reader.figures = BacklogFigures(50, 500)
    yard.publish()
    await yard.wait_reads(4)
    yard.reader.figures = BacklogFigures(0, 0)
    await wait_until(lambda: not yard.quota._keepers)
    assert yard.observer.of(BacklogMeasured)[-1] == BacklogMeasured("acme", 0, 0, 0)


async def test_at_most_one_question_per_pace(yard: Yard) -> None:
    yard.reader.figures = BacklogFigures(50, 0)
    loop = asyncio.get_running_loop()
    began = loop.time()
    while loop.time() < began + 0.4:
        with contextlib.suppress(QuotaExceededError):
            yard.publish()
        await asyncio.sleep(0.001)
    assert yard.reader.reads <= 0.4 / PACE.pressed + 1


async def test_lost_events_add_up_and_are_told(yard: Yard) -> None:
    yard.reader.figures = BacklogFigures(50, 0, lost=7)
    yard.publish()
    await wait_until(lambda: len(yard.observer.of(EventsLost)) >= 2)
    assert yard.observer.of(EventsLost)[:2] == [
        EventsLost("acme", 7, 7),
        EventsLost("acme", 7, 14),
    ]
    yard.reader.figures = BacklogFigures(0, 0)
    await wait_until(lambda: not yard.quota._keepers)
    assert yard.observer.of(BacklogMeasured)[-1].lost >= 14
