"""What a process holds when it is at rest, before and after.

In: members of a cluster. Out: their open files, threads, tasks and memory, compared for those that
lived through it all. Idle connections to the world outside are closed after a while, so a
comparison takes its time.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.processes import Member

FILES_SLACK: Final = 4
"""What a library opens when it is first needed."""
IDLE_MAX: Final = 26
"""Connections to the world outside that pools keep for the next call: 20 of HTTP, 4 of SMTP."""
TASKS_SLACK: Final = 40
"""A few, and those of executors that are built when their flow is first wanted, and stay for minutes:
some for each flow of the bundle. A task that leaked with each run would be a hundred times that."""
THREADS_SLACK: Final = 4
PATIENCE_SECONDS: Final = 45.0
TASKS_METRIC: Final = "greentic_tasks"


Ports = frozenset[int]


@dataclass(frozen=True)
class Holding:
    """What one process holds. ``tasks`` is None where the version does not publish it."""

    pid: int
    files: int
    """Without the next ones."""
    connections: int
    """To the world outside."""
    threads: int
    resident_mib: float
    tasks: int | None


async def take_stock(members: Sequence[Member], ports: Ports) -> dict[str, Holding]:
    """Look at every member that is up; ``ports`` are those of the world outside."""
    return {member.name: await _look(member, ports) for member in members if member.pid}


async def _look(member: Member, ports: Ports) -> Holding:
    process = Path("/proc") / str(member.pid)
    sockets = _sockets_to(process, ports)
    links = [str(link.readlink()) for link in (process / "fd").iterdir() if link.is_symlink()]
    outside = sum(link in sockets for link in links)
    pages = int((process / "statm").read_text().split()[1])
    tasks = (await member.metrics()).get(TASKS_METRIC)
    return Holding(
        member.pid,
        len(links) - outside,
        outside,
        len(list((process / "task").iterdir())),
        pages * os.sysconf("SC_PAGESIZE") / (1 << 20),
        None if tasks is None else round(tasks),
    )


def _sockets_to(process: Path, ports: Ports) -> frozenset[str]:
    """Name the sockets whose other end has one of the ports, as links in ``fd`` name them."""
    rows = [line.split() for line in (process / "net" / "tcp").read_text().splitlines()[1:]]
    far = {row[9] for row in rows if int(row[2].partition(":")[2], 16) in ports}
    return frozenset(f"socket:[{inode}]" for inode in far)


@dataclass(frozen=True)
class LeakReport:
    findings: Sequence[str]
    survivors: Mapping[str, tuple[Holding, Holding]]
    """Members that lived through it, before and after."""


async def compare(
    members: Sequence[Member], before: Mapping[str, Holding], ports: Ports
) -> LeakReport:
    """Look again until nothing is too much, or the time is over."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while True:
        after = await take_stock(members, ports)
        survivors = {
            name: (before[name], now)
            for name, now in after.items()
            if name in before and before[name].pid == now.pid
        }
        findings = [text for name, pair in survivors.items() for text in _excess(name, *pair)]
        if not findings or asyncio.get_running_loop().time() > deadline:
            return LeakReport(findings, survivors)
        await asyncio.sleep(2)


def _excess(name: str, before: Holding, after: Holding) -> list[str]:
    pairs = [
        ("open files", before.files, after.files, FILES_SLACK),
        ("threads", before.threads, after.threads, THREADS_SLACK),
        ("tasks", before.tasks or 0, after.tasks or 0, TASKS_SLACK),
    ]
    if after.connections > IDLE_MAX:
        pairs.append(("connections", before.connections, after.connections, IDLE_MAX))
    return [
        f"{name}: {now} {what} at rest, {then} before"
        for what, then, now, slack in pairs
        if now > then + slack
    ]
