"""The machine's clock and fresh ids."""

import gc
import re
import time

from app.system import IDS_DRAWN, SystemClock, UlidIds, spare_the_collector

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def decoded_ms(ulid: str) -> int:
    value = 0
    for letter in ulid[:10]:
        value = value * 32 + CROCKFORD.index(letter)
    return value


def test_event_ids_are_ulids_of_now_and_never_repeat() -> None:
    ids = UlidIds()
    before = SystemClock().now_ms()
    made = [ids.event_id() for _ in range(3 * IDS_DRAWN)]
    after = SystemClock().now_ms()
    assert all(re.fullmatch(f"[0-7][{CROCKFORD}]{{25}}", one) for one in made)
    assert all(before <= decoded_ms(one) <= after for one in made)
    assert len(set(made)) == len(made)


def test_two_processes_worth_of_ids_share_nothing() -> None:
    one, other = UlidIds(), UlidIds()
    assert {one.event_id()[10:] for _ in range(100)}.isdisjoint(
        {other.event_id()[10:] for _ in range(100)}
    )


async def test_clock_measures_and_sleeps() -> None:
    clock = SystemClock()
    began = clock.monotonic()
    await clock.sleep(0)
    await clock.sleep(-1)
    assert clock.monotonic() >= began
    assert abs(clock.now_ms() - time.time() * 1000) < 60_000


def test_what_stays_for_good_is_spared_by_the_collector() -> None:
    thresholds, frozen = gc.get_threshold(), gc.get_freeze_count()
    try:
        spare_the_collector()
        assert gc.get_freeze_count() > frozen
        assert gc.get_threshold()[0] > thresholds[0]
        assert gc.isenabled()
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
