"""What commands change stands in the audit log: who, what, and no secret."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.bus.server_folder import Endpoint
from app.cli.auditing import cli_who
from app.cli.exit_codes import FAILED, OK, REFUSED
from app.cli.main import run
from app.stores.api_key import parse_text

pytestmark = pytest.mark.server

CANARY = "canary-7f3a-9c"
Command = Callable[..., int]


@pytest.fixture
def command(
    nats_server: Endpoint, fresh_env: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


Printed = pytest.CaptureFixture[str]


def lines(command: Command, capsys: Printed, *options: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert command("audit", "export", *options) == OK
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_secrets_are_in_it_by_name_alone(command: Command, capsys: Printed) -> None:
    assert command("secret", "set", "acme", "TOKEN", stdin=CANARY.encode()) == OK
    assert command("secret", "set", "acme", "TOKEN", stdin=f"{CANARY}2".encode()) == OK
    assert command("secret", "remove", "acme", "TOKEN") == OK
    assert command("secret", "remove", "acme", "TOKEN") == REFUSED
    found = lines(command, capsys)
    assert [(each["action"], each["target"]) for each in found] == [
        ("secret.set", "TOKEN"), ("secret.set", "TOKEN"), ("secret.remove", "TOKEN")
    ]  # fmt: skip
    assert found[0]["before"] is None
    assert found[1]["before"]["revision"] < found[2]["before"]["revision"]
    assert {(each["actor"], each["source"], each["tenant"]) for each in found} == {
        (cli_who().actor, "cli", "acme")
    }
    assert CANARY not in json.dumps(found)


def test_keys_are_made_rotated_listed_and_revoked(command: Command, capsys: Printed) -> None:
    assert command("tenant", "key", "add", "acme", "--scope", "tenant-admin",
                   "--expires", "90d", "--json") == OK  # fmt: skip
    first = json.loads(capsys.readouterr().out)
    assert first["created_by"] == cli_who().actor
    assert command("tenant", "key", "rotate", "acme", first["prefix"], "--overlap", "0s") == OK
    out = capsys.readouterr().out.strip()
    second = parse_text(out)
    assert second is not None
    assert command("tenant", "key", "list", "acme") == OK
    shown = capsys.readouterr().out
    assert f"in place of {first['prefix']}" in shown
    assert "never used" in shown
    assert "ended " in shown
    assert command("tenant", "key", "revoke", "acme", out) == OK
    assert command("tenant", "key", "rotate", "acme", second.prefix) == REFUSED
    capsys.readouterr()
    assert command("tenant", "key", "list", "acme", "--revoked") == OK
    assert "revoked " in capsys.readouterr().out
    found = lines(command, capsys, "--tenant", "acme", "--action", "key")
    assert [(each["action"], each["target"]) for each in found] == [
        ("key.add", first["prefix"]), ("key.rotate", first["prefix"]),
        ("key.revoke", second.prefix),
    ]  # fmt: skip
    assert second.secret not in json.dumps(found)


def test_platform_keys_have_commands_of_their_own(command: Command, capsys: Printed) -> None:
    assert command("platform", "key", "add", "--name", "ops", "--json") == OK
    key = json.loads(capsys.readouterr().out)
    assert (key["tenant"], key["scopes"]) == ("*", ["platform-admin"])
    assert command("platform", "key", "list", "--json") == OK
    assert [each["prefix"] for each in json.loads(capsys.readouterr().out)["keys"]] == [
        key["prefix"]
    ]
    assert command("platform", "key", "rotate", key["prefix"], "--json") == OK
    assert command("platform", "key", "revoke", key["prefix"]) == OK
    assert {each["tenant"] for each in lines(command, capsys)} == {None}
    assert command("tenant", "key", "add", "acme", "--scope", "platform-admin") == REFUSED


@pytest.mark.parametrize(
    "options",
    [("--expires", "soon"), ("--expires", "9999w"), ("--expires", "9d", "--expires-days", "9")],
)
def test_wrong_times_are_refused(command: Command, options: tuple[str, ...]) -> None:
    assert command("tenant", "key", "add", "acme", *options) == FAILED


def test_owner_named_like_the_platform_is_none(command: Command) -> None:
    assert command("tenant", "key", "add", "PLATFORM") == FAILED
    assert command("tenant", "key", "add", "*") == FAILED


def test_listing_is_filtered_paged_and_readable(command: Command, capsys: Printed) -> None:
    for name in ("a", "b", "c"):
        assert command("tenant", "key", "add", "acme", "--name", name) == OK
    assert command("tenant", "key", "add", "other") == OK
    capsys.readouterr()
    assert command("audit", "list", "--tenant", "acme", "--limit", "2", "--json") == OK
    page = json.loads(capsys.readouterr().out)
    assert [each["after"]["name"] for each in page["entries"]] == ["c", "b"]
    after = str(page["next_after"])
    assert command("audit", "list", "--tenant", "acme", "--after", after) == OK
    (line,) = capsys.readouterr().out.splitlines()
    assert f"{cli_who().actor}  acme  key.add" in line
    for options in (("--since", "0s"), ("--until", "1h"), ("--actor", "key:nobody00")):
        assert command("audit", "list", *options) == OK
        assert capsys.readouterr().out == ""
    assert command("audit", "list", "--since", "soon") == FAILED
