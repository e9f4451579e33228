"""The command line as a whole: exit codes, JSON shapes, help."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.cli.init import template_texts
from app.cli.main import run

EXAMPLES = Path(__file__).parents[4] / "examples"
BROKEN = """\
name: a
version: "1"
triggers:
  - {type: event, event_type: a.b, target: work}
nodes:
  - {id: work, type: scirpt}
"""

Out = Callable[[], tuple[str, str]]


@pytest.fixture
def out(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Out:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def read() -> tuple[str, str]:
        captured = capsys.readouterr()
        return captured.out, captured.err

    return read


def document(out: Out) -> Any:
    return json.loads(out()[0])


# ── The program ──────────────────────────────────────────────────────────────────────────────


def test_version_and_help(out: Out) -> None:
    assert run(["--version"]) == 0
    assert out()[0].startswith("greentic-events ")
    assert run(["--help"]) == 0
    text = out()[0]
    for command in ("init", "start", "flow", "event", "doctor"):
        assert command in text
    assert "Exit codes" in text


@pytest.mark.parametrize(
    "arguments",
    [["flow", "doctor", "--help"], ["event", "send", "--help"], ["init", "--help"]],
)
def test_every_command_has_help(arguments: list[str], out: Out) -> None:
    assert run(arguments) == 0
    assert "Usage: greentic-events" in out()[0]


@pytest.mark.parametrize("arguments", [["nonsense"], ["flow"], ["flow", "doctor"], ["--what"], []])
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    assert run(arguments) == 2


def test_a_defect_of_ours_says_so(monkeypatch: pytest.MonkeyPatch, out: Out) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("boom")

    monkeypatch.setattr("app.cli.flow.inspect_path", broken)
    assert run(["flow", "doctor", "x"]) == 70
    text = out()[1]
    assert "defect" in text
    assert "Traceback" not in text
    assert run(["--debug", "flow", "doctor", "x"]) == 70
    assert "Traceback" in out()[1]
    assert run(["flow", "doctor", "x", "--json"]) == 70
    assert document(out)["error"]["code"] == "cli.internal"


# ── flow ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("example", ["orders", "reports", "tour"])
def test_the_examples_have_no_problems(example: str, out: Out) -> None:
    assert run(["flow", "doctor", str(EXAMPLES / example)]) == 0, out()
    assert "0 errors, 0 warnings" in out()[0]


def test_doctor_ends_with_1_on_errors(tmp_path: Path, out: Out) -> None:
    (tmp_path / "a.ygtc").write_text(BROKEN)
    assert run(["flow", "doctor", str(tmp_path / "a.ygtc")]) == 1
    text = out()[0]
    assert f"{tmp_path}/a.ygtc:6:22: error:" in text
    assert "  - {id: work, type: scirpt}" in text
    assert "did you mean 'script'?" in text


def test_doctor_ends_with_0_on_warnings(tmp_path: Path, out: Out) -> None:
    (tmp_path / "greentic.demo.yaml").write_text('name: a\nversion: "1"\n')
    (tmp_path / "answers.json").write_text(
        '{"messaging-x": {}, "events-webhook": {"secret_header": "x-s", "secret_key": "$UNSET_X"}}'
    )
    assert run(["flow", "doctor", str(tmp_path)]) == 0
    assert "0 errors, 2 warnings" in out()[0]


def test_doctor_gives_one_json_document(tmp_path: Path, out: Out) -> None:
    (tmp_path / "a.ygtc").write_text(BROKEN)
    for arguments in (["--json"], ["--format", "json"]):
        assert run(["flow", "doctor", str(tmp_path), *arguments]) == 1
        found = document(out)
        assert {key: found[key] for key in ("ok", "flow_files", "errors", "warnings")} == {
            "ok": False,
            "flow_files": 1,
            "errors": 1,
            "warnings": 0,
        }
        (problem,) = found["problems"]
        assert problem["path"] == ["nodes", 0, "type"]
        assert (problem["line"], problem["column"]) == (6, 22)


def test_doctor_speaks_to_workflows(tmp_path: Path, out: Out) -> None:
    (tmp_path / "a.ygtc").write_text(BROKEN)
    assert run(["flow", "doctor", str(tmp_path), "--format", "github"]) == 1
    assert out()[0].startswith(f"::error file={tmp_path}/a.ygtc,line=6,col=22,")


def test_doctor_names_files_as_the_caller_does(
    tmp_path: Path, out: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flows").mkdir()
    (tmp_path / "greentic.demo.yaml").write_text('name: a\nversion: "1"\n')
    (tmp_path / "flows" / "a.ygtc").write_text(BROKEN)
    monkeypatch.chdir(tmp_path)
    for path in (".", "flows", "flows/a.ygtc"):
        assert run(["flow", "doctor", path]) == 1
        assert out()[0].startswith("flows/a.ygtc:6:22:")


def test_doctor_examines_all_paths(tmp_path: Path, out: Out) -> None:
    (tmp_path / "a.ygtc").write_text(BROKEN)
    arguments = ["flow", "doctor", str(tmp_path), str(EXAMPLES / "orders"), str(tmp_path / "no")]
    assert run(arguments) == 1
    assert "2 flow files, 2 errors" in out()[0]


def test_graph_draws_even_broken_flows(tmp_path: Path, out: Out) -> None:
    (tmp_path / "a.ygtc").write_text(BROKEN)
    assert run(["flow", "graph", str(tmp_path)]) == 0
    assert out()[0].startswith("%% a\nflowchart TD\n")
    assert run(["flow", "graph", str(tmp_path), "--format", "dot"]) == 0
    assert out()[0].startswith('digraph "a" {')
    assert run(["flow", "graph", str(tmp_path), "--json"]) == 0
    assert document(out)["flows"][0]["name"] == "a"


def test_graph_without_a_flow_is_an_error(tmp_path: Path, out: Out) -> None:
    assert run(["flow", "graph", str(tmp_path)]) == 1
    assert run(["flow", "graph", str(EXAMPLES / "tour"), "--flow", "nope"]) == 1
    assert "no flow 'nope'" in out()[1]
    assert run(["flow", "graph", str(EXAMPLES / "tour"), "--flow", "github"]) == 0
    assert out()[0].count("flowchart") == 1


# ── init ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("verb", ["init", "wizard"])
def test_init_writes_a_bundle_that_works(verb: str, tmp_path: Path, out: Out) -> None:
    folder = tmp_path / "new"
    assert run([verb, str(folder), "--json"]) == 0
    written = document(out)
    assert written["template"] == "orders"
    assert all((folder / name).is_file() for name in written["files"])
    assert run(["flow", "doctor", str(folder)]) == 0


def test_init_never_writes_over_anything(tmp_path: Path, out: Out) -> None:
    (tmp_path / "README.md").write_text("mine")
    assert run(["init", str(tmp_path)]) == 1
    assert "already has README.md" in out()[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "mine"


def test_init_knows_its_templates(tmp_path: Path, out: Out) -> None:
    assert run(["init", str(tmp_path / "x"), "--template", "order"]) == 1
    assert "did you mean 'orders'?" in out()[1]
    assert run(["init", str(tmp_path / "x"), "--template", "reports"]) == 0
    assert "greentic-events start" in out()[0]


@pytest.mark.parametrize("example", ["orders", "reports", "tour"])
def test_templates_are_the_examples(example: str) -> None:
    folder = EXAMPLES / example
    files = {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and ".greentic" not in path.parts
    }
    assert template_texts(example) == files


# ── event ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["De.mo", "a.b"], "actors.invalid_subject"),
        (["demo", "A.b"], "actors.invalid_event"),
        (["demo", "a.b", "{"], "actors.invalid_event"),
        (["demo", "a.b", "NaN"], "actors.invalid_event"),
        (["demo", "a.b", "@/no/such/file"], "cli.refused"),
        (["demo", "a.b", "{}", "--secret", "$UNSET_X"], "cli.refused"),
        (["demo", "a.b", "{}", "--url", "nonsense"], "cli.refused"),
        (["demo", "a.b", "{}", "--data", "/no/such/folder"], "cli.refused"),
    ],
)
def test_send_refuses_before_anything_is_sent(arguments: list[str], code: str, out: Out) -> None:
    assert run(["event", "send", *arguments, "--json"]) == 1
    assert document(out)["error"]["code"] == code


def test_send_to_nobody_ends_with_4(out: Out) -> None:
    assert run(["event", "send", "demo", "a.b", "{}", "--url", "http://127.0.0.1:1"]) == 4
    assert "does not answer" in out()[1]


def test_tail_without_a_server_says_what_to_do(tmp_path: Path, out: Out) -> None:
    assert run(["event", "tail", "demo", "--data", str(tmp_path)]) == 1
    assert "--nats-url" in out()[1]


# ── doctor ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def free_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENTIC_PORT", "0")
    monkeypatch.setenv("GREENTIC_ADMIN", "127.0.0.1:0")


@pytest.mark.usefixtures("free_ports")
def test_doctor_of_a_good_bundle_is_ready(tmp_path: Path, out: Out) -> None:
    shutil.copytree(EXAMPLES / "orders", tmp_path / "b")
    assert run(["doctor", str(tmp_path / "b"), "--json"]) == 0
    found = document(out)
    assert (found["ok"], found["problems"]) == (True, [])
    assert {check["name"] for check in found["checks"]} >= {"python", "nats-server", "port"}
    assert found["settings"]["env"] == "dev"
    assert run(["doctor", str(tmp_path / "b")]) == 0
    assert "setting  server.host = 127.0.0.1" in out()[0]


@pytest.mark.usefixtures("free_ports")
def test_doctor_of_a_bad_bundle_is_not(tmp_path: Path, out: Out) -> None:
    assert run(["doctor", str(tmp_path)]) == 1
    assert "this is no bundle" in out()[0]


@pytest.mark.usefixtures("free_ports")
def test_doctor_of_this_machine_needs_no_bundle(
    tmp_path: Path, out: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["doctor"]) == 0
    assert "python" in out()[0]
