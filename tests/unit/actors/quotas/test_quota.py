"""Quotas of a tenant: events, effects that are booked ahead, operations of scripts."""

import pytest

from actors.errors import QuotaExceededError, TransientError
from actors.observations import EventRefused
from actors.quotas.plan import UNLIMITED, PlanLimits
from actors.quotas.quota import (
    AHEAD_SECONDS_MAX,
    BOOKED_KEPT_SECONDS,
    EFFECTS,
    EVENTS,
    SPACED_SECONDS_MAX,
    Quotas,
    TenantQuota,
)
from actors.testing.clock import VirtualClock
from actors.testing.observer import RecordingObserver


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def observer() -> RecordingObserver:
    return RecordingObserver()


@pytest.fixture
def quota(clock: VirtualClock, observer: RecordingObserver) -> TenantQuota:
    return Quotas(clock, observer).of("acme")


def refused_until(quota: TenantQuota, key: str) -> float:
    with pytest.raises(QuotaExceededError) as caught:
        quota.take_effect(key)
    assert caught.value.reason == EFFECTS
    return caught.value.retry_after_seconds


def test_without_a_plan_nothing_is_refused_and_all_is_counted(quota: TenantQuota) -> None:
    for number in range(1000):
        quota.take_event()
        quota.take_effect(f"call-{number}")
        quota.take_emitted(f"event-{number}")
        quota.used_operations(50)
    usage = quota.usage
    assert (usage.events, usage.effects, usage.script_operations) == (2000, 2000, 50_000)
    assert (usage.events_refused, usage.effects_put_off) == (0, 0)


async def test_events_over_the_rate_are_refused_until_exactly_their_time(
    quota: TenantQuota, clock: VirtualClock, observer: RecordingObserver
) -> None:
    quota.adopt(PlanLimits(events_per_second=4))
    for _ in range(4):
        quota.take_event()
    with pytest.raises(QuotaExceededError) as caught:
        quota.take_event()
    assert caught.value.retry_after_seconds == pytest.approx(0.25)
    assert caught.value.reason == EVENTS
    assert observer.observations == [EventRefused("acme", EVENTS)]
    await clock.advance(caught.value.retry_after_seconds)
    quota.take_event()
    with pytest.raises(QuotaExceededError):
        quota.take_event()
    assert (quota.usage.events, quota.usage.events_refused) == (5, 2)


async def test_effects_over_the_quota_are_booked_one_after_the_other(
    quota: TenantQuota, clock: VirtualClock
) -> None:
    quota.adopt(PlanLimits(effects_per_minute=6))
    for number in range(6):
        quota.take_effect(f"now-{number}")
    waits = [refused_until(quota, f"later-{number}") for number in range(3)]
    assert waits == [pytest.approx(10), pytest.approx(20), pytest.approx(30)]
    await clock.advance(10.001)
    quota.take_effect("later-0")
    assert refused_until(quota, "later-1") == pytest.approx(10, abs=0.01)  # too early, not lost
    assert refused_until(quota, "new") == pytest.approx(30, abs=0.01)
    await clock.advance(20)
    quota.take_effect("later-2")
    quota.take_effect("later-1")
    assert quota.usage.effects == 9


async def test_a_booking_is_used_once(quota: TenantQuota, clock: VirtualClock) -> None:
    quota.adopt(PlanLimits(effects_per_minute=1))
    quota.take_effect("first")
    await clock.advance(refused_until(quota, "second"))
    quota.take_effect("second")
    assert refused_until(quota, "second") == pytest.approx(60)


def test_what_would_wait_too_long_fails(quota: TenantQuota) -> None:
    quota.adopt(PlanLimits(effects_per_minute=1))
    quota.take_effect("now")
    for number in range(int(AHEAD_SECONDS_MAX / 60)):
        refused_until(quota, f"later-{number}")
    with pytest.raises(TransientError) as caught:
        quota.take_effect("too-late")
    assert caught.value.reason == EFFECTS
    assert (caught.value.retry_after_seconds or 0) > AHEAD_SECONDS_MAX


async def test_bookings_are_forgotten_when_nobody_comes(
    clock: VirtualClock, observer: RecordingObserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.quotas.quota.BOOKED_MAX", 2)
    quota = TenantQuota("acme", clock, observer)
    quota.adopt(PlanLimits(effects_per_minute=60))
    for number in range(60):
        quota.take_effect(f"now-{number}")
    for number in range(2):
        refused_until(quota, f"later-{number}")
    with pytest.raises(TransientError):
        quota.take_effect("one-more")
    await clock.advance(BOOKED_KEPT_SECONDS + 3)
    for number in range(60):
        quota.take_effect(f"again-{number}")
    refused_until(quota, "one-more")


async def test_an_emitted_event_that_waits_for_the_event_rate_pays_its_effect_once(
    quota: TenantQuota, clock: VirtualClock
) -> None:
    quota.adopt(PlanLimits(events_per_second=1, effects_per_minute=2))
    quota.take_emitted("one")
    with pytest.raises(QuotaExceededError) as caught:
        quota.take_emitted("two")
    assert caught.value.reason == EVENTS
    await clock.advance(caught.value.retry_after_seconds)
    quota.take_emitted("two")
    assert (quota.usage.effects, quota.usage.events) == (2, 2)
    assert refused_until(quota, "three") == pytest.approx(29)


async def test_operations_over_the_quota_space_scripts_out(
    quota: TenantQuota, clock: VirtualClock
) -> None:
    quota.adopt(PlanLimits(script_operations_per_second=1000))
    quota.used_operations(1000)
    assert quota.scripts_at <= clock.monotonic()
    quota.used_operations(500)
    assert quota.scripts_at - clock.monotonic() == pytest.approx(0.5)
    quota.used_operations(1_000_000)
    assert quota.scripts_at - clock.monotonic() == SPACED_SECONDS_MAX
    quota.adopt(UNLIMITED)
    assert quota.scripts_at <= clock.monotonic()


def test_a_plan_that_changes_keeps_what_was_used(quota: TenantQuota) -> None:
    quota.adopt(PlanLimits(events_per_second=10))
    for _ in range(10):
        quota.take_event()
    quota.adopt(PlanLimits(events_per_second=5))
    with pytest.raises(QuotaExceededError) as caught:
        quota.take_event()
    assert caught.value.retry_after_seconds == pytest.approx(0.2)
    quota.adopt(UNLIMITED)
    quota.take_event()


def test_tenants_have_quotas_of_their_own(clock: VirtualClock) -> None:
    quotas = Quotas(clock, RecordingObserver())
    assert quotas.find("acme") is None
    quotas.of("acme").adopt(PlanLimits(events_per_second=1))
    quotas.of("acme").take_event()
    quotas.of("other").take_event()
    quotas.of("other").take_event()
    with pytest.raises(QuotaExceededError):
        quotas.of("acme").take_event()
    quotas.used("acme", 7)
    found = quotas.find("acme")
    assert found is quotas.of("acme")
    assert found.usage.script_operations == 7
