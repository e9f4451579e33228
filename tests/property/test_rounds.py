"""Deficit round robin: weighted shares, no starvation, nothing for who never waits."""

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runs.rounds import DEBT_MAX, Member, Rounds

QUANTUM = 1.0
OVERSPENT_MAX = 3.0
"""What the longest slice takes of the model's members, in quanta."""

weights = st.lists(st.sampled_from([0.1, 0.5, 1.0, 2.0, 10.0]), min_size=2, max_size=6)
slices = st.lists(st.floats(min_value=0.01, max_value=OVERSPENT_MAX), min_size=1, max_size=40)


@dataclass
class Busy:
    """A member that always has work, and what it has had."""

    member: Member
    had: float = 0.0
    served_in: set[int] = field(default_factory=set)


def serve(rounds: Rounds, busy: list[Busy], sizes: list[float], turns: int) -> None:
    by_member = {id(one.member): one for one in busy}
    for turn in range(turns):
        member = rounds.next(QUANTUM)
        if member is None:
            continue  # the search goes on
        one, size = by_member[id(member)], sizes[turn % len(sizes)]
        member.left -= size
        one.had += size
        one.served_in.add(rounds.number)


@given(weights, slices, st.integers(min_value=50, max_value=400))
def test_each_gets_its_weighted_share_but_for_a_quantum(
    shares: list[float], sizes: list[float], turns: int
) -> None:
    rounds = Rounds()
    busy = [Busy(Member(weight)) for weight in shares]
    for one in busy:
        rounds.join(one.member)
    serve(rounds, busy, sizes, turns)
    for one in busy:
        # Given once a round, spent but for what is left or owed.
        for other in busy:
            mine, theirs = one.had / one.member.weight, other.had / other.member.weight
            slack = (
                2 * QUANTUM
                + OVERSPENT_MAX / one.member.weight
                + OVERSPENT_MAX / other.member.weight
            )
            assert abs(mine - theirs) <= slack


@given(weights, slices)
def test_nobody_starves(shares: list[float], sizes: list[float]) -> None:
    rounds = Rounds()
    busy = [Busy(Member(weight)) for weight in shares]
    for one in busy:
        rounds.join(one.member)
    one_round = sum(shares) * QUANTUM / (sum(sizes) / len(sizes))
    serve(rounds, busy, sizes, 1000 + int(2 * one_round))
    longest = OVERSPENT_MAX / 0.1 + 2  # rounds until the lightest has paid what it owes
    for one in busy:
        assert len(one.served_in) >= 1
        seen = sorted({0, *one.served_in, rounds.number})
        assert max(b - a for a, b in pairwise(seen)) <= longest


@given(st.lists(st.floats(min_value=0.01, max_value=5.0), min_size=1, max_size=50))
def test_who_was_away_has_one_quantum_and_no_more(spent: list[float]) -> None:
    rounds, flood, guest = Rounds(), Member(), Member()
    rounds.join(flood)
    for size in spent:
        member = rounds.next(QUANTUM)
        assert member is flood
        flood.left -= size
    assert rounds.catch_up(guest, QUANTUM)
    assert guest.left == QUANTUM
    guest.left = -QUANTUM / 2
    assert not rounds.catch_up(guest, QUANTUM)


def test_debt_is_bounded() -> None:
    rounds, stalled, other = Rounds(), Member(), Member()
    rounds.join(stalled)
    rounds.join(other)
    assert rounds.next(QUANTUM) is stalled
    stalled.left -= 1e9  # the machine stood still meanwhile
    turns = 0
    while (member := rounds.next(QUANTUM)) is other:
        member.left -= QUANTUM
        turns += 1
    assert member is stalled
    assert turns <= DEBT_MAX + 1


def test_a_search_is_bounded_and_goes_on() -> None:
    rounds = Rounds()
    members = [Member(0.1) for _ in range(600)]
    for member in members:
        rounds.join(member)
        rounds.catch_up(member, QUANTUM)
        member.left = -3.0
    searches = 1
    while rounds.next(QUANTUM) is None:
        searches += 1
    assert 1 < searches < 40


def test_only_the_member_in_front_leaves() -> None:
    rounds, first, second = Rounds(), Member(), Member()
    rounds.join(first)
    rounds.join(second)
    rounds.join(second)
    with pytest.raises(ValueError, match="served"):
        rounds.leave(second)
    rounds.leave(first)
    rounds.leave(second)
    assert not rounds.is_contended
    assert rounds.next(QUANTUM) is None
