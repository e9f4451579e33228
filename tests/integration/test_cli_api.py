"""Commands through the API, with the real program: they end as they do on NATS itself."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.cli.exit_codes import FAILED, OK, REFUSED, UNAVAILABLE
from tests.support.deployments import a_flow
from tests.support.programs import write_bundle
from tests.support.ways import Answer, Command, Ways

pytest_plugins = ["tests.support.ways_fixtures"]
pytestmark = pytest.mark.server

PATIENCE_SECONDS = 10.0
WRONG_KEY = f"gte_{'a' * 8}_{'b' * 43}"


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
    # A key that was made on NATS itself is known to a program within `following.LOOK_SECONDS`.
    assert soon(lambda: ask("tenant", "show", "demo", "--key", key) == OK)
    capsys.readouterr()
    assert ask("tenant", "show", "other", "--key", key) == REFUSED
    assert "http.wrong_tenant" in capsys.readouterr().err
    assert ask("tenant", "suspend", "demo", "--key", key) == REFUSED
    captured = capsys.readouterr()
    assert "http.forbidden" in captured.err
    assert key not in captured.out + captured.err


def soon(condition: Callable[[], bool]) -> bool:
    """Tell whether it holds within some seconds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


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
