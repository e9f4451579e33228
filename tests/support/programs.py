"""The program as its user starts it: a subprocess with a known id, ended by it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS_MAX = 60.0
END_SECONDS_MAX = 60.0


@dataclass
class RunningProgram:
    """A `greentic-events start` that said it is ready."""

    process: asyncio.subprocess.Process
    where: dict[str, Any]
    log: Path
    flags: Sequence[str] = field(default_factory=tuple)

    @property
    def url(self) -> str:
        return str(self.where["url"])

    async def terminate(self) -> int:
        """SIGTERM, as an operator or Kubernetes ends it; gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await self.wait()

    async def kill(self) -> None:
        """SIGKILL: the process gets no chance to tidy up."""
        self.process.kill()
        await self.wait()

    async def wait(self) -> int:
        async with asyncio.timeout(END_SECONDS_MAX):
            return await self.process.wait()


async def start_program(bundle: Path, log: Path, *flags: str) -> RunningProgram:
    """Start it; without the history, which costs a second of CPU, unless the flags name roles."""
    if "--roles" not in flags:
        flags = ("--roles", "ingress,worker", *flags)
    command = [sys.executable, "-m", "app.cli.main", "start", str(bundle), "--json"]
    command += ["--port", "0", "--admin", "127.0.0.1:0", *flags]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GREENTIC_")}
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=clean, stdout=asyncio.subprocess.PIPE, stderr=errors
        )
    assert process.stdout is not None
    async with asyncio.timeout(READY_SECONDS_MAX):
        line = await process.stdout.readline()
    if b'"ready"' not in line:
        said = line + await process.stdout.read()
        await process.wait()
        raise AssertionError(f"it did not start: {said.decode()}\n{log.read_text()[-4000:]}")
    return RunningProgram(process, json.loads(line), log, flags)


@asynccontextmanager
async def running_program(bundle: Path, log: Path, *flags: str) -> AsyncIterator[RunningProgram]:
    program = await start_program(bundle, log, *flags)
    try:
        yield program
    finally:
        if program.process.returncode is None:
            await program.terminate()


def write_bundle(folder: Path, flows: dict[str, str], manifest: str = "") -> Path:
    """Write a bundle with these flow files; the manifest's name and version are given."""
    (folder / "flows").mkdir(parents=True, exist_ok=True)
    (folder / "greentic.demo.yaml").write_text(f'name: tested\nversion: "1"\n{manifest}')
    for name, text in flows.items():
        (folder / "flows" / f"{name}.ygtc").write_text(text)
    return folder


def nats_credentials(data: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((data / "nats.json").read_text())
    return document
