"""`apply`, `diff`, `rollback`, `promote` and `deployment …` on a real server."""

import asyncio
import io
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from app.bundle.archive import open_archive
from app.bus.server_folder import Endpoint
from app.cli.exit_codes import FAILED, OK, REFUSED, USAGE
from app.cli.main import run
from app.control.control import Control
from app.control.credentials import ensure_credential_buckets
from app.control.names import leases_bucket
from app.fleet.report import WorkerReport, worker_key
from app.stores.kv import KvBucket
from tests.support.bus import connected
from tests.support.deployments import a_flow

pytestmark = pytest.mark.server

SECRET = "events-webhook.secret_key"
CANARY = "canary-91c0-7d"
Command = Callable[..., int]


def write_bundle(folder: Path, version: str = "1", flows: Mapping[str, str] | None = None) -> Path:
    """Write a bundle with a secret from the environment, for two tenants."""
    (folder / "flows").mkdir(parents=True, exist_ok=True)
    manifest = {"name": "shop", "version": version, "tenants": {"acme": {}, "beta": {}}}
    (folder / "greentic.demo.yaml").write_text(json.dumps(manifest))
    options = {"secret_header": "x-sig", "secret_key": "$SHOP_SECRET"}
    (folder / "answers.json").write_text(json.dumps({"events-webhook": options}))
    for name, text in (flows or {"take": a_flow("take")}).items():
        (folder / "flows" / f"{name}.ygtc").write_text(text)
    return folder


@pytest.fixture
def make_env(nats_server: Endpoint) -> Callable[[str], None]:
    """Make an env as its first start does."""

    async def make(env: str) -> None:
        async with connected(nats_server) as bus:
            await Control(bus, env).ensure([])
            await ensure_credential_buckets(bus, env)

    return lambda env: asyncio.run(make(env))


@pytest.fixture
def command(
    nats_server: Endpoint,
    fresh_env: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_env: Callable[[str], None],
) -> Command:
    """Run a command in an empty folder, on the tests' server and a fresh env with two tenants."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GREENTIC_ENV", fresh_env)
    monkeypatch.setenv("SHOP_SECRET", CANARY)
    address = f"{nats_server.user}:{nats_server.password}@127.0.0.1:{nats_server.port}"
    monkeypatch.setenv("GREENTIC_NATS_URL", f"nats://{address}")

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
        return run(arguments)

    make_env(fresh_env)
    for tenant in ("acme", "beta"):
        assert call("tenant", "add", tenant) == OK
    return call


@pytest.fixture
def a_worker(nats_server: Endpoint, fresh_env: str) -> Callable[..., None]:
    """Say what a worker says of itself."""

    async def say(acknowledged: int | None, failed: dict[str, str]) -> None:
        async with connected(nats_server) as bus:
            report = WorkerReport(
                id="w1",
                host="h",
                pid=1,
                roles=("worker",),
                version="0",
                started_ms=1,
                beat=1,
                acknowledged=acknowledged,
                failed=failed,
                failures=len(failed),
                tenants=1,
                hot=(),
            )
            bucket = KvBucket(bus, leases_bucket(fresh_env))
            await bucket.put(worker_key("w1"), report.as_bytes(), ttl_seconds=30)

    return lambda acknowledged, **failed: asyncio.run(say(acknowledged, failed))


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_bundle_is_applied_to_all_its_tenants_with_their_own_secrets(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], fresh_env: str
) -> None:
    bundle = str(write_bundle(tmp_path / "shop"))
    capsys.readouterr()
    assert command("apply", bundle, "--json") == OK
    told = printed(capsys)
    assert told["env"] == fresh_env
    assert [(one["tenant"], one["outcome"]) for one in told["tenants"]] == [
        ("acme", "changed"),
        ("beta", "changed"),
    ]
    assert told["secrets"] == {"acme": [SECRET], "beta": [SECRET]}
    assert told["workers"]["acknowledged"] == told["workers"]["missing"] == []
    assert command("secret", "list", "acme", "--json") == OK
    assert printed(capsys)["secrets"] == [SECRET]
    assert command("apply", bundle) == OK
    said = capsys.readouterr().out
    assert f"acme in env {fresh_env}: deployment 1 (shop 1, 1 flow," in said
    assert "is in force already" in said
    assert CANARY not in said
    assert command("deployment", "list", "--json") == OK
    assert [one["tenant"] for one in printed(capsys)["deployments"]] == ["acme", "beta"]


def test_changed_secret_is_taken_in_without_being_asked(
    command: Command,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundle = str(write_bundle(tmp_path / "shop"))
    assert command("apply", bundle, "--tenant", "acme", "--no-wait") == OK
    monkeypatch.setenv("SHOP_SECRET", "another")
    capsys.readouterr()
    assert command("apply", bundle, "--tenant", "acme", "--no-wait", "--json") == OK
    told = printed(capsys)
    assert told["secrets"] == {"acme": [SECRET]}
    assert told["tenants"][0]["deployment"]["number"] == 2
    assert told["workers"] is None


def test_wrong_bundle_changes_nothing_for_anybody(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flows = {"take": a_flow("take"), "broken": a_flow("broken", script="let = 1")}
    bundle = str(write_bundle(tmp_path / "shop", flows=flows))
    assert command("apply", bundle) == FAILED
    assert "flows/broken.ygtc" in capsys.readouterr().err
    assert command("apply", bundle, "--dry-run") == FAILED
    capsys.readouterr()
    assert command("deployment", "list", "--json") == OK
    assert printed(capsys)["deployments"] == []
    assert command("secret", "list", "acme", "--json") == OK
    assert printed(capsys)["secrets"] == []


def test_variable_that_is_not_set_is_refused_here(
    command: Command,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SHOP_SECRET")
    assert command("apply", str(write_bundle(tmp_path / "shop"))) == FAILED
    assert "SHOP_SECRET is not set" in capsys.readouterr().err


def test_tenant_that_is_not_there_is_refused_before_any_is_changed(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_bundle(tmp_path / "shop")
    (bundle / "greentic.demo.yaml").write_text("name: shop\nversion: '1'\n")
    code = command("apply", str(bundle), "--tenant", "acme", "--tenant", "nobody")
    assert code == REFUSED
    assert "tenant add nobody" in capsys.readouterr().err
    assert command("deployment", "show", "--tenant", "acme") == REFUSED
    assert command("apply", str(bundle), "--tenant", "NOT ONE") != OK


def test_env_that_is_not_there_is_refused(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = str(write_bundle(tmp_path / "shop"))
    assert command("apply", bundle, "--env", "nowhere") == REFUSED
    assert "no env 'nowhere'" in capsys.readouterr().err


def test_dry_run_and_diff_tell_names_and_change_nothing(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_bundle(tmp_path / "shop")
    assert command("apply", str(bundle), "--tenant", "acme", "--no-wait") == OK
    write_bundle(bundle, "2", {"more": a_flow("more", "order.paid")})
    capsys.readouterr()
    assert command("apply", str(bundle), "--tenant", "acme", "--dry-run") == OK
    said = capsys.readouterr().out
    assert "  + flow more" in said
    assert "dry run" in said
    assert command("diff", str(bundle), "--tenant", "acme", "--json") == OK
    found = printed(capsys)["differences"]["acme"]
    assert found["triggers"]["added"] == ["more#1"]
    assert found["options"] == {"added": [], "removed": [], "changed": []}
    assert CANARY not in json.dumps(found)
    assert command("deployment", "show", "--tenant", "acme", "--json") == OK
    assert printed(capsys)["number"] == 1


def test_rollback_remove_and_back(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_bundle(tmp_path / "shop")
    for version in ("1", "2"):
        write_bundle(bundle, version)
        assert command("apply", str(bundle), "--tenant", "acme", "--no-wait") == OK
    capsys.readouterr()
    assert command("rollback", "--tenant", "acme", "--no-wait", "--json") == OK
    told = printed(capsys)
    assert (told["deployment"]["version"], told["deployment"]["number"]) == ("1", 3)
    assert command("deployment", "remove", "--tenant", "acme") == FAILED
    assert "--yes" in capsys.readouterr().err
    assert command("deployment", "remove", "--tenant", "acme", "--yes", "--no-wait") == OK
    assert "(nothing) in place of 3" in capsys.readouterr().out
    assert command("rollback", "--tenant", "acme", "--to", "2", "--no-wait") == OK
    assert command("deployment", "show", "--tenant", "acme") == OK
    lines = capsys.readouterr().out.splitlines()
    assert "shop 2" in lines[-6]
    assert sum("before: " in line for line in lines) == 4
    assert command("rollback", "--tenant", "acme", "--to", "77") == REFUSED
    assert "there are: 5, 3, 2, 1" in capsys.readouterr().err


def test_promotion_names_the_secrets_that_are_missing_there(
    command: Command,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    fresh_env: str,
    make_env: Callable[[str], None],
) -> None:
    bundle = write_bundle(tmp_path / "shop")
    other = f"{fresh_env}p"
    make_env(other)
    assert command("apply", str(bundle), "--tenant", "acme", "--no-wait") == OK
    assert command("tenant", "add", "acme", "--env", other) == OK
    promote = ("promote", "--tenant", "acme", "--to", other, "--no-wait")
    capsys.readouterr()
    assert command(*promote) == FAILED
    assert f"secret set acme {SECRET} --env {other}" in capsys.readouterr().err
    found = ("secret", "set", "acme", SECRET, "--env", other, "--from-env", "SHOP_SECRET")
    assert command(*found) == OK
    assert command(*promote) == OK
    assert f"acme in env {other}: deployment 1" in capsys.readouterr().out
    assert command("promote", "--tenant", "acme", "--to", fresh_env) == REFUSED
    assert command("promote", "--tenant", "acme") == USAGE


def test_archive_is_written_for_its_owner_alone_and_over_nothing(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_bundle(tmp_path / "shop")
    (bundle / "README.md").write_text("no part of it")
    file = tmp_path / "shop.zip"
    capsys.readouterr()
    assert command("deployment", "pack", str(file), str(bundle), "--json") == OK
    archive = open_archive(file.read_bytes(), printed(capsys)["bundle"])
    assert list(archive.contents) == ["answers.json", "flows/take.ygtc", "greentic.demo.yaml"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert command("deployment", "pack", str(file), str(bundle)) == FAILED
    assert "File exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("acknowledged", "failed", "told"),
    [
        pytest.param(10_000, {}, (OK, "1 worker has taken it up"), id="well"),
        pytest.param(10_000, {"acme": "no room"}, (FAILED, "run acme: no room"), id="failed"),
        pytest.param(10_000, {"beta": "no room"}, (OK, "1 worker has"), id="failed-for-another"),
        pytest.param(0, {}, (FAILED, "worker w1 has not taken it up"), id="missing"),
    ],
)
def test_exit_code_says_whether_the_workers_run_it(
    command: Command,
    capsys: pytest.CaptureFixture[str],
    a_worker: Callable[..., None],
    acknowledged: int,
    failed: dict[str, str],
    told: tuple[int, str],
) -> None:
    a_worker(acknowledged, **failed)
    bundle = str(write_bundle(Path("shop")))
    capsys.readouterr()
    code, word = told
    assert command("apply", bundle, "--tenant", "acme", "--timeout", "1") == code
    captured = capsys.readouterr()
    assert word in captured.out + captured.err
