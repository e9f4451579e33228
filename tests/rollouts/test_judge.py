"""The judge finds what is broken by hand, and nothing where all is well."""

import pytest

from tests.rollouts.judge import Change, Seen, Sent, judge

CHANGES = [Change(1, True, 0, 10), Change(2, False, 100, 110), Change(3, True, 200, 210)]


def first(sent_ms: float) -> Sent:
    return Sent("e", False, sent_ms)


def second(sent_ms: float) -> Sent:
    return Sent("e", True, sent_ms)


def seen(version: int, started_ms: float) -> Seen:
    return Seen("e", "one", version, started_ms)


@pytest.mark.parametrize(
    ("sent", "results"),
    [
        (first(50), [seen(1, 51)]),
        (first(99), [seen(1, 105)]),
        (first(99), [seen(2, 105)]),
        (first(99), [seen(2, 150)]),
        (second(50), [seen(1, 51)]),
        (second(150), []),
        (second(105), []),
        (second(105), [seen(2, 106)]),
    ],
)
def test_what_may_be_is_found_to_be_right(sent: Sent, results: list[Seen]) -> None:
    assert judge(CHANGES, [sent], results) == []


@pytest.mark.parametrize(
    ("sent", "results", "words"),
    [
        (first(50), [], "0 results"),
        (first(50), [seen(1, 51), seen(1, 52)], "2 results"),
        (first(50), [seen(2, 51)], "began on version 2"),
        (first(105), [seen(1, 111)], "began on version 1"),
        (second(50), [], "lost"),
        (second(150), [seen(2, 151)], "not there"),
    ],
)
def test_what_may_not_be_is_found(sent: Sent, results: list[Seen], words: str) -> None:
    (finding, *_) = judge(CHANGES, [sent], results)
    assert words in finding
