"""Fixtures of modules that run commands on both their ways; they take them by `pytest_plugins`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli.exit_codes import OK
from tests.support.deployments import a_flow
from tests.support.programs import write_bundle
from tests.support.ways import WAYS, Answer, Command, Ways, command, running_ways

YEARLY = {"type": "timer", "cron": "0 0 1 1 *", "target": "one"}


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
