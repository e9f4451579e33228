"""Commands through the API, with the real program: they end as they do on NATS itself."""

import json
import time
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
    flows = {"take": a_flow("take"), "fail": a_flow("fail", "bad.thing", script="throw 'no'")}
    bundle = write_bundle(folder / "bundle", flows, "tenants:\n  demo: {}\n")
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


# ── Deployments ──────────────────────────────────────────────────────────────────────────────

CANARY = "$canary-91c0-7d"
SECRET = "events-webhook.secret_key"


def write_shop(folder: Path, version: str, *flows: str) -> str:
    """Write a bundle of one tenant with a secret from the environment."""
    texts = {name: a_flow(name, f"{name}.done") for name in flows}
    write_bundle(folder, texts)
    (folder / "greentic.demo.yaml").write_text(f"name: shop\nversion: '{version}'\n")
    options = {"secret_header": "$SHOP_HEADER", "secret_key": "$SHOP_SECRET"}
    (folder / "answers.json").write_text(json.dumps({"events-webhook": options}))
    return str(folder)


@pytest.fixture
def shop(call: Command, way: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Make a tenant for a shop; it is suspended afterwards."""
    monkeypatch.setenv("SHOP_SECRET", CANARY)
    monkeypatch.setenv("SHOP_HEADER", "x-sig")
    tenant = f"shop-{way}"
    assert call("tenant", "add", tenant) in (OK, REFUSED)
    yield tenant
    assert call("deployment", "remove", "--tenant", tenant, "--yes") in (OK, REFUSED)


def test_bundle_is_compared_applied_rolled_back_and_removed(
    call: Command, answer: Answer, shop: str, tmp_path: Path
) -> None:
    bundle = write_shop(tmp_path / "shop", "1", "take")
    to = ("--tenant", shop)
    found = answer("diff", bundle, *to)["differences"][shop]
    assert found["flows"]["added"] == ["take"]
    assert found["options"]["added"] == ["events-webhook.secret_header", SECRET]
    told = answer("apply", bundle, *to)
    assert told["secrets"] == {shop: [SECRET]}
    assert (told["tenants"][0]["outcome"], told["tenants"][0]["before"]) == ("changed", None)
    assert len(told["workers"]["acknowledged"]) == 1
    assert told["workers"]["missing"] == []
    digest = told["tenants"][0]["deployment"]["bundle"]
    told = answer("apply", bundle, *to, "--no-wait")
    assert (told["tenants"][0]["outcome"], told["secrets"], told["workers"]) == (
        "unchanged",
        {},
        None,
    )
    write_shop(tmp_path / "shop", "2", "take", "give")
    assert answer("apply", bundle, *to, "--dry-run")["differences"][shop]["flows"]["added"] == [
        "give"
    ]
    assert answer("apply", bundle, *to)["tenants"][0]["before"] == 1
    shown = answer("deployment", "show", *to)
    assert (shown["number"], shown["triggers"]) == (2, ["give#1", "take#1"])
    assert [each["bundle"] for each in shown["history"]] == [digest]
    assert answer("rollback", *to)["deployment"]["bundle"] == digest
    assert call("rollback", *to, "--to", "77") == REFUSED
    listed = answer("deployment", "list")
    assert {"demo", shop} <= {each["tenant"] for each in listed["deployments"]}
    assert call("deployment", "remove", *to) == FAILED
    removed = answer("deployment", "remove", *to, "--yes")
    assert (removed["deployment"]["bundle"], removed["before"]) == (None, 3)
    assert call("deployment", "show", "--tenant", "nobody") == REFUSED


def test_what_one_way_put_in_force_is_in_force_for_the_other(
    ask: Command,
    ways: Ways,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The API takes the secrets out again: what it keeps has the same digest."""
    monkeypatch.setenv("SHOP_SECRET", CANARY)
    monkeypatch.setenv("SHOP_HEADER", "$$odd")
    bundle = write_shop(tmp_path / "shop", "1", "take")
    (tmp_path / "shop" / "tenants" / "both").mkdir(parents=True)
    own = {"events-webhook": {"secret_key": "$SHOP_SECRET"}}
    (tmp_path / "shop" / "tenants" / "both" / "answers.yaml").write_text(json.dumps(own))
    assert ask("tenant", "add", "both", *ways.options("nats")) == OK
    for first, second in (("nats", "api"), ("api", "nats")):
        assert ask("apply", bundle, "--tenant", "both", *ways.options(first)) == OK
        capsys.readouterr()
        options = (*ways.options(second), "--no-wait", "--json")
        assert ask("apply", bundle, "--tenant", "both", *options) == OK
        captured = capsys.readouterr()
        told = json.loads(captured.out)
        assert (told["tenants"][0]["outcome"], told["secrets"]) == ("unchanged", {})
        assert CANARY not in captured.out + captured.err
        write_shop(tmp_path / "shop", "2", "take")


def test_wrong_bundle_is_told_of_place_by_place_and_changes_nothing(
    call: Command,
    answer: Answer,
    shop: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle = write_shop(tmp_path / "shop", "1", "take")
    (tmp_path / "shop" / "flows" / "broken.ygtc").write_text(a_flow("broken", script="let = 1"))
    assert call("apply", bundle, "--tenant", shop) == FAILED
    assert "flows/broken.ygtc" in capsys.readouterr().err
    assert call("apply", bundle, "--tenant", shop, "--json") == FAILED
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "bundle.invalid"
    (tmp_path / "shop" / "flows" / "broken.ygtc").unlink()
    assert call("apply", bundle, "--tenant", "nobody") == REFUSED


# ── Secrets and keys ─────────────────────────────────────────────────────────────────────────


def test_secret_is_stored_named_and_forgotten_and_never_shown(
    call: Command, answer: Answer, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"API_KEY_{way}"
    assert call("secret", "set", "demo", name, stdin=CANARY.encode()) == OK
    assert name in answer("secret", "list", "demo")["secrets"]
    assert call("secret", "remove", "demo", name) == OK
    assert name not in answer("secret", "list", "demo")["secrets"]
    assert call("secret", "remove", "demo", name) == REFUSED
    assert call("secret", "remove", "demo", "..") == FAILED
    captured = capsys.readouterr()
    assert CANARY not in captured.out + captured.err


def test_key_is_made_listed_rotated_and_revoked(
    call: Command, answer: Answer, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = answer("tenant", "key", "add", "demo", "--name", way, "--expires", "90d")
    assert made["key"].startswith(f"gte_{made['prefix']}_")
    assert made["expires_ms"] - made["created_ms"] == pytest.approx(90 * 86_400_000, abs=2000)
    rotated = answer("tenant", "key", "rotate", "demo", made["prefix"], "--overlap", "1h")
    assert rotated["rotated_from"] == rotated["old"]["prefix"] == made["prefix"]
    listed = answer("tenant", "key", "list", "demo")["keys"]
    assert {made["prefix"], rotated["prefix"]} <= {each["prefix"] for each in listed}
    assert made["key"] not in json.dumps(listed)
    assert [each["created_ms"] for each in listed] == sorted(each["created_ms"] for each in listed)
    revoked = answer("tenant", "key", "revoke", "demo", rotated["key"])
    assert revoked["prefix"] == rotated["prefix"]
    assert call("tenant", "key", "revoke", "demo", rotated["prefix"]) in (OK, REFUSED)
    assert call("tenant", "key", "add", "demo", "--scope", "no-such-scope") == REFUSED
    assert call("tenant", "key", "add", "demo", "--expires", "soon") == FAILED
    assert call("platform", "key", "list") == OK
    captured = capsys.readouterr()
    assert rotated["key"] not in captured.out + captured.err


# ── Events ───────────────────────────────────────────────────────────────────────────────────


def test_event_is_published(
    call: Command, answer: Answer, ask: Command, ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = answer("event", "send", "demo", "order.created", '{"total": 1.5, "big": 12345678901}')
    assert (sent["accepted"], sent["status"], sent["duplicate"]) == (True, 202, False)
    assert sent["body"]["sequence"] > 0
    assert call("event", "send", "demo", "order created") == FAILED
    monkeypatch.setenv("GREENTIC_URL", ways.admin)
    monkeypatch.setenv("GREENTIC_KEY", ways.key)
    send = ("event", "send", "demo", "order.created")
    assert ask(*send) == OK
    assert ask(*send, "--url", ways.webhooks) == OK
    assert ask(*send, "--secret", "x") == FAILED
    assert ask("event", "send", "nobody", "order.created") == REFUSED
    assert ask("event", "send", "demo", "timer.mine") == FAILED


# ── Dead letters ─────────────────────────────────────────────────────────────────────────────


def a_letter(call: Command, answer: Answer) -> str:
    """Have a run fail, and give its letter's id once it lies there."""
    event = answer("event", "send", "demo", "bad.thing", '{"canary": "payload"}')["event_id"]
    for _ in range(100):
        page = answer("dead-letter", "list", "--event-id", event)
        if page["letters"]:
            return str(page["letters"][0]["letter_id"])
        time.sleep(0.1)
    raise AssertionError("no letter came")


def test_dead_letters_are_listed_shown_replayed_and_discarded(
    call: Command, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    letter = a_letter(call, answer)
    page = answer("dead-letter", "list", "--since", "1h", "--limit", "1")
    assert [each["letter_id"] for each in page["letters"]] == [letter]
    assert call("dead-letter", "list") == OK
    assert letter in capsys.readouterr().out
    assert answer("dead-letter", "show", letter)["event"]["payload"] == {"canary": "payload"}
    assert call("dead-letter", "show", letter) == OK
    assert '"canary": "payload"' in capsys.readouterr().out
    assert call("dead-letter", "show", "nothing") == FAILED
    assert answer("dead-letter", "stat")["total"] >= 1
    report = answer("dead-letter", "replay", "--flow", "fail", "--dry-run")
    assert (report["dry_run"], report["done"]) == (True, report["chosen"])
    assert call("dead-letter", "discard", "--flow", "fail") == FAILED
    assert answer("dead-letter", "replay", letter)["done"] == 1
    letter = a_letter(call, answer)
    assert answer("dead-letter", "discard", letter, "--yes")["done"] == 1
    assert call("dead-letter", "show", letter) == FAILED


def test_all_letters_at_once_are_too_many_for_the_api(
    ask: Command, ways: Ways, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask("dead-letter", "replay", "--all", "--yes", *ways.options("api")) == FAILED
    assert "--all" in capsys.readouterr().err


# ── Workers and the audit log ────────────────────────────────────────────────────────────────


def test_workers_are_listed(answer: Answer) -> None:
    (worker,) = answer("worker", "list")["workers"]
    assert (worker["roles"] != [], worker["failed"]) == (True, {})


def test_audit_log_is_listed_and_exported(
    call: Command, answer: Answer, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ONE", "TWO"):
        assert call("secret", "set", "demo", f"{name}_{way}", stdin=b"x") == OK
    which = ("--tenant", "demo", "--action", "secret")
    page = answer("audit", "list", *which, "--limit", "1", "--since", "1h")
    (entry,) = page["entries"]
    assert (entry["action"], entry["target"]) == ("secret.set", f"TWO_{way}")
    assert entry["actor"].startswith("cli:" if way == "nats" else "key:")
    assert entry["source"] == ("cli" if way == "nats" else "platform-api")
    further = answer("audit", "list", *which, "--limit", "1", "--after", str(page["next_after"]))
    assert further["entries"][0]["target"] == f"ONE_{way}"
    assert call("audit", "export", *which) == OK
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["sequence"] for each in lines] == sorted(each["sequence"] for each in lines)
    assert entry in lines
    assert call("audit", "list") == OK
