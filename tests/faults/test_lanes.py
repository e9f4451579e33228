"""The judge of lanes is judged: order and concurrency that were broken are found."""

from tests.faults.lanes import check_lanes
from tests.faults.observed import Call, Seen, Stored

ORDER = "runs of one key follow each other"
CROWD = "no more runs of one key at once than allowed"
MS = 1_000_000


def _seen(event_type: str, node: str, *calls: tuple[int, int, int]) -> Seen:
    """Events of one key, in the order of the stream: number, begin and end of a call in ms."""
    events = [
        Stored("s", {"event_type": event_type, "payload": {"number": n, "shard": 0}}, 0, n)
        for n in sorted({number for number, _, _ in calls})
    ]
    found: dict[str, list[Call]] = {}
    for number, begin, end in calls:
        name = f"{node}/{number}"
        found.setdefault(name, []).append(Call("k", name, begin * MS, "200", end * MS))
    return Seen(events=events, calls=found)


def _ordered(*calls: tuple[int, int, int]) -> Seen:
    return _seen("order.made", "in-order/ring", *calls)


def _narrow(*calls: tuple[int, int, int]) -> Seen:
    return _seen("narrow.made", "narrow/ring", *calls)


def test_runs_that_follow_each_other_are_in_order() -> None:
    assert not check_lanes(_ordered((1, 0, 5), (1, 10, 15), (2, 20, 25)))[ORDER]


def test_a_run_that_overtakes_is_found() -> None:
    assert len(check_lanes(_ordered((1, 10, 15), (2, 0, 5)))[ORDER]) == 1


def test_a_repeat_after_the_next_run_began_is_found() -> None:
    assert len(check_lanes(_ordered((1, 0, 5), (2, 10, 15), (1, 20, 25)))[ORDER]) == 1


def test_two_at_once_are_allowed_and_three_are_found() -> None:
    assert not check_lanes(_narrow((1, 0, 100), (2, 50, 150), (3, 120, 200)))[CROWD]
    assert check_lanes(_narrow((1, 0, 100), (2, 50, 150), (3, 90, 200)))[CROWD]


def test_calls_that_a_dead_worker_left_behind_do_not_count() -> None:
    calls = ((1, 0, 300), (1, 310, 400), (2, 50, 150), (3, 90, 200))
    assert not check_lanes(_narrow(*calls))[CROWD]
