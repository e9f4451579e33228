"""`tenant add|list|show|change|suspend|resume|remove` on a real server."""

import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer

from app.bus.server_folder import Endpoint
from app.cli.exit_codes import FAILED, OK, REFUSED, USAGE
from app.cli.main import run

pytestmark = pytest.mark.server

Command = Callable[..., int]


@pytest.fixture
def command(
    nats_server: Endpoint,
    fresh_env: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    """Run a command in an empty folder, on the tests' server and a fresh env."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GREENTIC_ENV", fresh_env)
    address = f"{nats_server.user}:{nats_server.password}@127.0.0.1:{nats_server.port}"
    monkeypatch.setenv("GREENTIC_NATS_URL", f"nats://{address}")

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
        return run(("tenant", *arguments))

    return call


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, answer: str) -> list[str]:
    """Answer the next question, and give what was asked."""
    asked: list[str] = []

    def prompt(text: str, **_: Any) -> str:
        asked.append(text)
        return answer

    monkeypatch.setattr(typer, "prompt", prompt)
    monkeypatch.setattr("app.cli.tenant_records._is_asked_here", lambda: True)
    return asked


def test_tenant_is_made_shown_changed_and_listed(
    command: Command, capsys: pytest.CaptureFixture[str], fresh_env: str
) -> None:
    assert command("add", "acme", "--name", "Acme Ltd", "--timezone", "Europe/Berlin") == OK
    assert "made: tenant acme" in capsys.readouterr().out
    assert command("add", "other", "--json") == OK
    assert printed(capsys)["name"] == "other"
    assert command("show", "acme", "--json") == OK
    shown = printed(capsys)
    assert (shown["env"], shown["settings"]["timezone"]) == (fresh_env, "Europe/Berlin")
    change = ("change", "acme", "--workers", "3", "--unset", "timezone", "--json")
    assert command(*change) == OK
    changed = printed(capsys)
    assert (changed["workers"], changed["settings"]["timezone"]) == (3, None)
    assert changed["revision"] > shown["revision"]
    assert command("list", "--json") == OK
    assert [one["id"] for one in printed(capsys)["tenants"]] == ["acme", "other"]
    assert command("list") == OK
    assert capsys.readouterr().out.splitlines()[0] == "acme  active  plan default  Acme Ltd"
    assert command("show", "acme") == OK
    assert "as the bundle says" in capsys.readouterr().out


def test_tenant_is_suspended_and_resumed(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("add", "acme") == OK
    capsys.readouterr()
    for verb, status in (("suspend", "suspended"), ("suspend", "suspended"), ("resume", "active")):
        assert command(verb, "acme", "--json") == OK
        assert printed(capsys)["status"] == status


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("add", "Acme"), FAILED),
        (("add", "acme", "--timezone", "Mars"), REFUSED),
        (("add", "acme", "--workers", "0"), USAGE),
        (("add", "acme", "--name", ""), REFUSED),
        (("show", "nobody"), REFUSED),
        (("change", "nobody", "--name", "x"), REFUSED),
        (("change", "nobody"), FAILED),
        (("change", "nobody", "--timezone", "UTC", "--unset", "timezone"), FAILED),
        (("change", "nobody", "--unset", "name"), USAGE),
        (("suspend", "nobody"), REFUSED),
        (("remove", "nobody", "--yes"), REFUSED),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else str(value),
)
def test_what_makes_no_sense_is_refused(
    command: Command, arguments: Sequence[str], code: int
) -> None:
    assert command(*arguments) == code


def test_plans_are_those_of_the_operators_file(
    command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command("add", "early", "--plan", "small") == OK
    assert "is not known" in capsys.readouterr().err
    (tmp_path / "greentic.toml").write_text("[plans.small]\nweight = 0.5\n")
    assert command("add", "acme", "--plan", "small") == OK
    assert "is not known" not in capsys.readouterr().err
    assert command("add", "other", "--plan", "gold") == REFUSED
    assert "there are default, small" in capsys.readouterr().err


# ── Removing ─────────────────────────────────────────────────────────────────────────────────


def test_nobody_is_removed_where_nobody_can_be_asked(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("add", "acme") == OK
    assert command("remove", "acme") == FAILED
    assert "--yes" in capsys.readouterr().err
    assert command("show", "acme", "--json") == OK
    assert printed(capsys)["status"] == "active"


@pytest.mark.parametrize("answer", ["", "y", "ACME", "other"])
def test_wrong_id_removes_nothing(
    command: Command,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
) -> None:
    assert command("add", "acme") == OK
    at_a_terminal(monkeypatch, answer)
    assert command("remove", "acme") == FAILED
    capsys.readouterr()
    assert command("show", "acme", "--json") == OK
    assert printed(capsys)["status"] == "active"


def test_removed_tenant_is_remembered_and_its_id_is_taken(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command("add", "acme", "--name", "Acme Ltd") == OK
    capsys.readouterr()
    asked = at_a_terminal(monkeypatch, " acme\n")
    assert command("remove", "acme", "--json") == OK
    told = capsys.readouterr()
    assert len(asked) == 1
    assert "Acme Ltd" in told.err
    assert "secrets" in told.err
    removed = json.loads(told.out)
    assert removed["status"] == "deleted"
    assert command("remove", "acme", "--json") == OK
    assert printed(capsys)["revision"] == removed["revision"]
    assert len(asked) == 1
    assert command("add", "acme") == REFUSED
    assert "until 20" in capsys.readouterr().err
    assert command("list", "--json") == OK
    assert printed(capsys)["tenants"] == []
    assert command("list", "--deleted") == OK
    assert "its data is being removed" in capsys.readouterr().out


def test_script_removes_with_yes(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("add", "acme") == OK
    assert command("remove", "acme", "--yes") == OK
    assert "removed: tenant acme" in capsys.readouterr().out


def test_inventory_counts_what_there_is(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("inventory", "acme", "--json") == OK
    nothing = printed(capsys)
    assert not any({**nothing["counts"], **nothing["kept"]}.values())
    assert command("add", "acme") == OK
    assert command("key", "add", "acme", "--name", "app", "--scope", "tenant-read") == OK
    capsys.readouterr()
    assert command("inventory", "acme", "--json") == OK
    found = printed(capsys)
    assert {store: count for store, count in found["counts"].items() if count} == {"api_keys": 1}
    assert found["kept"] == {"audit": 2, "tenants": 1}
    assert command("inventory", "acme") == OK
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["tenant", "acme:", "in", "the", "stores"],
        ["API", "keys", "1"],
        ["kept", "after", "a", "deletion"],
        ["entries", "of", "the", "audit", "log", "2"],
        ["its", "record,", "or", "its", "tombstone", "1"],
    ]
    assert command("inventory", "Acme") != OK
