"""Guessing is locked by address and by prefix, for longer and longer, in bounded memory."""

import pytest

from app.identity import lock_out
from app.identity.lock_out import (
    ADDRESS_FAILURES_MAX,
    ADDRESS_SECONDS_MAX,
    FORGOTTEN_SECONDS,
    PREFIX_FAILURES_MAX,
    PREFIX_SECONDS_MAX,
    LockOut,
    counted_address,
)

HERE, THERE = "192.0.2.1", "192.0.2.2"


class Time:
    """Seconds, by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def locks(time: Time) -> LockOut:
    return LockOut(time)


def fail(locks: LockOut, times: int, address: str = HERE, prefix: str | None = "aaaaaaaa") -> None:
    for _ in range(times):
        locks.failed(address, prefix)


def test_address_is_locked_at_its_fifth_wrong_key_and_longer_each_time(
    locks: LockOut, time: Time
) -> None:
    fail(locks, ADDRESS_FAILURES_MAX - 1)
    assert locks.seconds_left(HERE, "bbbbbbbb") == 0
    expected = 1.0
    for _ in range(6):
        (locked,) = locks.failed(HERE, None)
        assert (locked.by, locked.seconds) == ("address", expected)
        assert locks.seconds_left(HERE, "bbbbbbbb") == expected
        time.now += expected
        assert locks.seconds_left(HERE, "bbbbbbbb") == 0
        expected *= 2


def test_lock_has_a_longest_time_and_is_forgotten(locks: LockOut, time: Time) -> None:
    fail(locks, 200, prefix=None)
    assert locks.seconds_left(HERE, None) == ADDRESS_SECONDS_MAX
    time.now += FORGOTTEN_SECONDS + 1
    assert locks.failed(HERE, None) == []
    assert locks.seconds_left(HERE, None) == 0


def test_other_addresses_and_prefixes_are_not_locked(locks: LockOut) -> None:
    fail(locks, PREFIX_FAILURES_MAX * 2)
    assert locks.seconds_left(THERE, "bbbbbbbb") == 0
    assert 0 < locks.seconds_left(THERE, "aaaaaaaa") <= PREFIX_SECONDS_MAX


def test_owner_known_at_an_address_is_shut_out_by_nobodys_guessing(locks: LockOut) -> None:
    locks.succeeded(THERE, "aaaaaaaa")
    for number in range(PREFIX_FAILURES_MAX * 3):
        locks.failed(f"198.51.100.{number}", "aaaaaaaa")
    assert locks.seconds_left(THERE, "aaaaaaaa") == 0
    fail(locks, ADDRESS_FAILURES_MAX, THERE, "cccccccc")
    assert locks.seconds_left(THERE, "aaaaaaaa") == 0, "its neighbour guessed at another key"
    assert locks.seconds_left(THERE, "cccccccc") > 0


def test_right_key_of_ones_own_makes_guessing_at_others_no_cheaper(locks: LockOut) -> None:
    for _ in range(ADDRESS_FAILURES_MAX):
        locks.succeeded(HERE, "dddddddd")
        locks.failed(HERE, "aaaaaaaa")
    assert locks.seconds_left(HERE, "aaaaaaaa") > 0


def test_wrong_key_under_a_known_prefix_ends_the_exemption(locks: LockOut) -> None:
    locks.succeeded(HERE, "aaaaaaaa")
    fail(locks, ADDRESS_FAILURES_MAX)
    assert locks.seconds_left(HERE, "aaaaaaaa") > 0


def test_memory_is_bounded(locks: LockOut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_out, "REMEMBERED_MAX", 50)
    for number in range(500):
        locks.failed(f"host-{number}", f"p{number}")
        locks.succeeded(f"host-{number}", f"q{number}")
    assert len(locks._addresses.records) == len(locks._prefixes.records) == 50
    assert len(locks._friends) == 50


def test_key_remembers_only_a_few_addresses(locks: LockOut) -> None:
    for number in range(100):
        locks.succeeded(f"host-{number}", "aaaaaaaa")
    assert len(locks._friends["aaaaaaaa"]) == lock_out.FRIENDS_MAX


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "?"),
        ("unix", "?"),
    ],
)
def test_addresses_are_counted_by_whom_they_belong_to(address: str, expected: str) -> None:
    assert counted_address(address) == expected
