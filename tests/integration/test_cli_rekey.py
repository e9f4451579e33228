"""`secret rekey` as an operator uses it: what it says, how it ends, and that it shows no key."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.bus.server_folder import Endpoint
from app.cli.exit_codes import FAILED, OK, SETTINGS
from app.cli.main import run
from app.settings.sealing_key import format_key
from app.stores.sealing import SealingKey

OLD, NEW = (SealingKey(bytes(range(start, start + 32))) for start in (0, 100))
CANARY = "canary-7f3a-9c"
Command = Callable[..., int]


@pytest.fixture
def command(
    nats_server: Endpoint, fresh_env: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Run a command with some keys, on the tests' server and a fresh env."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GREENTIC_ENV", fresh_env)
    address = f"{nats_server.user}:{nats_server.password}@127.0.0.1:{nats_server.port}"
    monkeypatch.setenv("GREENTIC_NATS_URL", f"nats://{address}")

    def call(*arguments: str, keys: tuple[SealingKey, ...], stdin: str = "") -> int:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        text = ",".join(format_key(key.raw) for key in keys)
        monkeypatch.setenv("GREENTIC_SECRET_KEY", text)
        return run(arguments)

    return call


def test_rotation_from_one_key_to_the_next(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("A", "B"):
        assert command("secret", "set", "acme", name, keys=(OLD,), stdin=CANARY) == OK
    capsys.readouterr()

    def report(*arguments: str) -> Any:
        assert command("secret", "rekey", "--json", *arguments, keys=(NEW, OLD)) == OK
        said = capsys.readouterr().out
        assert format_key(NEW.raw) not in said
        return json.loads(said)

    dry = report("--dry-run")
    assert (dry["resealed"], dry["is_complete"]) == (2, False)
    assert dry["keys"][1] == {"id": OLD.key_id.hex(), "records": 2, "may_be_removed": False}
    done = report()
    assert (done["resealed"], done["is_complete"], done["unopened"]) == (2, True, [])
    assert done["keys"] == [
        {"id": NEW.key_id.hex(), "records": 2, "may_be_removed": False},
        {"id": OLD.key_id.hex(), "records": 0, "may_be_removed": True},
    ]
    assert command("secret", "rekey", keys=(NEW, OLD)) == OK
    said = capsys.readouterr().out
    assert f"key {OLD.key_id.hex()} may be removed" in said
    assert command("audit", "list", "--json", keys=(NEW,)) == OK
    listed = capsys.readouterr().out
    assert '"secret.rekey"' in listed
    assert CANARY not in listed


def test_secret_of_a_lost_key_is_named(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("secret", "set", "acme", "A", keys=(OLD,), stdin=CANARY) == OK
    capsys.readouterr()
    assert command("secret", "rekey", keys=(NEW,)) == FAILED
    said = "".join(capsys.readouterr()).replace("\n", " ")
    assert f"acme A: 'A' was sealed with key {OLD.key_id.hex()}" in said
    assert "1 cannot be opened" in said


def test_no_key_is_an_error_of_the_settings(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command("secret", "rekey", keys=()) == SETTINGS
    assert command("secret", "rekey", keys=(NEW, NEW)) == SETTINGS
