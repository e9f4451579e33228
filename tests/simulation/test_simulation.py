"""The short form of `make test-simulation`, and proof that its checks can fail."""

import hashlib

import pytest

from tests.simulation.faults import NO_FAULTS
from tests.simulation.invariants import breaches_of, journalled_effects_are_not_repeated
from tests.simulation.run import Tally, play_seeds
from tests.simulation.simulation import Played, plan_of, play

SEEDS = 200
SHARES = 4


@pytest.mark.parametrize("share", range(SHARES))
def test_the_promise_holds_whatever_goes_wrong(share: int) -> None:
    size = SEEDS // SHARES
    tally = play_seeds(share * size, size)
    assert tally.breaches == []
    assert_everything_went_wrong(tally)


def assert_everything_went_wrong(tally: Tally) -> None:
    """Fail if the faults have become too few to tell anything."""
    counts = tally.counts
    deaths = counts["die sent"] + counts["die unsent"] + counts["die soon"]
    assert deaths > tally.seeds / 2
    assert counts["freeze"] + counts["freeze soon"] > tally.seeds / 5
    assert counts["lose answer"] > tally.seeds / 3
    for name in ("outage", "server restart", "deployment", "cancel"):
        assert counts[name] > 0
    assert counts["runs"] > 2 * tally.seeds
    assert counts["effects"] > 4 * tally.seeds


def test_worlds_without_faults_hold_too() -> None:
    for seed in range(0, 80, 8):
        assert breaches_of(play(plan_of(seed, rates=NO_FAULTS))) == []


def test_a_seed_is_played_alike_every_time() -> None:
    for seed in (3, 11, 19):
        digests = {digest_of(play(plan_of(seed))) for _ in range(2)}
        assert len(digests) == 1


def test_a_journal_that_is_not_read_is_noticed() -> None:
    """The checks are worth something: without what the journal says, effects are repeated."""
    worlds = [play(plan_of(seed, has_journal=False)) for seed in range(48)]
    broken = [world for world in worlds if breaches_of(world)]
    repeated = [world for world in worlds if any(journalled_effects_are_not_repeated(world))]
    assert len(broken) > len(worlds) / 3
    assert len(repeated) > 2


def digest_of(played: Played) -> str:
    facts = "\n".join(map(str, played.cluster.history.facts))
    return hashlib.blake2b(facts.encode(), digest_size=8).hexdigest()
