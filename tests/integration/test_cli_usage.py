"""`usage …` on both its ways, of a program that counts what it runs."""

import csv
import io
import json
import time
from collections.abc import Iterator

import pytest

from app.cli.exit_codes import FAILED, OK, REFUSED
from tests.support.deployments import a_flow
from tests.support.programs import write_bundle
from tests.support.ways import Answer, Command, Ways, running_ways

pytest_plugins = ["tests.support.ways_fixtures"]
pytestmark = pytest.mark.server

SECONDS = 30.0


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    """Run the program with the role that counts."""
    folder = tmp_path_factory.mktemp("ways")
    flows = {"fail": a_flow("fail", "bad.thing", script="throw 'no'")}
    bundle = write_bundle(folder / "bundle", flows, "tenants:\n  demo: {}\n")
    with running_ways(bundle, folder / "log", "--roles", "ingress,worker,history") as found:
        yield found


def shown(answer: Answer, *options: str) -> list[dict[str, object]]:
    """Wait until something was counted, and give its rows."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        rows: list[dict[str, object]] = answer("usage", "show", "--tenant", "demo", *options)[
            "windows"
        ]
        if rows:
            return rows
        time.sleep(0.2)
    raise AssertionError("nothing was counted")


def test_usage_is_shown_and_exported(
    call: Command, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    if not answer("usage", "show", "--tenant", "demo")["windows"]:  # once for both ways
        answer("event", "send", "demo", "bad.thing", "{}")
    [row] = shown(answer, "--flow", "fail", "--step", "day")
    runs = row["runs"]
    assert row["failed"] == runs == row["events"]
    assert row["flow"] == "fail"
    [total] = shown(answer, "--total", "--step", "day")
    assert total["flow"] is None
    asked = ("usage", "export", "--tenant", "demo", "--flow", "fail", "--since", "1d")
    capsys.readouterr()
    assert call(*asked) == OK
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out, newline="")))
    assert sum(int(line["runs"]) for line in lines) == runs
    assert call(*asked, "--json") == OK
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["start"] for each in documents] == [line["start"] for line in lines]
    assert call("usage", "show", "--tenant", "demo") == OK
    assert f"{runs} failed" in capsys.readouterr().out


def test_what_cannot_be_asked_is_refused(call: Command) -> None:
    assert call("usage", "show", "--tenant", "demo", "--since", "never") == FAILED
    assert call("usage", "show", "--tenant", "demo", "--since", "500d") == REFUSED
    assert call("usage", "show", "--tenant", "demo", "--flow", "*") == REFUSED
