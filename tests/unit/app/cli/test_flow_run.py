import json
import time
from pathlib import Path
from typing import Any

import pytest

from app.cli.exit_codes import FAILED
from app.cli.main import run

FLOW = """
name: {name}
version: "1"
triggers:
  - type: event
    event_type: order.created
    target: look
    filter: "payload.total > 0"
nodes:
  - id: look
    type: branch
    config:
      conditions:
        - expression: "payload.total > 100"
          next: tell
      default: fail
  - id: tell
    type: event
    config: {{event_type: order.large, payload: {{id: "{{{{payload.id}}}}"}}}}
    next: note
  - id: note
    type: log
    config: {{level: info, message: "large order {{{{payload.id}}}}"}}
    next: answer
  - id: answer
    type: template
    config: {{template: "thanks for {{{{payload.id}}}}"}}
    next: respond
  - id: fail
    type: error
    config: {{message: "too small"}}
"""


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    path = tmp_path / "orders.ygtc"
    path.write_text(FLOW.format(name="orders"))
    return path


def shown(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_run_shows_way_answer_and_what_would_be_published(
    flow: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    payload = '{"id": 12345678901234567890123, "total": 150}'
    assert run(["flow", "run", str(flow), "--event", payload, "--json"]) == 0
    document = shown(capsys)
    assert document["status"] == "completed"
    assert document["path"] == ["look", "tell", "note", "answer"]
    assert document["trigger"] == "event:1"
    assert document["answer"] == {"status": 200, "body": "thanks for 12345678901234567890123"}
    emitted = document["emitted"][0]
    assert (emitted["event_type"], emitted["payload"]) == (
        "order.large",
        {"id": 12345678901234567890123},
    )
    assert document["logged"] == [
        {"level": "info", "message": "large order 12345678901234567890123"}
    ]


def test_failed_run_ends_with_1_and_names_the_node(
    flow: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["flow", "run", str(flow), "--event", '{"total": 1}']) == FAILED
    text = capsys.readouterr().out
    assert "failed" in text
    assert "flow_error at fail: too small" in text


def test_false_filter_skips_the_run(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["flow", "run", str(flow), "--event", '{"total": 0}', "--json"]
    assert run(arguments) == FAILED
    assert shown(capsys)["status"] == "skipped"


def test_whole_event_and_files_are_read_as_they_are(
    flow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    event = {
        "id": "e-1",
        "event_type": "order.created",
        "source": "test",
        "timestamp": 5,
        "payload": {"id": "x", "total": 101},
    }
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event))
    assert run(["flow", "run", str(flow), "--event", f"@{file}", "--json"]) == 0
    assert shown(capsys)["event_id"] == "e-1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--event", "{nonsense"], "is no JSON"),
        (["--event", "@/nowhere/event.json"], "No such file"),
        (["--flow", "absent"], "has no flow 'absent'"),
        (["--type", "Not A Type"], "event_type"),
    ],
)
def test_bad_input_is_refused_with_a_reason(
    flow: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["flow", "run", str(flow), *arguments]) not in (0, 70)
    assert said in capsys.readouterr().err


def test_several_flows_want_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.ygtc").write_text(FLOW.format(name=name))
    assert run(["flow", "run", str(tmp_path)]) not in (0, 70)
    assert "has several flows" in capsys.readouterr().err
    arguments = ["flow", "run", str(tmp_path), "--flow", "two", "--event", '{"total": 101}']
    assert run([*arguments, "--json"]) == 0
    assert shown(capsys)["flow"] == "two"


def test_broken_flow_shows_its_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken.ygtc"
    path.write_text("name: broken\nversion: '1'\ntriggers: []\nnodes: []\nextra: 1\n")
    assert run(["flow", "run", str(path)]) not in (0, 70)
    assert "broken.ygtc" in capsys.readouterr().err


def test_flow_of_a_bundle_sees_its_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    bundle = Path(__file__).resolve().parents[4] / "examples" / "orders"
    order = '{"id": "o-1", "items": [{"price": 2.5, "quantity": 4}], "total": 10}'
    assert run(["flow", "run", str(bundle), "--event", order, "--json"]) == 0
    assert shown(capsys)["answer"]["body"]["sum"] == 10.0


def test_a_run_does_not_sleep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sleeper.ygtc"
    path.write_text("""
name: sleeper
version: "1"
triggers: [{type: event, event_type: a.b, target: before}]
nodes:
  - {id: before, type: log, config: {message: before}, next: nap}
  - {id: nap, type: wait, config: {for: 30d}, next: say}
  - {id: say, type: template, config: {template: "up after {{payload.n}}"}}
""")
    began = time.monotonic()
    assert run(["flow", "run", str(path), "--event", '{"n": 1}', "--json"]) == 0
    document = shown(capsys)
    assert (document["path"], document["output"]) == (["before", "nap", "say"], "up after 1")
    assert len(document["logged"]) == 1
    assert time.monotonic() - began < 20
