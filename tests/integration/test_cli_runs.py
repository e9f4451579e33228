"""`run list`, `run show` and the tails, with the real program, on both ways to it."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from app.cli.exit_codes import FAILED, OK, REFUSED, USAGE
from tests.support.deployments import a_flow
from tests.support.programs import ROOT, write_bundle
from tests.support.ways import Answer, Command, Ways, running_ways

pytest_plugins = ["tests.support.ways_fixtures"]
pytestmark = pytest.mark.server

PATIENCE_SECONDS = 20.0

SUMMARY = {
    "run_id", "flow", "flow_version", "status", "event_id", "event_type", "trigger",
    "parent_run_id", "correlation_id", "started_ms", "finished_ms", "attempt", "usage", "error",
}  # fmt: skip

Send = Callable[..., str]


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    """Run the program with a history; commands on NATS find it in the data folder."""
    folder = tmp_path_factory.mktemp("ways")
    flows = {"take": a_flow("take"), "fail": a_flow("fail", "bad.thing", script="throw 'no'")}
    bundle = write_bundle(folder / "bundle", flows, "tenants:\n  demo: {}\n")
    with running_ways(bundle, folder / "log", "--roles", "ingress,worker,history") as found:
        yield found


@pytest.fixture
def send(ask: Command, ways: Ways, capsys: pytest.CaptureFixture[str]) -> Send:
    """Send an event as a webhook and give its id."""

    def one(event_type: str, payload: Any) -> str:
        text = json.dumps(payload)
        assert (
            ask("event", "send", "demo", event_type, text, "--url", ways.webhooks, "--json") == OK
        )
        return str(json.loads(capsys.readouterr().out)["event_id"])

    return one


def waited(answer: Answer, *arguments: str) -> list[dict[str, Any]]:
    """List runs until there are some: their records come a moment after their results."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        runs: list[dict[str, Any]] = answer("run", "list", *arguments)["runs"]
        if runs:
            return runs
        time.sleep(0.05)
    raise AssertionError(f"no run came: {arguments}")


def wait_history(ways: Ways) -> None:
    """Wait for the program to have a history; until then commands on NATS ask the streams."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (ways.data / "history.db").is_file():
        assert time.monotonic() < deadline, "the program made no history"
        time.sleep(0.05)


def test_runs_are_listed_and_narrowed_down(answer: Answer, send: Send) -> None:
    good, bad = send("order.created", {"id": 1}), send("bad.thing", {"id": 2})
    (taken,) = waited(answer, "--event", good)
    assert set(taken) == SUMMARY
    assert (taken["flow"], taken["status"], taken["error"]) == ("take", "completed", None)
    (failed,) = waited(answer, "--event", bad, "--status", "failed")
    assert failed["error"]["node"] == "one"
    for narrowed, runs in (
        (("--flow", "fail"), [failed["run_id"]]),
        (("--code", failed["error"]["code"]), [failed["run_id"]]),
        (("--error", failed["error"]["message"].upper()[:20]), [failed["run_id"]]),
        (("--event-type", "bad.thing", "--since", "1h"), [failed["run_id"]]),
        (("--status", "completed"), []),
        (("--until", "1h"), []),
        (("--correlation", "nothing-has-this"), []),
        (("--parent", taken["run_id"]), []),
    ):
        listed = answer("run", "list", "--event", bad, *narrowed)["runs"]
        assert [run["run_id"] for run in listed] == runs, narrowed


def test_streams_tell_the_same_as_the_history(
    ask: Command, ways: Ways, answer: Answer, send: Send, capsys: pytest.CaptureFixture[str]
) -> None:
    event = send("bad.thing", {"id": 2})
    wait_history(ways)
    from_history = waited(answer, "--event", event)
    run_id = from_history[0]["run_id"]
    told = {}
    for options in (("list", "--event", event), ("show", run_id)):
        seen = []
        for more in ((), ("--streams",)):
            capsys.readouterr()
            assert ask("run", *options, *more, "--json", "--data", str(ways.data)) == OK
            seen.append(json.loads(capsys.readouterr().out))
        told[options[0]] = seen
    assert told["show"][0] == told["show"][1]
    assert told["list"][0]["runs"] == told["list"][1]["runs"] == from_history


def test_pages_go_on_where_they_ended(
    call: Command, answer: Answer, send: Send, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        waited(answer, "--event", send("order.created", {"id": number}))
    first = answer("run", "list", "--limit", "2")
    assert len(first["runs"]) == 2
    second = answer("run", "list", "--limit", "2", "--after", first["next_after"])
    ids = [run["run_id"] for run in (*first["runs"], *second["runs"])]
    assert len(ids) == len(set(ids)) >= 3
    capsys.readouterr()
    assert call("run", "list", "--limit", "1") == OK
    captured = capsys.readouterr()
    assert captured.err.startswith("more: --after ")
    assert len(captured.out.splitlines()) == 1
    assert call("run", "list", "--flow", "none") == OK
    assert "no such runs" in capsys.readouterr().err


def test_a_run_is_shown(
    call: Command, answer: Answer, send: Send, capsys: pytest.CaptureFixture[str]
) -> None:
    (run,) = waited(answer, "--event", send("bad.thing", {"id": 2}))
    run_id = run["run_id"]
    seen = answer("run", "show", run_id)
    assert (seen["state"], seen["waiting"], seen["tenant"]) == ("ended", None, "demo")
    assert (seen["record"]["path"], seen["record"]["error"]) == (["one"], run["error"])
    assert answer("run", "show", run_id, "--flow", "fail") == seen
    capsys.readouterr()
    assert call("run", "show", run_id, "--values") == OK
    text = capsys.readouterr().out
    assert text.startswith(f"run       {run_id}\nstate     failed\nerror     ")
    assert "flow      fail 1" in text
    assert re.search(r"steps\n  \+\d+ ms  ·*█+·*  .+ script  one  failed script\.", text)
    assert call("run", "show", run_id, "--flow", "take") == FAILED
    assert call("run", "show", "nothing") == FAILED
    assert "run list" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        "show a.b",
        "list --since soon",
        "list --error no",
        "list --status odd",
        "list --after x",
        f"list --after {'1' * 300}",
        "list --tenant De.mo",
        "list --limit 1001",
        "list --streams --database-url sqlite:///x",
        "list --database-url mysql://user:hunter2@host/db",
    ],
)
def test_what_makes_no_sense_is_refused(
    call: Command, arguments: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", *arguments.split()) in (FAILED, USAGE, REFUSED)
    captured = capsys.readouterr()
    assert "hunter2" not in captured.out + captured.err


# ── Tails ────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def tailing(ways: Ways, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a tail as its user does, until it listens."""
    command = [sys.executable, "-m", "app.cli.main", *arguments, "--data", str(ways.data)]
    with subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("listening to ")
        try:
            yield process
        finally:
            process.terminate()


def test_runs_are_told_as_they_end(ways: Ways, send: Send) -> None:
    options = ("--failed", "--count", "1", "--timeout", "20")
    with tailing(ways, "run", "tail", *options) as tail:
        send("order.created", {"id": 1})
        event = send("bad.thing", {"id": 2})
        text, _ = tail.communicate(timeout=PATIENCE_SECONDS)
    assert tail.returncode == OK
    assert re.search(rf"Z  failed    +\S+ \S+  fail  \w+  bad.thing {event}  script\.", text)


def test_events_are_chosen_and_results_follow_theirs(ways: Ways, send: Send) -> None:
    where = ("--where", "payload.id > 10", "--grep", "blue")
    options = ("--results", "--count", "2", "--timeout", "20", "--json")
    with tailing(ways, "event", "tail", "demo", ">", *where, *options) as tail:
        for payload in ({"id": 3, "c": "blue"}, {"id": 30, "c": "red"}, {"n": 1, "c": "blue"}):
            send("order.created", payload)
        wanted = send("order.created", {"id": 30, "c": "Blue"})
        out, err = tail.communicate(timeout=PATIENCE_SECONDS)
    assert tail.returncode == OK, err
    event, result = (json.loads(line) for line in out.splitlines())
    assert (event["kind"], event["event"]["id"]) == ("event", wanted)
    assert (result["kind"], result["result"]["event_id"]) == ("result", wanted)


def test_a_tail_that_saw_too_few_says_so(
    ask: Command, ways: Ways, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--count", "1", "--timeout", "0.1", "--data", str(ways.data))
    assert ask("run", "tail", *options) == FAILED
    assert "saw 0 of 1" in capsys.readouterr().err
    assert ask("run", "tail", "--flow", "a.*", *options) == FAILED
    assert ask("event", "tail", "demo", "--where", "payload.id >", *options) == FAILED
    assert "^" in capsys.readouterr().err
