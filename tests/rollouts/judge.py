"""The judge: from what was deployed when, and what the streams and logs say, to what is broken.

In: changes with the times around them, the workers' acknowledgements, events, results, the order in
which each worker said things. Out: findings and figures. Nothing here looks at the program's code:
what a version wants of an event is worked out anew.

An event has a *way*: from its storing to the start of its last run, and a little more. Versions that
some process may have had in force during it are *possible*. A flow that every possible version wants
the event for must have run once; a flow that none of them wants it for, never; and each run must be
of a possible version. With one possible version, which is most events, that is exactly that version.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.faults.checker import Finding, findings_of
from tests.rollouts.versions import DEFAULT, Version

WAY_SECONDS: Final = 0.5
"""How long after the start of its last run an event's delivery may still be given back and judged
again; without a run, the slowest start that was seen comes on top."""
CLOCKS_SECONDS: Final = 0.01
"""How far the clocks of two processes on one machine may seem to be apart."""
BOUND_TO_FIRST: Final = frozenset({"ring", "sleeper"})
"""Flows with effects: their first step may come a moment after their start, so the time that their
results name counts, not the order of the log."""
LASTING: Final = frozenset({"sleeper"})
"""Flows whose runs may end in another process than the one in which they began."""


@dataclass(frozen=True)
class Change:
    """One revision of the tenant's deployment. Times are seconds since the epoch."""

    number: int
    revision: int
    """Of the bucket."""
    kind: str
    began_at: float
    """Before whoever changed it was asked to."""
    stored_at: float
    version: Version
    activated: Mapping[str, int]
    """Trigger to the sequence after which events are its."""
    waited: bool = True


@dataclass(frozen=True)
class PassedEvent:
    """An event as it lies in the stream."""

    id: str
    event_type: str
    number: int
    sequence: int
    stored_at: float


@dataclass(frozen=True)
class PassedRun:
    """A result as it lies in the stream."""

    event_id: str
    flow: str
    version: int
    status: str
    output: object
    started_at: float
    run_id: str = ""


@dataclass(frozen=True)
class Said:
    """A line of a process's log: an acknowledged revision, or a run that began."""

    at: float
    revision: int | None = None
    run_id: str = ""
    flow: str = ""
    version: int = 0


@dataclass
class Evidence:
    """All that there is to be judged."""

    changes: Sequence[Change]
    said: Mapping[str, Sequence[Said]]
    """What each process said, in its order; processes that run no flows acknowledge too."""
    events: Sequence[PassedEvent]
    runs: Sequence[PassedRun]
    accepted: frozenset[str] = frozenset()
    calls: Mapping[str, int] = field(default_factory=dict)
    """How often the world outside was called, by ``ring/{version}/{number}``."""


@dataclass
class Verdict:
    """What came of it."""

    findings: list[Finding] = field(default_factory=list)
    events: int = 0
    runs: int = 0
    sure: int = 0
    """Events that only one version can have been in force for."""
    across: int = 0
    """Runs that began on one version and ended after a change of it."""
    begun: int = 0
    """Runs whose begin was held against what their process had acknowledged."""
    seconds: list[float] = field(default_factory=list)
    """From the storing of each change until all had acknowledged it, sorted."""
    slowest_start: float = 0.0


class Judge:
    """Judges one evidence."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._changes = sorted(evidence.changes, key=lambda change: change.revision)
        self._done = [self._acknowledged_at(change) for change in self._changes]
        self._broken: defaultdict[str, list[str]] = defaultdict(list)
        self._runs: defaultdict[str, list[PassedRun]] = defaultdict(list)
        for run in evidence.runs:
            self._runs[run.event_id].append(run)
        self._verdict = Verdict(events=len(evidence.events), runs=len(evidence.runs))

    def judge(self) -> Verdict:
        """Hold everything against everything."""
        verdict = self._verdict
        verdict.slowest_start = self._slowest_start()
        self._judge_accepted()
        for event in self._evidence.events:
            self._judge_event(event)
        for name, lines in self._evidence.said.items():
            self._judge_order(name, lines)
        self._judge_calls()
        self._judge_acknowledged()
        for check, texts in self._broken.items():
            verdict.findings += findings_of(check, texts)
        return verdict

    # ── Events ───────────────────────────────────────────────────────────────────────────────

    def _judge_accepted(self) -> None:
        stored = Counter(event.id for event in self._evidence.events)
        self._broken["accepted events are stored, once"] += [
            one for one in sorted(self._evidence.accepted) if stored[one] != 1
        ]

    def _judge_event(self, event: PassedEvent) -> None:
        possible = self._possible(event)
        wants = [self._wants(change, event) for change in possible]
        self._verdict.sure += len(possible) == 1
        runs = self._runs.get(event.id, [])
        ran = Counter(run.flow for run in runs)
        where = f"{event.event_type} {event.number} (sequence {event.sequence})"
        numbers = "/".join(str(change.number) for change in possible)
        for flow in sorted(frozenset.intersection(*wants)):
            if ran[flow] != 1:
                self._broken["a flow in force all the way has one run"].append(
                    f"{where} by {flow}: {ran[flow]} under {numbers}"
                )
        if all(wants) and not runs:
            self._broken["what somebody wanted at any time is run"].append(f"{where}, {numbers}")
        for flow in sorted(ran.keys() - frozenset.union(*wants)):
            self._broken["no flow runs for what it does not want"].append(
                f"{where} by {flow} under {numbers}"
            )
        for run in runs:
            self._judge_run(run, possible, where)

    def _judge_run(self, run: PassedRun, possible: Sequence[Change], where: str) -> None:
        flows = [change.version.flows.get(run.flow) for change in possible]
        found = next((flow for flow in flows if flow and flow.version == run.version), None)
        if found is None:
            self._broken["a run is of a version in force on its event's way"].append(
                f"{where} by {run.flow} {run.version}"
            )
        elif run.status != "completed" or run.output != found.output():
            self._broken["a run ends on the version that it began with"].append(
                f"{where} by {run.flow} {run.version}: {run.status}, {run.output!r}"
            )

    def _possible(self, event: PassedEvent) -> Sequence[Change]:
        """Give the changes that may have been in force anywhere on the event's way."""
        started = [run.started_at for run in self._runs.get(event.id, ())]
        last = max(started, default=event.stored_at + self._verdict.slowest_start)
        until = max(last, event.stored_at) + WAY_SECONDS
        ends = [*self._done[1:], math.inf]
        return [
            change
            for change, end in zip(self._changes, ends, strict=True)
            if change.began_at <= until and event.stored_at <= end + CLOCKS_SECONDS
        ]

    def _wants(self, change: Change, event: PassedEvent) -> frozenset[str]:
        """Give the flows that take an event, by those triggers that were there when it came."""
        named, others = set(), set()
        for flow in change.version.flows.values():
            for key, pattern in flow.triggers():
                if event.sequence <= change.activated[key]:
                    continue
                if pattern == DEFAULT:
                    others.add(flow.name)
                elif _fits(pattern, event.event_type):
                    named.add(flow.name)
        return frozenset(named or others)

    def _slowest_start(self) -> float:
        stored = {event.id: event.stored_at for event in self._evidence.events}
        waits = [
            run.started_at - stored[run.event_id]
            for run in self._evidence.runs
            if run.event_id in stored
        ]
        return max([0.0, *waits])

    # ── Acknowledgements ─────────────────────────────────────────────────────────────────────

    def _acknowledged_at(self, change: Change) -> float:
        """Say when the last process said that it has a change in force; inf: one never did."""
        return max(
            (
                next((one.at for one in lines if _covers(one, change)), math.inf)
                for lines in self._evidence.said.values()
            ),
            default=math.inf,
        )

    def _judge_acknowledged(self) -> None:
        waits = [
            at - change.stored_at for change, at in zip(self._changes, self._done, strict=True)
        ]
        self._broken["every change is acknowledged by all"] += [
            f"change {change.number}"
            for change, wait in zip(self._changes, waits, strict=True)
            if math.isinf(wait)
        ]
        self._verdict.seconds = sorted(wait for wait in waits if not math.isinf(wait))

    def _judge_order(self, name: str, lines: Sequence[Said]) -> None:
        """Hold each begin against what the same process had acknowledged before."""
        started = {run.run_id: run.started_at for run in self._evidence.runs}
        known, known_at = 0, -math.inf
        past: list[tuple[int, float]] = []
        for line in lines:
            if line.revision is not None:
                known, known_at = max(known, line.revision), line.at
                past.append((known, known_at))
                continue
            self._verdict.begun += 1
            acknowledged = known
            if line.flow in BOUND_TO_FIRST:
                at = started.get(line.run_id, line.at) - CLOCKS_SECONDS
                acknowledged = max((rev for rev, when in past if when <= at), default=0)
            if line.version not in self._versions_since(acknowledged, line.flow):
                self._broken["no run begins on a version older than acknowledged"].append(
                    f"{name}: {line.flow} {line.version} after revision {acknowledged}"
                )

    def _versions_since(self, revision: int, flow: str) -> frozenset[int]:
        """Give a flow's versions in what was in force at a revision, and in all that came later."""
        before = [change for change in self._changes if change.revision <= revision]
        since = [*before[-1:], *(each for each in self._changes if each.revision > revision)]
        return frozenset(
            change.version.flows[flow].version for change in since if flow in change.version.flows
        )

    # ── Effects, and what sleeps ─────────────────────────────────────────────────────────────

    def _judge_calls(self) -> None:
        numbers = {event.id: event.number for event in self._evidence.events}
        calls = Counter(self._evidence.calls)
        for run in self._evidence.runs:
            if run.flow == "ring" and run.event_id in numbers:
                calls[f"ring/{run.version}/{numbers[run.event_id]}"] -= 1
        self._broken["an effect is executed once, by the version of its run"] += [
            f"{name}: {times:+d}" for name, times in calls.items() if times
        ]
        self._verdict.across = sum(
            any(
                run.flow in change.version.flows
                and change.version.flows[run.flow].version != run.version
                for change in self._changes
                if run.started_at < change.stored_at < run.started_at + 0.3
            )
            for run in self._evidence.runs
            if run.flow in LASTING
        )


def _covers(line: Said, change: Change) -> bool:
    return line.revision is not None and line.revision >= change.revision


def _fits(pattern: str, event_type: str) -> bool:
    """Tell whether a type fits a pattern, as docs/flows.md says it."""
    return all(_token_fits(*pair) for pair in _aligned(pattern.split("."), event_type.split(".")))


def _aligned(wanted: list[str], given: list[str]) -> Iterator[tuple[str, str]]:
    if wanted[-1] == ">":
        given = [*given[: len(wanted) - 1], ".".join(given[len(wanted) - 1 :])]
    if len(wanted) != len(given):
        yield "", "another length"
        return
    yield from zip(wanted, given, strict=True)


def _token_fits(wanted: str, given: str) -> bool:
    return bool(given) and wanted in ("*", ">", given)
