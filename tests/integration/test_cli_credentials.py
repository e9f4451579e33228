"""`secret` and `tenant key` on a real server: what is stored, and what nobody gets to see."""

import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.bus.server_folder import Endpoint, ServerFolder
from app.cli.exit_codes import FAILED, OK, REFUSED, SETTINGS, UNAVAILABLE
from app.cli.main import run
from app.stores.api_key import parse_text

CANARY = "canary-7f3a-9c"
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

    def call(*arguments: str, stdin: bytes = b"") -> int:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        return run(arguments)

    return call


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


# ── secret ───────────────────────────────────────────────────────────────────────────────────


def test_secret_is_stored_named_and_removed(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("secret", "set", "acme", "API_KEY", stdin=f"{CANARY}\n".encode()) == OK
    assert command("secret", "set", "acme", "B", stdin=b"x") == OK
    assert CANARY not in "".join(capsys.readouterr())
    assert command("secret", "list", "acme", "--json") == OK
    assert printed(capsys)["secrets"] == ["API_KEY", "B"]
    assert command("secret", "remove", "acme", "B") == OK
    assert command("secret", "remove", "acme", "B") == REFUSED
    capsys.readouterr()
    assert command("secret", "list", "acme") == OK
    assert capsys.readouterr().out == "API_KEY\n"


def test_development_keeps_its_key_in_the_data_folder(command: Command, tmp_path: Path) -> None:
    assert command("secret", "set", "acme", "K", stdin=b"v") == OK
    [path] = (tmp_path / ".greentic").iterdir()
    assert (path.name, path.stat().st_mode & 0o777) == ("secret.key", 0o600)


@pytest.mark.parametrize("source", ["--from-env", "--from-file"])
def test_value_comes_from_a_variable_or_a_file(
    command: Command, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_VALUE", CANARY)
    (tmp_path / "value").write_text(CANARY)
    given = "THE_VALUE" if source == "--from-env" else str(tmp_path / "value")
    assert command("secret", "set", "acme", "K", source, given) == OK


@pytest.mark.parametrize(
    "arguments",
    [
        ("acme", "K", "--from-env", "NOT_SET"),
        ("acme", "K", "--from-file", "nowhere"),
        ("acme", "K", "--from-env", "HOME", "--from-file", "x"),
        ("acme", "no name"),
        ("Acme", "K"),
        ("_other", "K"),
        ("acme", "K"),
    ],
)
def test_wrong_secret_is_refused(command: Command, arguments: Sequence[str]) -> None:
    assert command("secret", "set", *arguments, stdin=b"") == FAILED


def test_value_that_is_no_text_is_refused(command: Command) -> None:
    assert command("secret", "set", "acme", "K", stdin=b"\xff\xfe") == FAILED
    assert command("secret", "set", "acme", "K", stdin=b"x" * 70_000) == FAILED


def test_prod_without_a_key_is_told_how_to_make_one(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    code = command("secret", "set", "acme", "K", "--env", "prod", stdin=b"v")
    assert code == SETTINGS
    assert "openssl rand -base64 32" in capsys.readouterr().err


def test_key_file_of_the_bundles_settings_is_found(command: Command, tmp_path: Path) -> None:
    (tmp_path / "greentic.toml").write_text('[secrets]\nkey_file = "/nonexistent"\n')
    assert command("secret", "set", "acme", "K", stdin=b"v") == SETTINGS


def test_without_a_running_server_it_says_so(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ServerFolder(tmp_path / "data")
    folder.prepare()
    assert command("secret", "list", "acme", "--data", str(tmp_path / "data")) == FAILED
    folder.write_endpoint(Endpoint("nats://127.0.0.1:1", "u", "p"))
    assert command("secret", "list", "acme", "--data", str(tmp_path / "data")) == UNAVAILABLE
    assert "does not run" in capsys.readouterr().err


# ── tenant key ───────────────────────────────────────────────────────────────────────────────


def test_key_is_shown_once_listed_and_revoked(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("tenant", "key", "add", "acme", "--name", "ci", "--expires-days", "7") == OK
    out = capsys.readouterr().out.strip()
    text = parse_text(out)
    assert text is not None
    assert command("tenant", "key", "list", "acme", "--json") == OK
    [key] = printed(capsys)["keys"]
    assert (key["prefix"], key["name"], key["scopes"]) == (text.prefix, "ci", ["publish"])
    assert key["expires_ms"] - key["created_ms"] == pytest.approx(7 * 86_400_000, abs=60_000)
    assert command("tenant", "key", "list", "acme") == OK
    shown = capsys.readouterr().out
    assert text.prefix in shown
    assert text.secret not in shown
    assert command("tenant", "key", "revoke", "acme", text.prefix) == OK
    assert command("tenant", "key", "revoke", "acme", text.prefix) == REFUSED
    capsys.readouterr()
    assert command("tenant", "key", "list", "acme", "--json") == OK
    assert printed(capsys)["keys"] == []


def test_key_may_be_revoked_by_its_whole_text(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("tenant", "key", "add", "acme", "--json") == OK
    assert command("tenant", "key", "revoke", "acme", printed(capsys)["key"]) == OK


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("acme", "--scope", "everything"), REFUSED),
        (("A*",), FAILED),
        (("acme", "--name", ""), REFUSED),
    ],
)
def test_wrong_key_is_refused(command: Command, arguments: Sequence[str], code: int) -> None:
    assert command("tenant", "key", "add", *arguments) == code
