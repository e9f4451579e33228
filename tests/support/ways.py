"""Commands on both their ways: straight to NATS, and through the API of a running program."""

import asyncio
import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.cli.exit_codes import OK
from app.cli.main import run
from tests.support.deployments import a_flow
from tests.support.programs import RunningProgram, start_program, write_bundle

WAYS = ("nats", "api")
YEARLY = {"type": "timer", "cron": "0 0 1 1 *", "target": "one"}
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
def running_ways(bundle: Path, log: Path) -> Iterator[Ways]:
    """Run the program for a while, in a loop that commands may run beside."""
    with asyncio.Runner() as runner:
        program = runner.run(start_program(bundle, log))
        try:
            yield Ways(program)
        finally:
            runner.run(program.terminate())


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str, stdin: bytes = b"") -> int:
    """Run a command as somebody whose standard input is no terminal."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    return run(arguments)


# ── Fixtures: a module takes them by `pytest_plugins` ────────────────────────────────────────────


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    folder = tmp_path_factory.mktemp("ways")
    flows = {
        "take": a_flow("take"),
        "fail": a_flow("fail", "bad.thing", script="throw 'no'"),
        "yearly": json.dumps({**json.loads(a_flow("yearly")), "triggers": [YEARLY]}),
    }
    bundle = write_bundle(folder / "bundle", flows, "tenants:\n  demo: {}\n")
    with running_ways(bundle, folder / "log") as found:
        yield found


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def call(ways: Ways, way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Run a command on one of the ways."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, **more: command(monkeypatch, *arguments, *ways.options(way), **more)


@pytest.fixture
def ask(ways: Ways, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Run a command with options of its own."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, **more: command(monkeypatch, *arguments, **more)


@pytest.fixture
def answer(call: Command, capsys: pytest.CaptureFixture[str], ways: Ways) -> Answer:
    """Run a command that goes well and give its JSON; no output ever has a key in it."""

    def read(*arguments: str, **more: Any) -> Any:
        before = capsys.readouterr()
        assert call(*arguments, "--json", **more) == OK
        captured = capsys.readouterr()
        assert ways.key not in before.out + before.err + captured.out + captured.err
        return json.loads(captured.out)

    return read
