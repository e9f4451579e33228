"""Placement for any fleet: everybody is hosted, loads are even, and little moves."""

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from app.fleet.placement import Placement, hosts
from tests.support.fleets import report

TENANTS = [f"tenant-{number}" for number in range(600)]

worker_ids = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=30)
fleets = st.lists(worker_ids, min_size=2, max_size=9, unique=True)
replica_counts = st.integers(1, 4)


@given(fleets, replica_counts)
def test_load_is_even(fleet: list[str], replicas: int) -> None:
    """Within six standard deviations of what chance would do: one wrong of a billion."""
    counts = Counter(worker for one in TENANTS for worker in hosts(one, fleet, replicas))
    share = min(replicas, len(fleet)) / len(fleet)
    mean, deviation = share * len(TENANTS), math.sqrt(len(TENANTS) * share * (1 - share))
    assert all(abs(counts[worker] - mean) <= 6 * deviation for worker in fleet)


@given(fleets, replica_counts, worker_ids)
def test_only_what_the_newcomer_gets_moves(fleet: list[str], replicas: int, new: str) -> None:
    if new in fleet:
        return
    moved = 0
    for tenant in TENANTS:
        before, after = hosts(tenant, fleet, replicas), hosts(tenant, [*fleet, new], replicas)
        if new not in after:
            assert after == before
            continue
        moved += 1
        # At most one goes, the last choice; the order of the others is what it was.
        assert [one for one in after if one != new] == list(before)[: len(after) - 1]
    share = min(1.0, replicas / (len(fleet) + 1))
    deviation = math.sqrt(len(TENANTS) * share * (1 - share))
    assert abs(moved - share * len(TENANTS)) <= 6 * deviation


@given(fleets, replica_counts, st.data())
def test_only_tenants_of_the_one_that_leaves_move(
    fleet: list[str], replicas: int, data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(fleet))
    rest = [one for one in fleet if one != gone]
    for tenant in TENANTS[:100]:
        before = hosts(tenant, fleet, replicas)
        after = hosts(tenant, rest, replicas)
        assert [one for one in before if one != gone] == list(after)[
            : len(before) - (gone in before)
        ]
        assert gone in before or after == before


@given(st.lists(st.sets(st.sampled_from("abcde"), min_size=1), max_size=12), st.integers(0, 3))
def test_whatever_comes_and_goes_no_tenant_is_left_alone(
    history: list[set[str]], replicas: int
) -> None:
    """All that live see the same: then at every moment each tenant has all the hosts it shall."""
    tenants: dict[str, int | None] = dict.fromkeys(TENANTS[:40])
    placements: dict[str, Placement] = {}
    for beat, living in enumerate(history):
        seen = [report(name, beat=beat) for name in sorted(living)]
        placements = {name: placements.get(name) or Placement(name, replicas) for name in living}
        own = {name: one.decide(seen, tenants) for name, one in placements.items()}
        for tenant in tenants:
            wanted = set(hosts(tenant, sorted(living), replicas))
            assert wanted <= {name for name in living if tenant in own[name]}
    for beat in range(len(history), len(history) + 2):
        seen = [report(name, beat=beat) for name in placements]
        own = {name: one.decide(seen, tenants) for name, one in placements.items()}
    for tenant in tenants if placements else ():
        wanted = set(hosts(tenant, sorted(placements), replicas))
        assert wanted == {name for name in placements if tenant in own[name]}
