"""Commands about what a tenant has, through the API and on NATS: the same on both ways."""

import json
import time
from pathlib import Path

import pytest

from app.cli.exit_codes import FAILED, OK, REFUSED
from tests.support.ways import Answer, Command, Ways

pytest_plugins = ["tests.support.ways_fixtures"]
pytestmark = pytest.mark.server

CANARY = "canary-91c0-7d"
WRONG_KEY = f"gte_{'a' * 8}_{'b' * 43}"


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


# ── Runs, timers, usage ──────────────────────────────────────────────────────────────────────


def test_timer_is_paused_and_resumed(
    call: Command, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    timer = {"tenant": "demo", "timer": "yearly#1"}
    assert answer("timer", "pause", "yearly") == {"timers": [{**timer, "paused": True}]}
    assert answer("timer", "resume", "yearly#1") == {"timers": [{**timer, "paused": False}]}
    for name in ("take", "yearly#2", "yearly#x"):
        assert call("timer", "pause", name) == FAILED
        assert "cli.refused" in capsys.readouterr().err


def test_run_that_nobody_has_is_cancelled_all_the_same(
    call: Command, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer("run", "cancel", "5f3c0a9b1d", "--tenant", "demo", "--reason", "withdrawn")
    assert found == {
        "run_id": "5f3c0a9b1d",
        "tenant": "demo",
        "in_hand": 0,
        "was_asleep": False,
    }
    assert call("run", "cancel", "no/run", "--tenant", "demo") == FAILED
    assert call("run", "cancel", "5f3c0a9b1d", "--tenant", "Demo") == FAILED


def test_usage_is_shown(
    ask: Command, ways: Ways, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREENTIC_KEY", ways.key)
    assert ask("tenant", "usage", "demo", "--url", ways.admin) == OK
    assert "events taken in" in capsys.readouterr().out
    assert ask("tenant", "usage", "nobody", "--url", ways.admin) == REFUSED
    assert ask("tenant", "usage", "demo", "--url", ways.admin, "--key", WRONG_KEY) == REFUSED


# ── Logins ───────────────────────────────────────────────────────────────────────────────────


def test_login_is_issued_listed_and_revoked(
    call: Command, answer: Answer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "login.nk"
    issue = ("tenant", "creds", "issue", "demo", "--output", str(file))
    made = answer(*issue, "--expires", "1h")
    assert made["expires_ms"] - made["created_ms"] == pytest.approx(3_600_000, abs=2000)
    seed = file.read_text().strip()
    assert (seed[:2], file.stat().st_mode & 0o777) == ("SU", 0o600)
    assert call(*issue) == FAILED
    listed = answer("tenant", "creds", "list", "demo")["logins"]
    assert made["id"] in {each["id"] for each in listed}
    assert answer("tenant", "creds", "revoke", "demo", made["id"])["revoked_ms"] is not None
    assert call("tenant", "creds", "revoke", "demo", "nothing") == REFUSED
    assert call("tenant", "creds", "issue", "demo", "--expires", "soon") == FAILED
    captured = capsys.readouterr()
    assert seed not in json.dumps([made, listed]) + captured.out + captured.err
