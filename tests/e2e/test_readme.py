"""The README, as its reader follows it: its own commands, against a program that it started.

The shell blocks run unchanged but for the port and for how long `event tail` listens.
"""

import asyncio
import json
import re
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.programs import RunningProgram, running_program

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND_SECONDS = 60
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(README)


def shell_block(word: str) -> str:
    """The one shell block with a word in it."""
    found = [text for kind, text in BLOCKS if kind == "sh" and word in text]
    assert len(found) == 1, f"the README has {len(found)} shell blocks with {word!r}"
    return str(found[0])


def shown(kind: str) -> str:
    """The one block of a kind that shows what comes out."""
    found = [text for name, text in BLOCKS if name == kind]
    assert len(found) == 1
    return str(found[0])


@dataclass(frozen=True)
class Clone:
    """A folder with what the README's commands need, perhaps with the example running in it."""

    folder: Path
    program: RunningProgram | None = None

    async def shell(self, script: str) -> asyncio.subprocess.Process:
        port = "8080" if self.program is None else self.program.url.rpartition(":")[2]
        return await asyncio.create_subprocess_exec(
            "bash",
            "-euo",
            "pipefail",
            "-c",
            script.replace("127.0.0.1:8080", f"127.0.0.1:{port}"),
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def output(self, script: str) -> str:
        return await finished(await self.shell(script))


async def finished(process: asyncio.subprocess.Process) -> str:
    async with asyncio.timeout(COMMAND_SECONDS):
        out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return out.decode()


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    folder = tmp_path / "clone"
    ignored = shutil.ignore_patterns(".greentic")
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=ignored)
    (folder / ".venv").symlink_to(sys.prefix)
    return Clone(folder)


@pytest.fixture
async def started(clone: Clone, tmp_path: Path) -> AsyncIterator[Clone]:
    orders = clone.folder / "examples" / "orders"
    async with running_program(orders, tmp_path / "log") as program:
        yield replace(clone, program=program)


def masked(text: str) -> str:
    """Ids and times are another each time."""
    text = re.sub(r"\b[0-9A-HJKMNP-TV-Z]{26}\b", "EVENT-ID", text)
    return re.sub(r"\b[0-9a-f]{30}\b", "RUN-ID", text)


async def test_the_posted_order_is_answered_as_shown(started: Clone) -> None:
    answer = await started.output(shell_block("curl"))
    assert answer.strip() == shown("json").strip()


async def test_tail_shows_the_event_and_its_result_as_shown(started: Clone) -> None:
    command = shell_block("event tail").strip()
    tail = await started.shell(f"{command} --count 2 --timeout {COMMAND_SECONDS}")
    assert tail.stderr is not None
    assert b"listening" in await tail.stderr.readline()
    await started.output(shell_block("curl"))
    assert masked(await finished(tail)) == masked(shown("text"))


async def test_another_client_reads_the_same_from_the_stream(started: Clone) -> None:
    await started.output(shell_block("curl"))
    lines = (await started.output(shell_block("import asyncio, json, nats"))).splitlines()
    read = dict(line.split(" ", 1) for line in lines)
    event, result = (json.loads(text) for text in read.values())
    subject = "greentic.events.dev.demo.order.created"
    assert list(read) == [subject, f"{subject}.result"]
    assert event["payload"]["id"] == "A-1"
    assert (result["event_id"], result["status"]) == (event["id"], "completed")


async def test_the_bundle_that_init_writes_is_sound(clone: Clone) -> None:
    command = re.search(r"`(\.venv/bin/greentic-events init \S+)`", README)
    assert command
    await clone.output(command[1])
    report: Any = json.loads(
        await clone.output(".venv/bin/greentic-events flow doctor my-bundle --json")
    )
    assert (report["ok"], report["problems"]) == (True, [])


def test_make_run_starts_the_example_that_the_readme_talks_of() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert shell_block("make run").strip() == "make run"
    assert re.search(r"^BUNDLE \?= examples/orders$", makefile, re.MULTILINE)
    assert re.search(
        r"^run: setup\n\t\S+greentic-events start \$\(BUNDLE\)$", makefile, re.MULTILINE
    )


def test_every_verb_of_the_readme_is_one_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", README))
    assert named <= targets
    assert {"test", "test-unit", "check", "run", "docs"} <= named
