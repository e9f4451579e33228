"""One worker's decisions: whom it counts, what it takes on at once, what it leaves and when."""

import pytest

from app.fleet.placement import EVERYBODY, Placement, hosts
from app.fleet.report import WorkerReport
from tests.support.fleets import report

NAMES = ("a", "b", "c", "d", "e")
TENANTS = {f"tenant-{number}": None for number in range(200)}
PINNED = [("a", "e"), ("c", "e"), ("d", "b")]
"""The first two of the lines ``printf 'acme\\0a' | b2sum -l 64``, the highest number first."""


def reports(*names: str, beat: int = 1, **said: object) -> list[WorkerReport]:
    return [report(name, beat=beat, **said) for name in names]


def settled(*names: str, own: str = "a", replicas: int = 2) -> Placement:
    """Give a placement that knows these workers well."""
    placement = Placement(own, replicas)
    placement.decide(reports(*names), TENANTS)
    placement.decide(reports(*names, beat=2), TENANTS)
    return placement


def expected(own: str, names: tuple[str, ...], replicas: int) -> set[str]:
    return {one for one in TENANTS if own in hosts(one, names, replicas)}


def test_order_is_the_same_everywhere_and_for_ever() -> None:
    """Workers of different versions must agree: these were computed by another program."""
    assert hosts("acme", NAMES, 3) == hosts("acme", tuple(reversed(NAMES)), 3)
    assert [hosts(tenant, NAMES, 2) for tenant in ("acme", "globex", "initech")] == PINNED


def test_fewer_hosts_are_the_first_of_more() -> None:
    everybody = hosts("acme", NAMES, EVERYBODY)
    assert sorted(everybody) == sorted(NAMES)
    assert [hosts("acme", NAMES, count) for count in (1, 2, 9)] == [
        everybody[:1], everybody[:2], everybody,
    ]  # fmt: skip
    assert hosts("acme", (), 2) == ()


def test_workers_share_the_tenants_without_asking_each_other() -> None:
    found = {name: settled(*NAMES, own=name).own for name in NAMES}
    assert {name: set(own) for name, own in found.items()} == {
        name: expected(name, NAMES, 2) for name in NAMES
    }
    assert sum(map(len, found.values())) == 2 * len(TENANTS)


@pytest.mark.parametrize("seen", [(), ("a",)], ids=["nobody", "itself"])
def test_who_sees_nobody_else_hosts_all(seen: tuple[str, ...]) -> None:
    assert Placement("a", 1).decide(reports(*seen), TENANTS) == set(TENANTS)


def test_without_a_number_everybody_hosts_everybody() -> None:
    assert settled(*NAMES, replicas=EVERYBODY).own == set(TENANTS)


def test_processes_that_run_no_flows_do_not_count() -> None:
    doors = reports("b", "c", roles=("ingress",))
    placement = Placement("a", 1)
    placement.decide(doors, TENANTS)
    assert placement.decide(reports("b", "c", roles=("ingress",), beat=2), TENANTS) == set(TENANTS)


def test_tenants_own_number_goes_before_the_usual_one() -> None:
    wanted = {"one": 1, "all": EVERYBODY, "five": 5, "usual": None}
    found = {name: Placement(name, 2).decide(reports(*NAMES), wanted) for name in NAMES}
    counts = {tenant: sum(tenant in own for own in found.values()) for tenant in wanted}
    assert counts == {"one": 1, "all": 5, "five": 5, "usual": 2}


def test_hot_tenant_has_twice_as_many() -> None:
    hot = [*reports("b", "c", "d"), report("a"), report("e", hot=("tenant-7",))]
    found = {name: Placement(name, 2).decide(hot, TENANTS) for name in NAMES}
    counts = {tenant: sum(tenant in own for own in found.values()) for tenant in TENANTS}
    assert counts.pop("tenant-7") == 4
    assert set(counts.values()) == {2}


def test_tenants_come_and_go() -> None:
    placement = settled("a", "b", replicas=1)
    assert placement.decide(reports("a", "b", beat=3), {"tenant-1": 2}) == {"tenant-1"}
    assert placement.decide(reports("a", "b", beat=4), {}) == set()


# ── Coming and going ─────────────────────────────────────────────────────────────────────────


def test_newcomer_takes_its_own_at_once_and_others_leave_when_it_has_settled() -> None:
    old = settled("a", "b", replicas=1)
    before = old.own
    seen = [*reports("a", "b", beat=3), report("new", beat=1, acknowledged=None)]
    assert old.decide(seen, TENANTS) == before
    assert Placement("new", 1).decide(seen, TENANTS) == expected("new", ("a", "b", "new"), 1)
    beating = [*reports("a", "b", beat=4), report("new", beat=2, acknowledged=None)]
    assert old.decide(beating, TENANTS) == before
    done = [*reports("a", "b", beat=5), report("new", beat=3)]
    assert old.decide(done, TENANTS) == expected("a", ("a", "b", "new"), 1)


def test_newcomer_must_have_what_we_had_when_it_came() -> None:
    old = Placement("a", 1)
    old.decide(reports("a", acknowledged=9), TENANTS)
    old.decide([report("a", acknowledged=9), report("new", acknowledged=3)], TENANTS)
    behind = [report("a", acknowledged=9), report("new", beat=5, acknowledged=8)]
    assert old.decide(behind, TENANTS) == set(TENANTS)
    # What we take in later is no condition: deploys must not hold up the moves for ever.
    level = [report("a", acknowledged=12), report("new", beat=6, acknowledged=9)]
    assert old.decide(level, TENANTS) == expected("a", ("a", "new"), 1)


def test_tenants_of_a_dead_worker_are_taken_over_at_once() -> None:
    placement = settled(*NAMES)
    left = tuple(name for name in NAMES if name != "e")
    assert placement.decide(reports(*left, beat=3), TENANTS) == expected("a", left, 2)


def test_worker_that_comes_back_for_one_beat_moves_nothing() -> None:
    placement = settled("a", "b", replicas=1)
    alone = placement.decide(reports("a", beat=3), TENANTS)
    assert alone == set(TENANTS)
    for beat in range(4, 20, 2):
        seen = [report("a", beat=beat), report("b", beat=beat)]
        assert placement.decide(seen, TENANTS) == alone
        assert placement.decide(reports("a", beat=beat + 1), TENANTS) == alone


def test_same_question_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    placement = settled(*NAMES)
    own = placement.own

    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("app.fleet.placement._rank", fail)
    assert placement.decide(reports(*NAMES, beat=9, tenants=5), dict(TENANTS)) == own
