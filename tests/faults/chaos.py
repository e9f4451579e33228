"""The faults: what is done to the processes under test, at seeded random moments.

In: a running cluster, the world outside and a seeded source of chance. Out: what was done, counted.
Every fault undoes itself at its end. Refuses, with a reason, what this machine does not allow.
"""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tests.faults.load import Ledger
from tests.faults.processes import Cluster, Layout, Outside
from tests.faults.scenario import LANE_KINDS, LANES, SLEEPERS, Kind

KILL_PAUSE_SECONDS: Final = (0.4, 2.4)
"""Between two kills: long enough that work is done at all, short enough to hit starting members."""
SERVER_PAUSE_SECONDS: Final = (1.0, 5.0)
SERVER_DEAD_SECONDS: Final = (0.0, 2.0)
LANE_PAUSE_SECONDS: Final = (1.0, 6.0)
SLEEP_PAUSE_SECONDS: Final = (5.0, 30.0)
FREEZE_SECONDS: Final = 40.0
"""Past ack_wait (30 s): what the frozen worker had is given to another one meanwhile."""
DISK_MEBIBYTES: Final = 96
DISK_FULL_SECONDS: Final = 10.0
CLOCK_JUMP_SECONDS: Final = 3600
MOOD_SECONDS: Final = 15.0
SETTLE_SECONDS: Final = 8.0
"""Between the changes of a fault that comes and goes."""
FAKETIME: Final = (
    Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"),
    Path("/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"),
    Path("/usr/lib64/faketime/libfaketimeMT.so.1"),
    Path("/usr/lib/faketime/libfaketimeMT.so.1"),
)


@dataclass
class Scene:
    """Where a fault is let loose."""

    cluster: Cluster
    outside: Outside
    ledger: Ledger
    chance: random.Random
    folder: Path
    amount: int
    say: Callable[[str], None]
    done: Counter[str] = field(default_factory=Counter)

    async def pause(self, bounds: tuple[float, float]) -> None:
        await asyncio.sleep(self.chance.uniform(*bounds))


@dataclass(frozen=True)
class Fault:
    """One kind of fault; ``amount`` is how often it strikes unless told otherwise."""

    name: str
    inject: Callable[[Scene], Awaitable[None]]
    amount: int
    short_amount: int = 1
    """How often in the short form, which CI runs."""
    refuse: Callable[[], str | None] = lambda: None
    """Why it cannot be had on this machine."""
    lay_out: Callable[[Layout, Path], Layout] = lambda layout, _: layout
    """What it needs of the cluster."""
    clean: Callable[[Path], None] = lambda _: None
    kinds: Sequence[Kind] | None = None
    """The kinds of events that suit it; all by default."""
    bundle: Path | None = None
    """The bundle whose flows they are, if it is not the usual one."""
    sleep_seconds_max: int = 3
    """How long runs may sleep."""
    events_max: int | None = None
    """How many events the load has; as many as there is time for by default."""
    moves_clocks: bool = False
    """Times that a process worked out itself mean nothing then."""
    is_long: bool = False
    """Run only when it is asked for by name."""


# ── Deaths ───────────────────────────────────────────────────────────────────────────────────


async def kill_workers(scene: Scene) -> None:
    """SIGKILL one worker after the other, starting ones too."""
    while scene.done["worker kills"] < scene.amount:
        await scene.pause(KILL_PAUSE_SECONDS)
        if scene.chance.choice(scene.cluster.workers).kill():
            scene.done["worker kills"] += 1
            if scene.done["worker kills"] % 20 == 0:
                scene.say(f"{scene.done['worker kills']} of {scene.amount} workers killed")


async def kill_ingress(scene: Scene) -> None:
    """SIGKILL the processes that take events in."""
    while scene.done["ingress kills"] < scene.amount:
        await scene.pause(KILL_PAUSE_SECONDS)
        scene.done["ingress kills"] += scene.chance.choice(scene.cluster.ingresses).kill()


async def kill_server(scene: Scene) -> None:
    """SIGKILL nats-server and start it again on its store."""
    for _ in range(scene.amount):
        await scene.pause(SERVER_PAUSE_SECONDS)
        await _bounce_server(scene)


async def kill_both(scene: Scene) -> None:
    """SIGKILL the server and one or all workers in the same moment."""
    for _ in range(scene.amount):
        await scene.pause(SERVER_PAUSE_SECONDS)
        workers = scene.cluster.workers
        victims = workers if scene.chance.random() < 0.5 else [scene.chance.choice(workers)]
        scene.done["worker kills"] += sum(worker.kill() for worker in victims)
        await _bounce_server(scene)


async def _bounce_server(scene: Scene) -> None:
    await scene.cluster.kill_nats()
    await scene.pause(SERVER_DEAD_SECONDS)
    seconds = await scene.cluster.revive_nats()
    scene.done["server kills"] += 1
    scene.say(f"server killed ({scene.done['server kills']}), answered after {seconds:.1f} s")


async def freeze_worker(scene: Scene) -> None:
    """SIGSTOP a worker for longer than ack_wait, and let it go on with what it held."""
    for _ in range(scene.amount):
        await scene.pause((1.0, 3.0))
        worker = scene.chance.choice(scene.cluster.workers)
        worker.send(signal.SIGSTOP)
        scene.say(f"{worker.name} stands still for {FREEZE_SECONDS:.0f} s")
        await asyncio.sleep(FREEZE_SECONDS)
        worker.send(signal.SIGCONT)
        scene.done["freezes"] += 1
        await asyncio.sleep(SETTLE_SECONDS)


# ── The world outside ────────────────────────────────────────────────────────────────────────


async def slow_targets(scene: Scene) -> None:
    """Let the service and the mail server answer slowly."""
    for _ in range(scene.amount):
        await scene.outside.set_mood(slow_ms=scene.chance.randint(1000, 4000))
        await asyncio.sleep(MOOD_SECONDS)
        await scene.outside.set_mood()
        scene.done["slow spells"] += 1
        await asyncio.sleep(SETTLE_SECONDS)


async def reset_connections(scene: Scene) -> None:
    """Break connections in the middle of answers: the call was heard, and nobody can tell."""
    for number in range(scene.amount):
        share = scene.chance.uniform(0.1, 0.5)
        await scene.outside.set_mood(reset_share=share, seed=scene.chance.randint(0, 1 << 30))
        scene.say(f"a share of {share:.2f} of the answers breaks off")
        await asyncio.sleep(MOOD_SECONDS)
        await scene.outside.set_mood()
        scene.done["spells of resets"] = number + 1
        await asyncio.sleep(SETTLE_SECONDS)


async def disturb_lanes(scene: Scene) -> None:
    """Kill workers, the one that has the lanes among them, and now and then the server."""
    for number in range(scene.amount):
        await scene.pause(LANE_PAUSE_SECONDS)
        if number % 5 == 4:
            await _bounce_server(scene)
        else:
            scene.done["worker kills"] += scene.chance.choice(scene.cluster.workers).kill()


async def disturb_sleep(scene: Scene) -> None:
    """For ``amount`` seconds: restart workers and the server in every way while runs sleep."""
    until = time.monotonic() + scene.amount
    while time.monotonic() < until:
        await scene.pause(SLEEP_PAUSE_SECONDS)
        worker = scene.chance.choice(scene.cluster.workers)
        match scene.chance.choice(("kill", "restart", "server")):
            case "kill":
                scene.done["worker kills"] += worker.kill()
            case "restart":
                worker.restart()
                scene.done["worker restarts"] += 1
            case _:
                await _bounce_server(scene)


# ── The disk ─────────────────────────────────────────────────────────────────────────────────


def refuse_mounts() -> str | None:
    """Tell why no small disk can be had here."""
    if os.geteuid() != 0:
        return "only root may mount a small disk"
    with contextlib.suppress(OSError):
        # A private name space of mounts shows whether mounting is allowed, and leaves no trace.
        command = ["unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/mnt"]
        tried = subprocess.run(command, capture_output=True, check=False)
        return None if tried.returncode == 0 else tried.stderr.decode().strip()
    return "there is no unshare or mount"


def mount_small_disk(layout: Layout, folder: Path) -> Layout:
    """Put the server's store on a disk of its own that is soon full."""
    disk = folder / "disk"
    disk.mkdir()
    options = f"size={DISK_MEBIBYTES}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], check=True)
    return replace(layout, data=disk / "data")


def unmount_small_disk(folder: Path) -> None:
    """Take it away again."""
    subprocess.run(["umount", "-l", str(folder / "disk")], check=False)


async def fill_disk(scene: Scene) -> None:
    """Leave no byte free below the store, then free it; the server may need a restart."""
    filler = scene.folder / "disk" / "filler"
    for _ in range(scene.amount):
        await scene.pause((2.0, 4.0))
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            for size in (1 << 20, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"\0" * size)
        scene.say("the disk is full")
        await asyncio.sleep(DISK_FULL_SECONDS)
        filler.unlink()
        scene.done["full disks"] += 1
        if not await _heals_alone(scene):
            scene.done["restarts needed"] += 1
            await scene.cluster.kill_nats()
            await scene.cluster.revive_nats()
        await asyncio.sleep(SETTLE_SECONDS)


async def _heals_alone(scene: Scene) -> bool:
    """Tell whether events are taken again within a few seconds.

    nats-server 2.15 goes on refusing writes to a file that it once could not write.
    """
    before = len(scene.ledger.accepted)
    until = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < until:
        await asyncio.sleep(0.2)
        if len(scene.ledger.accepted) > before:
            return True
    scene.say("nothing is stored though there is room again: the server is started anew")
    return False


# ── The clock ────────────────────────────────────────────────────────────────────────────────


def refuse_clock() -> str | None:
    """Tell why clocks cannot be moved here."""
    return None if _faketime() else "libfaketime is not installed (apt-get install libfaketime)"


def _faketime() -> Path | None:
    return next((path for path in FAKETIME if path.exists()), None)


def fake_clocks(layout: Layout, folder: Path) -> Layout:
    """Put a library between the processes under test and the clock; it reads a file of ours."""
    library = _faketime()
    assert library is not None
    offset = folder / "clock"
    offset.write_text("+0\n")
    environment: Mapping[str, str] = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_CACHE_DURATION": "1",
        # A clock that is set jumps; the time since boot does not.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    return replace(layout, environment={**layout.environment, **environment})


async def move_clocks(scene: Scene) -> None:
    """Set the clocks of workers and ingress an hour on and back, and an hour back and on."""
    offset = scene.folder / "clock"
    for number in range(scene.amount):
        jump = CLOCK_JUMP_SECONDS if number % 2 == 0 else -CLOCK_JUMP_SECONDS
        for seconds in (jump, 0):
            await scene.pause((2.0, 4.0))
            offset.write_text(f"{seconds:+d}\n")
            scene.say(f"clocks show {seconds:+d} s")
            scene.done["clock jumps"] += 1
            await asyncio.sleep(SETTLE_SECONDS)


FAULTS: Final = (
    Fault("workers", kill_workers, amount=200, short_amount=3),
    Fault("ingress", kill_ingress, amount=20),
    Fault("server", kill_server, amount=20),
    Fault("both", kill_both, amount=20),
    Fault("freeze", freeze_worker, amount=2),
    Fault(
        "disk",
        fill_disk,
        amount=2,
        refuse=refuse_mounts,
        lay_out=mount_small_disk,
        clean=unmount_small_disk,
    ),
    Fault(
        "clock",
        move_clocks,
        amount=4,
        refuse=refuse_clock,
        lay_out=fake_clocks,
        moves_clocks=True,
    ),
    Fault("slow", slow_targets, amount=2),
    Fault("resets", reset_connections, amount=3),
    Fault("lanes", disturb_lanes, amount=20, kinds=LANE_KINDS, bundle=LANES),
    Fault(
        "wait-real",
        disturb_sleep,
        amount=600,
        kinds=SLEEPERS,
        sleep_seconds_max=600,
        events_max=300,
        is_long=True,
    ),
)


async def strike_all(scene: Scene) -> None:
    """A little of everything that needs no special machine, in half a minute: the short form."""
    await scene.pause(KILL_PAUSE_SECONDS)
    await scene.outside.set_mood(reset_share=0.2, seed=scene.chance.randint(0, 1 << 30))
    for _ in range(2):
        scene.done["worker kills"] += scene.chance.choice(scene.cluster.workers).kill()
        await scene.pause(KILL_PAUSE_SECONDS)
    await _bounce_server(scene)
    await scene.pause(KILL_PAUSE_SECONDS)
    await scene.outside.set_mood()


SHORT: Final = Fault("short", strike_all, amount=1)
