"""A machine that lets processes down: its disk is full, its clock jumps.

In: a scene whose cluster was laid out for it. Out: what was done, counted there. Refuses, with a
reason, what this machine does not allow.
"""

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.faults.processes import Layout
from tests.faults.scene import SETTLE_SECONDS, Scene

DISK_MEBIBYTES: Final = 96
DISK_FULL_SECONDS: Final = 10.0
CLOCK_JUMP_SECONDS: Final = 3600
FAKETIME: Final = (
    Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"),
    Path("/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"),
    Path("/usr/lib64/faketime/libfaketimeMT.so.1"),
    Path("/usr/lib/faketime/libfaketimeMT.so.1"),
)

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
