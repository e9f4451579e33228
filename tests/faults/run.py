"""`python -m tests.faults.run`: let faults loose on real processes under load, and check.

In: which faults, how many, a seed. Out: progress on standard error, a table (or JSON) on standard
output; exit code 1 with the findings if a promise was broken.
"""

import argparse
import asyncio
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from nats.errors import Error as NatsError

from tests.faults import leaks, logs
from tests.faults.catalogue import FAULTS
from tests.faults.chance import seeded
from tests.faults.checker import Checker, Finding, findings_of
from tests.faults.load import Ledger, Load
from tests.faults.observed import Rest, plain_client, read_all, read_rest
from tests.faults.processes import Cluster, Layout, Outside, running_cluster, running_outside
from tests.faults.report import Row, has_findings, render_json, render_text
from tests.faults.scenario import BUNDLE, KINDS, Kind, write_bundle
from tests.faults.scene import Fault, Scene

QUIET_SECONDS_MAX: Final = 240.0
QUIET_LOOKS: Final = 3
"""How often in a row nothing may be left before it counts as quiet."""
LOOK_SECONDS: Final = 0.5
TELL_SECONDS: Final = 15.0


@dataclass(frozen=True)
class Plan:
    """How a fault is to be run."""

    seed: int
    rate: float = 15.0
    """Events a second."""
    seconds: float = 0.0
    """The load goes on at least this long."""
    workers: int = 3
    ingresses: int = 1
    warm_up: int = 1
    """How often each kind is posted before anything is measured."""
    bundle: Path = BUNDLE
    kinds: Sequence[Kind] = KINDS


async def run_fault(fault: Fault, amount: int, plan: Plan, folder: Path) -> Row:
    """Run one fault on a fresh cluster in ``folder``, and check."""
    row = Row(fault.name, plan.seed, folder=str(folder))
    row.skipped = fault.refuse()
    if row.skipped is not None:
        return row
    async with running_outside(folder) as outside:
        bundle = write_bundle(
            fault.bundle or plan.bundle, folder / "bundle", smtp_port=outside.smtp_port
        )
        layout = Layout(bundle, workers=plan.workers, ingresses=plan.ingresses)
        layout = fault.lay_out(layout, folder)
        try:
            async with running_cluster(folder, layout) as cluster:
                await _run_on(cluster, outside, row, Job(fault, amount, plan, folder))
        finally:
            fault.clean(folder)
        row.stop_seconds = max(member.stop_seconds for member in cluster.members)
        row.findings += findings_of("a process ends only when it is told to", _crashes(cluster))
        said = logs.unexpected_lines(cluster.members)
        row.findings += findings_of("nothing unexpected is logged", said)
    return row


@dataclass(frozen=True)
class Job:
    fault: Fault
    amount: int
    plan: Plan
    folder: Path

    def say(self, text: str) -> None:
        say(f"{self.fault.name}: {text}")


async def _run_on(cluster: Cluster, outside: Outside, row: Row, job: Job) -> None:
    plan, chance = job.plan, seeded(job.plan.seed, job.fault.name)
    ledger = Ledger(job.folder / "ledger.jsonl")
    kinds, fault = job.fault.kinds or plan.kinds, job.fault
    load = Load(cluster, outside, ledger, kinds, seeded(plan.seed, "load"))
    job.say(f"{plan.workers} workers are up; warming up")
    await load.each(plan.warm_up)
    await wait_quiet(cluster, 60)
    before = await leaks.take_stock(cluster.members, outside.ports)
    load.sleep_seconds_max = fault.sleep_seconds_max

    scene = Scene(cluster, outside, ledger, chance, job.folder, job.amount, job.say)
    stop = asyncio.Event()
    loading = asyncio.create_task(load.run(plan.rate, stop, count=fault.events_max))
    began = time.monotonic()
    try:
        await fault.inject(scene)
        await asyncio.sleep(max(0.0, plan.seconds - (time.monotonic() - began)))
    except BaseException:
        loading.cancel()
        raise
    finally:
        stop.set()
    await loading
    job.say(f"{len(ledger.accepted)} events were accepted; waiting until all is quiet")
    await cluster.wait_ready()
    quiet_began = time.monotonic()
    rest = await wait_quiet(cluster, QUIET_SECONDS_MAX)
    row.quiet_seconds = time.monotonic() - quiet_began
    if rest is not None:
        row.findings.append(Finding("nothing is stuck", str(rest)))
    assert cluster.endpoint is not None
    seen = await read_all(cluster.endpoint, outside.book)
    checked = Checker(kinds, ledger, seen, trusts_clocks=not fault.moves_clocks).check()
    row.injected, row.figures = dict(scene.done), checked.figures
    row.sender_seconds = ledger.slowest_seconds
    row.findings += checked.findings
    leaked = await leaks.compare(cluster.members, before, outside.ports)
    row.holdings = dict(leaked.survivors)
    row.findings += findings_of("nothing leaks", leaked.findings)


async def wait_quiet(cluster: Cluster, seconds_max: float) -> Rest | None:
    """Wait until nothing is left to do; gives what is left when the time is over."""
    assert cluster.endpoint is not None
    looks, rest, began = 0, None, time.monotonic()
    told = began
    async with plain_client(cluster.endpoint) as client:
        while time.monotonic() < began + seconds_max:
            try:
                rest = await read_rest(client)
            except (NatsError, TimeoutError) as error:
                say(f"the server does not say what is left: {error!r}")
                looks = 0
            else:
                looks = looks + 1 if rest.is_quiet else 0
            if looks == QUIET_LOOKS:
                return None
            if time.monotonic() > told + TELL_SECONDS:
                told = time.monotonic()
                say(f"still to do after {told - began:.0f} s: {rest}")
            await asyncio.sleep(LOOK_SECONDS)
    return rest


def _crashes(cluster: Cluster) -> list[str]:
    return [text for member in cluster.members for text in member.crashes]


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


# ── The command ──────────────────────────────────────────────────────────────────────────────


def _arguments() -> argparse.Namespace:
    names = [fault.name for fault in FAULTS]
    parser = argparse.ArgumentParser(prog="python -m tests.faults.run", description=__doc__)
    parser.add_argument("--only", help=f"some of {', '.join(names)}; with commas")
    parser.add_argument("--seed", type=int, default=None, help="the same moments again")
    parser.add_argument("--kills", type=int, help="how often each fault strikes")
    parser.add_argument("--seconds", type=float, default=0.0, help="load for at least this long")
    parser.add_argument("--rate", type=float, default=Plan.rate, help="events a second")
    parser.add_argument("--workers", type=int, default=Plan.workers)
    parser.add_argument("--bundle", type=Path, default=BUNDLE, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--keep", type=Path, help="keep logs, ledger and stores in this folder")
    return parser.parse_args()


def _chosen(only: str | None) -> list[Fault]:
    if only is None:
        return [fault for fault in FAULTS if not fault.is_long]
    known = {fault.name: fault for fault in FAULTS}
    wanted = only.split(",")
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise SystemExit(f"no such fault: {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in wanted]


async def _run(arguments: argparse.Namespace, seed: int, folder: Path) -> list[Row]:
    plan = Plan(seed, rate=arguments.rate, seconds=arguments.seconds, workers=arguments.workers)
    plan = replace(plan, bundle=arguments.bundle)
    this = asyncio.current_task()
    assert this is not None
    # Whoever ends the suite ends every process under test, too.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    rows = []
    for fault in _chosen(arguments.only):
        place = folder / fault.name
        place.mkdir(parents=True)
        amount = arguments.kills or fault.amount
        row = await _try_fault(fault, amount, plan, place)
        say(render_text([row], seed))
        rows.append(row)
    return rows


async def _try_fault(fault: Fault, amount: int, plan: Plan, folder: Path) -> Row:
    try:
        return await run_fault(fault, amount, plan, folder)
    except Exception as error:  # noqa: BLE001 - the other faults are still to be run
        traceback.print_exc()
        finding = Finding("the suite can look", repr(error))
        return Row(fault.name, plan.seed, findings=[finding], folder=str(folder))


def main() -> int:
    """Run it; the exit code."""
    arguments = _arguments()
    seed = random.SystemRandom().randrange(1 << 32) if arguments.seed is None else arguments.seed
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="greentic-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    say(f"seed {seed}, everything is kept in {folder} while it runs")
    rows = asyncio.run(_run(arguments, seed, folder))
    print(render_json(rows, seed) if arguments.json else render_text(rows, seed))
    if has_findings(rows):
        say(f"logs, ledger and stores: {folder}")
        return 1
    if arguments.keep is None:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
