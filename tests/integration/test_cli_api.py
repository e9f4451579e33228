"""Commands through the API, with the real program: they end as they do on NATS itself."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli.exit_codes import FAILED, OK, REFUSED, UNAVAILABLE
from tests.support.deployments import a_flow
from tests.support.programs import write_bundle
from tests.support.ways import WAYS, Ways, command, running_ways

pytestmark = pytest.mark.server

Command = Callable[..., int]
Answer = Callable[..., Any]
WRONG_KEY = f"gte_{'a' * 8}_{'b' * 43}"


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    folder = tmp_path_factory.mktemp("ways")
    bundle = write_bundle(folder / "bundle", {"take": a_flow("take")}, "tenants:\n  demo: {}\n")
    with running_ways(bundle, folder / "log") as found:
        yield found


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def call(ways: Ways, way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Run a command on one of the ways."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, **more: command(monkeypatch, *arguments, *ways.options(way), **more)


@pytest.fixture
def ask(ways: Ways, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Run a command with options of its own."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, **more: command(monkeypatch, *arguments, **more)


@pytest.fixture
def answer(call: Command, capsys: pytest.CaptureFixture[str], ways: Ways) -> Answer:
    """Run a command that goes well and give its JSON; no output ever has a key in it."""

    def read(*arguments: str, **more: Any) -> Any:
        before = capsys.readouterr()
        assert call(*arguments, "--json", **more) == OK
        captured = capsys.readouterr()
        assert ways.key not in before.out + before.err + captured.out + captured.err
        return json.loads(captured.out)

    return read


STORED = (
    "id", "name", "plan", "settings", "workers", "cell", "status", "origin",
    "created_ms", "changed_ms", "deleted_ms", "purged_ms",
)  # fmt: skip


def test_tenant_is_made_shown_changed_listed_suspended_and_removed(
    call: Command, answer: Answer, way: str
) -> None:
    tenant = f"acme-{way}"
    assert call("tenant", "add", tenant, "--name", "Acme Ltd", "--timezone", "Europe/Berlin") == OK
    assert call("tenant", "add", tenant) == REFUSED
    assert call("tenant", "change", tenant, "--workers", "3", "--unset", "timezone") == OK
    assert call("tenant", "suspend", tenant) == OK
    assert call("tenant", "resume", tenant) == OK
    shown = answer("tenant", "show", tenant)
    assert (shown["name"], shown["workers"], shown["status"]) == ("Acme Ltd", 3, "active")
    assert shown["settings"] == {"timezone": None, "language": None}
    assert set(shown) == {*STORED, "env", "revision"}
    listed = answer("tenant", "list")
    assert {"demo", tenant} <= {one["id"] for one in listed["tenants"]}
    assert call("tenant", "change", tenant, "--timezone", "Mars") == REFUSED
    assert call("tenant", "remove", tenant) == FAILED
    assert call("tenant", "remove", tenant, "--yes") == OK
    assert call("tenant", "remove", tenant, "--yes") == OK
    assert call("tenant", "add", tenant) == REFUSED
    assert call("tenant", "show", "nobody") == REFUSED


# ── Keys and addresses ───────────────────────────────────────────────────────────────────────


def test_key_that_there_is_not_and_key_without_the_scope(
    ask: Command, ways: Ways, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREENTIC_URL", ways.admin)
    assert ask("tenant", "list") == FAILED
    assert "GREENTIC_KEY" in capsys.readouterr().err
    monkeypatch.setenv("GREENTIC_KEY", WRONG_KEY)
    assert ask("tenant", "list", "--json") == REFUSED
    captured = capsys.readouterr()
    assert json.loads(captured.out)["error"]["code"] == "http.api_key"
    assert WRONG_KEY not in captured.out + captured.err
    nats = ("--data", str(ways.data))
    assert ask("tenant", "key", "add", "demo", *nats, "--scope", "tenant-read", "--json") == OK
    key = json.loads(capsys.readouterr().out)["key"]
    assert ask("tenant", "show", "demo", "--key", key) == OK
    assert ask("tenant", "show", "other", "--key", key) == REFUSED
    assert "http.wrong_tenant" in capsys.readouterr().err
    assert ask("tenant", "suspend", "demo", "--key", key) == REFUSED
    captured = capsys.readouterr()
    assert "http.forbidden" in captured.err
    assert key not in captured.out + captured.err


def test_nobody_answers(
    ask: Command, ways: Ways, capsys: pytest.CaptureFixture[str], unused_tcp_port: int
) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    assert ask("tenant", "list", "--url", url, "--key-file", str(ways.key_file)) == UNAVAILABLE
    assert "does not answer" in capsys.readouterr().err
    webhooks = ("--url", ways.webhooks, "--key-file", str(ways.key_file))
    assert ask("tenant", "list", *webhooks) in (FAILED, REFUSED)


@pytest.mark.parametrize(
    "options",
    [
        ("--url", "URL", "--key", "k", "--data", "."),
        ("--key", "k", "--nats-url", "nats://127.0.0.1:1"),
        ("--url", "URL", "--key", "k", "--key-file", "there-is-none"),
        ("--url", "URL", "--key-file", "there-is-none"),
        ("--url", "URL", "--key", "k", "--env", "dev"),
        ("--url", "http://control.example.com", "--key", "k"),
        ("--url", "URL", "--key", ""),
    ],
    ids=" ".join,
)
def test_options_that_do_not_fit_are_refused(
    ask: Command, ways: Ways, options: tuple[str, ...]
) -> None:
    assert ask("tenant", "list", *(ways.admin if each == "URL" else each for each in options)) == 1


def test_nats_that_is_named_goes_before_the_variable(
    ask: Command, ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREENTIC_URL", "http://127.0.0.1:1")
    assert ask("tenant", "list", "--data", str(ways.data)) == OK
