"""`run list` and `run show` read the history of a data folder, though NATS does not run."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from app.cli.exit_codes import FAILED, OK
from app.cli.history_place import find_history
from app.cli.main import run
from app.cli.reach import Reach
from app.errors import CommandError
from app.history.store.opening import open_history
from app.history.store.rows import row_of

NOBODY = ("--nats-url", "nats://u:p@127.0.0.1:1")
STEP = {"step": "one", "node": "script", "at_ms": 1, "took_us": 2, "outcome": "done"}


def a_record(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "tenant": "demo", "run_id": f"run{number}", "flow": "take", "flow_version": "v1",
        "status": "completed", "event_id": f"e{number}", "event_type": "order.created",
        "trigger": "event:1", "parent_run_id": None, "correlation_id": None, "started_ms": number,
        "finished_ms": number + 5, "attempt": 1, "error": None, "output": {"n": number},
        "path": ["one"], "steps": [STEP], **fields,
    }  # fmt: skip


async def write(url: str, *records: dict[str, Any]) -> None:
    store = await open_history(url)
    rows = [row_of(record, 0, number, 0) for number, record in enumerate(records, 1)]
    await store.write(rows)
    await store.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a history, and without a server."""
    monkeypatch.delenv("GREENTIC_DATABASE_URL", raising=False)
    folder = tmp_path / "a b" / ".greentic"
    folder.mkdir(parents=True)
    failed = {"code": "http.timeout", "node": "one", "message": "No answer"}
    asyncio.run(
        write(
            f"sqlite:///{folder}/history.db",
            a_record(1),
            a_record(2, status="failed", error=failed, correlation_id="c-1"),
            a_record(3),
            a_record(4, tenant="other"),
        )
    )
    return folder


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    capsys.readouterr()
    assert run(["run", "list", *arguments, "--json"]) == OK
    return [each["run_id"] for each in json.loads(capsys.readouterr().out)["runs"]]


def test_runs_are_listed_from_the_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ("--data", str(folder))
    assert listed(capsys, *data) == ["run3", "run2", "run1"]
    assert listed(capsys, *data, "--error", "no ANSWER", "--correlation", "c-1") == ["run2"]
    assert run(["run", "list", *data, "--limit", "2", "--json"]) == OK
    after = json.loads(capsys.readouterr().out)["next_after"]
    assert listed(capsys, *data, "--after", after) == ["run1"]
    assert listed(capsys, *NOBODY, "--database-url", f"sqlite:///{folder}/history.db") != []


def test_a_run_is_shown_from_the_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ("--data", str(folder))
    assert run(["run", "show", "run2", *data, "--json"]) == OK
    seen = json.loads(capsys.readouterr().out)
    assert (seen["state"], seen["journal_entries"]) == ("ended", None)
    assert seen["record"]["steps"][0]["outcome"] == "done"
    assert seen["record"]["output"] == {"n": 2}
    assert run(["run", "show", "run2", *data]) == OK
    assert "+1 ms" in capsys.readouterr().out
    assert run(["run", "show", "run4", *data]) == FAILED
    assert "there is no nats.json" in capsys.readouterr().err


def test_streams_are_read_when_they_are_asked_for_or_the_env_is_another(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options in (("--streams",), ("--env", "prod")):
        assert run(["run", "list", "--data", str(folder), *options]) == FAILED
        assert "there is no nats.json" in capsys.readouterr().err


# ── Which history ────────────────────────────────────────────────────────────────────────────

POSTGRES = "postgresql://user:hunter2@host/db"


def test_history_is_looked_for_where_start_would(folder: Path, tmp_path: Path) -> None:
    here = Reach(data=folder)
    assert find_history(here, None, {}) == f"sqlite:///{tmp_path}/a%20b/.greentic/history.db"
    assert find_history(Reach(data=tmp_path), None, {}) is None
    assert find_history(here, None, {"GREENTIC_DATABASE_URL": POSTGRES}) == POSTGRES
    assert find_history(here, "sqlite:///x", {"GREENTIC_DATABASE_URL": POSTGRES}) == "sqlite:///x"
    elsewhere = Reach(nats_url="nats://host")
    assert find_history(elsewhere, None, {"GREENTIC_DATA_DIR": str(folder)}) is None
    assert find_history(elsewhere, None, {"GREENTIC_DATABASE_URL": POSTGRES}) == POSTGRES
    (folder.parent / "greentic.toml").write_text(f'[history]\ndatabase_url = "{POSTGRES}"\n')
    assert find_history(here, None, {}) == POSTGRES


def test_a_wrong_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(CommandError) as caught:
        find_history(Reach(), "mysql://user:hunter2@host/db", {})
    assert "hunter2" not in str(caught.value)
