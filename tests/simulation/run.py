"""Plays simulations by their seeds: `python -m tests.simulation.run --seeds 10000`.

In: how many seeds, from which on, in how many processes. Out: what went wrong and what it was
answered with; each seed whose world did not hold, with its breaches, and how to play it again.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from actors.testing.clock import EPOCH_MS_DEFAULT
from tests.simulation.invariants import breaches_of
from tests.simulation.simulation import SEEDS_PER_FLOWS, Played, plan_of, play

SEEDS_DEFAULT: Final = 10_000
SHARE: Final = 25 * SEEDS_PER_FLOWS
"""Seeds that a process takes at once."""

TOLD_MAX: Final = 30
"""Seeds that did not hold and are told of; all are counted."""

_SHOWN_MAX: Final = 6
_VALUE_CHARS: Final = 300


@dataclass(slots=True)
class Tally:
    """What a number of seeds came to."""

    seeds: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    breaches: list[tuple[int, list[str]]] = field(default_factory=list)

    def add(self, seed: int, played: Played, breaches: list[str]) -> None:
        """Count one more."""
        self.seeds += 1
        self.counts.update(played.weather.toll.counts)
        self.counts["runs"] += len(played.cluster.results.stored)
        self.counts["effects"] += len(played.cluster.history.of("effect"))
        self.counts["journal entries"] += len(played.cluster.history.of("journal"))
        self.counts["virtual seconds"] += round(played.seconds)
        if breaches:
            self.breaches.append((seed, breaches))

    def join(self, other: "Tally") -> None:
        """Take in another tally."""
        self.seeds += other.seeds
        self.counts.update(other.counts)
        self.breaches += other.breaches


def play_seeds(first: int, seeds: int) -> Tally:
    """Play some seeds, one after the other; an error in a simulation is a breach too."""
    tally = Tally()
    for seed in range(first, first + seeds):
        try:
            played = play(plan_of(seed))
            tally.add(seed, played, breaches_of(played))
        except Exception as error:  # noqa: BLE001 - the seed is to be told, whatever it is
            tally.seeds += 1
            tally.breaches.append((seed, [f"the simulation itself failed: {error!r}"]))
    return tally


def play_in_processes(first: int, seeds: int, workers: int) -> Tally:
    """Play seeds in several processes."""
    starts = range(first, first + seeds, SHARE)
    sizes = [min(SHARE, first + seeds - start) for start in starts]
    total, told = Tally(), 0
    with ProcessPoolExecutor(workers) as pool:
        for tally in pool.map(play_seeds, starts, sizes):
            total.join(tally)
            for seed, breaches in tally.breaches:
                told += 1
                if told <= TOLD_MAX:
                    _tell(seed, breaches)
    return total


def show(played: Played) -> None:
    """Tell everything that happened in a simulation."""
    for document in played.plan.documents:
        print(json.dumps(document))
    for fact in played.cluster.history.facts:
        seconds = (fact.time_ms - EPOCH_MS_DEFAULT) / 1000
        value = str(fact.value)[:_VALUE_CHARS]
        print(f"{seconds:10.3f} {fact.by:9} {fact.kind:8} {fact.run[:8]:8} {fact.what} {value}")


def _tell(seed: int, breaches: list[str]) -> None:
    print(f"seed {seed}: {len(breaches)} breaches", flush=True)
    for breach in breaches[:_SHOWN_MAX]:
        print(f"    {breach}", flush=True)
    print(f"    again: python -m tests.simulation.run --seed {seed} --verbose", flush=True)


def _play_one(seed: int, *, is_verbose: bool) -> int:
    played = play(plan_of(seed))
    if is_verbose:
        show(played)
    breaches = breaches_of(played)
    if breaches:
        _tell(seed, breaches)
    print(f"seed {seed}: {dict(played.weather.toll.counts)}")
    return 1 if breaches else 0


def main() -> int:
    """Read the command line and play."""
    parser = argparse.ArgumentParser(prog="tests.simulation.run", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS_DEFAULT)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--seed", type=int)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    if options.seed is not None:
        return _play_one(options.seed, is_verbose=options.verbose)
    began = time.perf_counter()
    total = play_in_processes(options.first, options.seeds, options.workers)
    seconds = time.perf_counter() - began
    for name, count in sorted(total.counts.items()):
        print(f"{count:>10,} {name}")
    print(f"{total.seeds:,} seeds in {seconds:.0f} s; {len(total.breaches)} did not hold")
    return 1 if total.breaches else 0


if __name__ == "__main__":
    sys.exit(main())
