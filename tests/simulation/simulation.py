"""One simulation: a seed, and all that follows from it.

In: a seed, or a plan of one's own. Out: what happened, for `invariants` to judge. First things go
wrong, then the world is left alone until everything has come to rest.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Any, Final

from actors.events import Event
from actors.flows.compiled import CompiledFlow
from actors.ids import run_id
from actors.ports import Envelope
from actors.runs.journal import JournalSeat, write_cancel
from actors.tenants.deployment import Deployment
from actors.tenants.routing import RoutingTable
from tests.simulation.faults import NO_FAULTS, FaultRates, Weather
from tests.simulation.flows import EVENT_TYPES, compile_all, draw_flows, draw_mood, revised
from tests.simulation.loop import SimulatedLoop, chance_of
from tests.simulation.network import at_once
from tests.simulation.witness import watched
from tests.simulation.workers import Fleet
from tests.simulation.world import TENANT, Cluster, Fact, Mood, Sender

SEEDS_PER_FLOWS: Final = 8
"""Compiling is dear: so many seeds have the same flows, and other luck."""

TROUBLE_SECONDS: Final = 90.0
"""How long things go wrong."""

SETTLE_SECONDS_MAX: Final = 30 * 86_400.0
LOOK_SECONDS: Final = 5.0

Documents = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a simulation begins with."""

    seed: int
    documents: Documents
    flows: Mapping[str, CompiledFlow]
    next_flows: Callable[[], Mapping[str, CompiledFlow]]
    events: tuple[tuple[float, Event], ...]
    """With the second at which each is published."""
    mood_of: Callable[[str], Mood]
    workers: int = 2
    rates: FaultRates = field(default_factory=FaultRates)
    trouble_seconds: float = TROUBLE_SECONDS
    has_journal: bool = True
    look_seconds: float = LOOK_SECONDS
    strike: Callable[[Fact, Fleet], None] = lambda _fact, _fleet: None
    """Hears of every fact as it happens, and may have workers die or freeze of it."""
    knows_schedules: bool = False
    """See `MemoryWork.knows_schedules`."""


@dataclass(frozen=True, slots=True)
class Played:
    """A simulation that has come to its end."""

    plan: Plan
    cluster: Cluster
    weather: Weather
    deployments: tuple[Deployment, ...]
    cancelled: frozenset[str]
    """Runs whose cancellation stands in their journal."""
    troubles: tuple[str, ...]
    """What must not happen whatever the flows do: crashes, tasks left, errors nobody caught."""
    turns: int
    seconds: float
    """Of virtual time."""


def plan_of(seed: int, *, rates: FaultRates | None = None, has_journal: bool = True) -> Plan:
    """Draw everything from a seed."""
    random = chance_of("plan", seed)
    group = seed // SEEDS_PER_FLOWS
    documents, flows = _flows_of(group)
    return Plan(
        seed=seed,
        documents=documents,
        flows=flows,
        next_flows=lambda: _next_flows_of(group),
        events=_draw_events(random),
        mood_of=lambda key: draw_mood(seed, key),
        workers=random.choice((1, 2, 2, 3)),
        rates=rates or FaultRates(),
        has_journal=has_journal,
    )


def play(plan: Plan) -> Played:
    """Run a simulation to its end."""
    random = chance_of("play", plan.seed)
    loop = SimulatedLoop(random)  # type: ignore[abstract]  # what it lacks nobody asks for
    weather = Weather(plan.rates, random, until=plan.trouble_seconds)
    return loop.run(_Course(plan, loop, weather).play())


@lru_cache(maxsize=4)
def _flows_of(group: int) -> tuple[Documents, Mapping[str, CompiledFlow]]:
    documents = draw_flows(chance_of("flows", group))
    return documents, watched(compile_all(documents))


@lru_cache(maxsize=4)
def _next_flows_of(group: int) -> Mapping[str, CompiledFlow]:
    return watched(compile_all(revised(_flows_of(group)[0], chance_of("next", group))))


def _draw_events(random: Random) -> tuple[tuple[float, Event], ...]:
    events = []
    for number in range(random.randint(2, 8)):
        at = random.uniform(0.0, 40.0)
        payload = {"n": random.randint(0, 9)}
        name = f"event-{number}"
        events.append((at, Event(name, random.choice(EVENT_TYPES), "webhook", 1, payload)))
    return tuple(events)


def flows_taking(event: Event, flows: Mapping[str, CompiledFlow]) -> list[str]:
    """Name the flows that an event starts, see `flows.FILTER`."""
    table = RoutingTable(Deployment(TENANT, "", flows))
    return [
        match.flow.name
        for match in table.match(event.event_type)
        if match.triggers[-1].filter is None
        or event.payload["n"] % 4 != 3
        or (len(match.triggers) > 1 and event.payload["n"] % 2 == 0)
    ]


class _Course:
    """The course of one simulation."""

    def __init__(self, plan: Plan, loop: SimulatedLoop, weather: Weather) -> None:
        self._plan = plan
        self._loop = loop
        self._weather = weather
        self._random = weather.random
        self._cluster = Cluster(loop, plan.mood_of)
        deployment = Deployment(TENANT, "r1", plan.flows, has_timers=False)
        self._fleet = Fleet(self._cluster, weather, deployment, has_journal=plan.has_journal)
        self._cluster.work.knows_schedules = plan.knows_schedules
        self._cluster.history.on_fact = self._strike
        self._cancelled: set[str] = set()
        self._troubles: list[str] = []

    async def play(self) -> Played:
        self._fleet.open(self._plan.workers)
        self._schedule_all()
        await asyncio.sleep(self._plan.trouble_seconds)
        await self._settle()
        for name, tasks in (await self._fleet.close()).items():
            self._troubles.append(f"tasks left in {name}: {', '.join(tasks)}")
        self._troubles += self._fleet.crashes()
        self._troubles += self._loop.complaints
        return Played(
            plan=self._plan,
            cluster=self._cluster,
            weather=self._weather,
            deployments=tuple(self._fleet.shelf.kept),
            cancelled=frozenset(self._cancelled),
            troubles=tuple(self._troubles),
            turns=self._loop.turns,
            seconds=self._loop.time(),
        )

    async def _settle(self) -> None:
        """Wait until nothing is left to be done."""
        end = self._loop.time() + SETTLE_SECONDS_MAX
        while self._is_busy():
            if self._loop.time() > end:
                self._troubles.append(
                    f"no rest: {self._cluster.stream.unsettled} unsettled,"
                    f" {len(self._cluster.work.waiting)} in WORK"
                )
                return
            await asyncio.sleep(self._plan.look_seconds)

    def _is_busy(self) -> bool:
        cluster, workers = self._cluster, self._fleet.workers
        if cluster.stream.unsettled or cluster.work.waiting:
            return True
        return any(one.is_dead or (one.process and one.process.is_frozen) for one in workers)

    def _strike(self, fact: Fact) -> None:
        self._plan.strike(fact, self._fleet)

    # ── What happens from outside ────────────────────────────────────────────────────────────

    def _schedule_all(self) -> None:
        rates, random = self._plan.rates, self._random
        for at, event in self._plan.events:
            self._at(at, self._publish, event)
            if random.random() < rates.duplicates:
                self._at(at + random.uniform(0.0, 60.0), self._publish, event)
            if random.random() < rates.cancels:
                self._at(at + random.choice((0.01, 0.5, 30.0)), self._cancel, event)
        for chance, what in (
            (rates.restarts, self._restart),
            (rates.deploys, self._deploy),
        ):
            if random.random() < chance:
                self._at(random.uniform(0.0, self._plan.trouble_seconds), what)

    def _at(self, seconds: float, what: Callable[..., None], *args: Any) -> None:
        self._loop.call_later_in(self._loop.world, seconds, what, *args)

    def _publish(self, event: Event) -> None:
        sender = Sender("webhook", self._loop.next_number())
        self._cluster.publish(Envelope(TENANT, event, event.id), sender)

    def _cancel(self, event: Event) -> None:
        flows = flows_taking(event, self._plan.flows)
        if not flows:
            return
        self._weather.toll.add("cancel")
        flow = self._random.choice(flows)
        run = run_id(event.id, flow)
        seat = JournalSeat(self._cluster.journal, self._cluster.clock, TENANT, run)
        at_once(write_cancel(seat, "somebody asked"))
        self._cancelled.add(run)
        self._cluster.history.note("cancel", run, "operator", flow)
        self._fleet.cancel(run)

    def _restart(self) -> None:
        self._weather.toll.add("server restart")
        self._cluster.restart_server()

    def _deploy(self) -> None:
        self._weather.toll.add("deployment")
        flows = self._plan.next_flows()
        self._fleet.deploy(Deployment(TENANT, "r2", flows, has_timers=False))


__all__ = ["NO_FAULTS", "FaultRates", "Plan", "Played", "plan_of", "play"]
