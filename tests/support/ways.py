"""Commands on both their ways: straight to NATS, and through the API of a running program."""

import asyncio
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.cli.main import run
from tests.support.programs import RunningProgram, start_program

WAYS = ("nats", "api")
Command = Callable[..., int]
Answer = Callable[..., Any]


class Ways:
    """A running program and how commands reach it."""

    def __init__(self, program: RunningProgram) -> None:
        self.data = Path(str(program.where["data"]))
        self.admin = str(program.where["admin"])
        self.env = str(program.where["env"])
        self.webhooks = program.url
        self.key_file = self.data / "platform.key"

    @property
    def key(self) -> str:
        return self.key_file.read_text().strip()

    def options(self, way: str) -> tuple[str, ...]:
        if way == "nats":
            return ("--data", str(self.data))
        return ("--url", self.admin, "--key-file", str(self.key_file))


@contextmanager
def running_ways(bundle: Path, log: Path, *flags: str) -> Iterator[Ways]:
    """Run the program for a while, in a loop that commands may run beside."""
    with asyncio.Runner() as runner:
        program = runner.run(start_program(bundle, log, *flags))
        try:
            yield Ways(program)
        finally:
            runner.run(program.terminate())


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str, stdin: bytes = b"") -> int:
    """Run a command as somebody whose standard input is no terminal."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    return run(arguments)
