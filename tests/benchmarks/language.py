"""The language beside others: one process, the event a Python dict each time, plain data back.

W1 is a condition, W2 totals an order of five items in a loop and returns a map, W3 is fib(18);
last comes what compiling W2 costs. Rounds of short loops go through all engines and works, and each
keeps its best of five in CPU time, so a neighbour's noise hits all of them alike. Every engine must
give native Python's answer. A dash says that the engine has no way to express the work.
"""

import math
import time
import timeit
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from tests.benchmarks.language_engines import ENGINES, WORKS, Statement
from tests.benchmarks.language_event import ORDER

ROUNDS = 5
LOOP_SECONDS = 0.08
GOALS = {"W1": 1_500_000, "W2": 300_000, "W3": 600}
COMPILE_GOAL_MS = 2.0
OURS, NATIVE = "greentic", "native Python"


@dataclass(slots=True)
class Turn:
    """One engine at one work: how often a loop runs it, and its best time for one."""

    timer: timeit.Timer
    count: int
    best_seconds: float = math.inf

    def go(self) -> None:
        self.best_seconds = min(self.best_seconds, self.timer.timeit(self.count) / self.count)


def main() -> None:
    ready: dict[str, Mapping[str, Statement]] = {}
    missing: list[str] = []
    for name, module, prepare in ENGINES:
        if module is not None and find_spec(module) is None:
            missing.append(name)
        else:
            ready[name] = prepare()
    check(ready)
    best = race(ready)
    show(list(ready), best)
    for name in missing:
        print(f"{name:<28}not installed")
    for work, goal in GOALS.items():
        rate = 1 / best[work][OURS]
        print(f"{work}: {rate:,.0f}/s, goal ≥ {goal:,}/s: {verdict(rate >= goal)}")
    compile_ms = best["compile"][OURS] * 1_000
    print(f"compile W2: {compile_ms:.2f} ms, goal < 2 ms: {verdict(compile_ms < COMPILE_GOAL_MS)}")


def check(ready: Mapping[str, Mapping[str, Statement]]) -> None:
    """Every engine must give what native Python gives, as plain Python values."""
    for work in WORKS[:-1]:
        expected = ready[NATIVE][work].once()
        for name, statements in ready.items():
            if work in statements:
                given = statements[work].once()
                if not same(given, expected):
                    raise AssertionError(f"{name}, {work}: {given!r} is not {expected!r}")


def same(given: Any, expected: Any) -> bool:
    if isinstance(expected, dict):
        return (
            type(given) is dict
            and given.keys() == expected.keys()
            and all(same(given[key], expected[key]) for key in expected)
        )
    if isinstance(expected, float):
        return math.isclose(given, expected, rel_tol=1e-12)
    return type(given) is type(expected) and bool(given == expected)


def race(ready: Mapping[str, Mapping[str, Statement]]) -> dict[str, dict[str, float]]:
    """CPU seconds for one, by work and engine: the best of ROUNDS loops in turn."""
    turns = {
        work: {name: turn(works[work]) for name, works in ready.items() if work in works}
        for work in WORKS
    }
    for _ in range(ROUNDS):
        for row in turns.values():
            for one in row.values():
                one.go()
    return {
        work: {name: one.best_seconds for name, one in row.items()} for work, row in turns.items()
    }


def turn(statement: Statement) -> Turn:
    names = {"event": ORDER, **statement.names}
    timer = timeit.Timer(statement.text, timer=time.process_time, globals=names)
    count = 1
    while (elapsed := timer.timeit(count)) < LOOP_SECONDS / 10:
        count *= 4
    return Turn(timer, max(1, round(count * LOOP_SECONDS / elapsed)))


def show(names: list[str], best: Mapping[str, Mapping[str, float]]) -> None:
    print(f"{'':<28}{'W1 /s':>12}{'W2 /s':>12}{'W3 /s':>10}{'compile W2':>14}")
    for name in names:
        rates = [cell(best[work].get(name), lambda s: f"{1 / s:,.0f}") for work in WORKS[:-1]]
        cost = cell(best["compile"].get(name), lambda s: f"{s * 1_000:.3f} ms")
        print(f"{name:<28}{rates[0]:>12}{rates[1]:>12}{rates[2]:>10}{cost:>14}")


def cell(seconds: float | None, form: Callable[[float], str]) -> str:
    return "-" if seconds is None else form(seconds)


def verdict(is_reached: bool) -> str:
    return "reached" if is_reached else "MISSED"


if __name__ == "__main__":
    main()
