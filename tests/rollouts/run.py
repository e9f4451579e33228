"""`python -m tests.rollouts.run`: apply and roll back under load, and judge what became of events.

In: how many changes, how many workers, a rate, a seed. Out: progress on standard error, figures as
JSON on standard output; exit code 1 with the findings where a promise was broken.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tests.faults import logs
from tests.faults.chance import seeded
from tests.faults.checker import Finding, findings_of
from tests.faults.load import Ledger, Load
from tests.faults.observed import Seen, plain_client, read_all
from tests.faults.processes import Layout, Member, running_cluster, running_outside
from tests.faults.run import wait_quiet
from tests.faults.scenario import Kind
from tests.rollouts.changing import Changer, kinds_of
from tests.rollouts.judge import Change, Evidence, Judge, PassedEvent, PassedRun, Said, Verdict
from tests.rollouts.surge import Surge
from tests.rollouts.versions import BEGUN, TYPES

KINDS: Final = tuple(Kind(name, {}, weight=2 if name == "load.plain" else 1) for name in TYPES)
SETTLE_SECONDS: Final = 1.0
QUIET_SECONDS_MAX: Final = 60.0


@dataclass(frozen=True)
class Plan:
    """What is to be done."""

    changes: int = 100
    workers: int = 2
    rate: float = 50.0
    """Events a second."""
    seed: int = 1
    crowd: int = 500
    """Events that wait for a flow while it is replaced."""


@dataclass
class Outcome:
    """What was done, and what the judge says."""

    plan: Plan
    verdict: Verdict
    changes: Sequence[Change]
    findings: list[Finding] = field(default_factory=list)
    refused: int = 0
    seconds: float = 0.0

    def as_mapping(self) -> dict[str, Any]:
        """Give the figures."""
        verdict, waits = self.verdict, self.verdict.seconds
        return {
            "seed": self.plan.seed,
            "changes": kinds_of(self.changes),
            "waited for": sum(change.waited for change in self.changes),
            "bad bundles refused": self.refused,
            "events": verdict.events,
            "events with one possible version": verdict.sure,
            "runs": verdict.runs,
            "begins held against acknowledgements": verdict.begun,
            "waits across a change of their flow": verdict.across,
            "acknowledged by all, p50 s": round(statistics.median(waits), 3) if waits else None,
            "acknowledged by all, max s": round(waits[-1], 3) if waits else None,
            "slowest start s": round(verdict.slowest_start, 3),
            "seconds": round(self.seconds, 1),
            "findings": [f"{one.check}: {one.text}" for one in self.findings],
        }


async def play(plan: Plan, folder: Path) -> Outcome:
    """Do it all on a fresh cluster in ``folder``, and judge."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {"GREENTIC_ALLOW_PRIVATE": "127.0.0.0/8"}
    layout = Layout(None, workers=plan.workers, environment=environment)
    began = time.monotonic()
    async with running_outside(folder) as outside, running_cluster(folder, layout) as cluster:
        assert cluster.endpoint is not None
        async with plain_client(cluster.endpoint) as client:
            chance = seeded(plan.seed, "changes")
            changer = Changer(cluster, client, folder / "bundles", chance)
            await changer.begin()
            ledger = Ledger(folder / "ledger.jsonl")
            load = Load(cluster, outside, ledger, KINDS, seeded(plan.seed, "load"))
            surge = Surge(client, ledger, load.numbers, plan.crowd)
            await surge.start()
            changer.before = surge.open
            await _change_under(load, changer, plan)
            await surge.stop()
            rest = await wait_quiet(cluster, QUIET_SECONDS_MAX)
        seen = await read_all(cluster.endpoint, outside.book)
        members = cluster.members
    verdict = Judge(_evidence(members, changer, ledger, seen)).judge()
    outcome = Outcome(plan, verdict, changer.changes, [*verdict.findings], changer.refused)
    outcome.seconds = time.monotonic() - began
    crashes = [text for member in members for text in member.crashes]
    outcome.findings += findings_of("nothing is stuck", [] if rest is None else [str(rest)])
    outcome.findings += findings_of("a process ends only when it is told to", crashes)
    outcome.findings += findings_of("every change is taken as it must be", changer.surprises)
    outcome.findings += findings_of("a sender is served", ledger.given_up + ledger.surprises)
    outcome.findings += findings_of("no error is logged", logs.unexpected_lines(members))
    return outcome


async def _change_under(load: Load, changer: Changer, plan: Plan) -> None:
    stop = asyncio.Event()
    loading = asyncio.create_task(load.run(plan.rate, stop))
    try:
        await asyncio.sleep(SETTLE_SECONDS)
        while len(changer.changes) <= plan.changes:
            await changer.change()
            say(f"{len(changer.changes) - 1} changes, {len(load.ledger.accepted)} events")
        await asyncio.sleep(SETTLE_SECONDS)
    finally:
        stop.set()
        await loading


def _evidence(members: Sequence[Member], changer: Changer, ledger: Ledger, seen: Seen) -> Evidence:
    calls = {name: len(found) for name, found in seen.calls.items()}
    return Evidence(
        changes=changer.changes,
        said={member.name: list(read_said(member.log)) for member in members},
        events=[
            PassedEvent(
                item.document["id"],
                item.document["event_type"],
                item.document["payload"]["number"],
                item.sequence,
                item.at_ns / 1e9,
            )
            for item in seen.events
        ],
        runs=[_run_of(item.document) for item in seen.results],
        accepted=frozenset(one.event_id for one in ledger.accepted),
        calls=calls,
    )


def _run_of(result: dict[str, Any]) -> PassedRun:
    return PassedRun(
        event_id=result["event_id"],
        flow=result["flow"],
        version=int(result["flow_version"]),
        status=result["status"],
        output=result["output"],
        started_at=result["started_ms"] / 1000,
        run_id=result["run_id"],
    )


def read_said(log: Path) -> Iterator[Said]:
    """Read what a process acknowledged and which runs it began, in its order."""
    for line in log.read_text(errors="replace").splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue  # `logs.unexpected_lines` tells
        at = datetime.fromisoformat(said["timestamp"]).timestamp()
        if said.get("event") == "deployment.acknowledged":
            yield Said(at, revision=said["revision"])
        elif said.get("event") == "flow.logged" and said["message"].startswith(BEGUN):
            version = int(said["message"].rpartition(" ")[2])
            yield Said(at, run_id=said["run_id"], flow=said["flow"], version=version)


def say(text: str) -> None:
    """Tell how far it is."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.rollouts.run", description=__doc__)
    parser.add_argument("--changes", type=int, default=Plan.changes)
    parser.add_argument("--workers", type=int, default=Plan.workers)
    parser.add_argument("--rate", type=float, default=Plan.rate, help="events a second")
    parser.add_argument("--crowd", type=int, default=Plan.crowd, help="events that wait")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--keep", type=Path, help="keep logs, bundles and stores in this folder")
    given = vars(parser.parse_args())
    keep = given.pop("keep")
    with tempfile.TemporaryDirectory(prefix="greentic-rollouts-") as spare:
        outcome = asyncio.run(play(Plan(**given), keep or Path(spare)))
    print(json.dumps(outcome.as_mapping(), indent=2))
    return 1 if outcome.findings else 0


if __name__ == "__main__":
    sys.exit(main())
