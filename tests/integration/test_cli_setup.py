"""`setup` as its user runs it: files and a terminal in, a bundle and a store out."""

import json
import os
import pty
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.bus.server_folder import Endpoint
from app.cli.exit_codes import FAILED, OK, SETTINGS
from app.cli.main import run
from tests.support.programs import ROOT

CANARY = "canary-7f3a-9c"
SID = "AC" + "a" * 32
TWILIO = {"account_sid": SID, "auth_token": "$TOKEN", "from_number": "+15550001111"}
Command = Callable[..., int]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    manifest = "name: t\nversion: '1'\nproviders: {events-webhook: {}, events-sms-twilio: {}}\n"
    (folder / "greentic.demo.yaml").write_text(manifest)
    return folder


@pytest.fixture
def set_up(
    bundle: Path, nats_server: Endpoint, fresh_env: str, monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Run `setup` on the bundle with the tests' server and a fresh env."""
    monkeypatch.setenv("GREENTIC_ENV", fresh_env)
    address = f"{nats_server.user}:{nats_server.password}@127.0.0.1:{nats_server.port}"
    monkeypatch.setenv("GREENTIC_NATS_URL", f"nats://{address}")
    monkeypatch.setenv("TOKEN", CANARY)

    def call(*arguments: str, given: Any = None) -> int:
        with_file: list[str] = []
        if given is not None:
            path = bundle.parent / "given.json"
            path.write_text(json.dumps(given))
            with_file = ["--answers", str(path)]
        return run(["setup", str(bundle), "--no-verify", *with_file, *arguments])

    return call


def answers(bundle: Path) -> Any:
    return json.loads((bundle / "answers.json").read_text())


def files(bundle: Path) -> list[str]:
    return sorted(path.name for path in bundle.iterdir())


def test_answers_are_taken_over_and_secrets_put_away(
    set_up: Command, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set_up(given={"events-sms-twilio": TWILIO}) == OK
    assert answers(bundle) == {
        "events-sms-twilio": TWILIO | {"auth_token": {"$secret": "events-sms-twilio.auth_token"}}
    }
    assert CANARY not in "".join(capsys.readouterr())
    assert set_up(given={}) == OK
    assert "nothing changes" in capsys.readouterr().out


def test_dry_run_shows_it_all_and_touches_nothing(
    set_up: Command,
    bundle: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GREENTIC_NATS_URL", "nats://127.0.0.1:1")
    before = files(bundle)
    assert set_up("--dry-run", given={"events-sms-twilio": TWILIO}) == OK
    shown = capsys.readouterr().out
    assert "would store the secret events-sms-twilio.auth_token" in shown
    assert SID in shown
    assert CANARY not in shown
    assert files(bundle) == before


def test_wrong_answers_write_nothing_and_are_all_named(
    set_up: Command, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"events-sms-twilio": {"auth_token": CANARY}, "events-webhook": {"secret_key": CANARY}}
    assert set_up("--json", given=given) == SETTINGS
    problems = json.loads(capsys.readouterr().out)["error"]["problems"]
    assert any("account_sid is missing" in problem for problem in problems)
    assert any("secret_header is missing" in problem for problem in problems)
    assert CANARY not in json.dumps(problems)
    assert not (bundle / "answers.json").exists()


def test_template_is_answered_and_taken(set_up: Command, bundle: Path) -> None:
    template = bundle.parent / "template.json"
    assert set_up("--emit-answers", str(template)) == OK
    assert set_up("--emit-answers", str(template)) == FAILED, "it must not be written over"
    document = json.loads(template.read_text())
    assert document["events-sms-twilio"]["auth_token"] == "$EVENTS_SMS_TWILIO_AUTH_TOKEN"
    document["events-sms-twilio"] |= TWILIO
    document["events-webhook"] = {"enabled": False}
    assert set_up(given=document) == OK
    assert answers(bundle)["events-sms-twilio"]["account_sid"] == SID


def test_template_carries_no_secret_of_the_bundle_along(
    set_up: Command, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signatures = {"github": {"algorithm": "github", "secret": CANARY}}
    options = {"events-webhook": {"signatures": signatures}}
    (bundle / "answers.json").write_text(json.dumps(options))
    assert set_up("--emit-answers", "-") == OK
    emitted = json.loads(capsys.readouterr().out)["events-webhook"]["signatures"]
    assert emitted["github"]["secret"] == "$EVENTS_WEBHOOK_SIGNATURES_GITHUB_SECRET"


@pytest.mark.parametrize("verifies", [True, False])
def test_service_that_objects_keeps_everything_as_it_was(
    set_up: Command, bundle: Path, capsys: pytest.CaptureFixture[str], verifies: bool
) -> None:
    with socket.socket() as closed:  # bound and not listening: nobody else takes the port
        closed.bind(("127.0.0.1", 0))
        smtp = {
            "host": "127.0.0.1", "port": closed.getsockname()[1], "tls": "none",
            "username": "u", "password": "$TOKEN", "from_email": "a@example.com",
        }  # fmt: skip
        path = bundle.parent / "given.json"
        path.write_text(json.dumps({"events-email-smtp": smtp}))
        only = ["--provider", "events-email-smtp", "--answers", str(path)]
        code = run(["setup", str(bundle), *only, *([] if verifies else ["--no-verify"])])
    shown = "".join(capsys.readouterr())
    assert CANARY not in shown
    assert code == (SETTINGS if verifies else OK), shown
    assert (bundle / "answers.json").exists() != verifies
    assert run(["secret", "list", "_bundle", "--json"]) == OK
    assert bool(json.loads(capsys.readouterr().out)["secrets"]) != verifies


def test_yaml_stays_yaml(set_up: Command, bundle: Path) -> None:
    (bundle / "answers.yaml").write_text("events-webhook: {sync_timeout_ms: 100}\n")
    assert set_up("--skip", "events-webhook", given={"events-sms-twilio": TWILIO}) == OK
    assert not (bundle / "answers.json").exists()
    text = (bundle / "answers.yaml").read_text()
    assert "sync_timeout_ms: 100" in text
    assert "$secret: events-sms-twilio.auth_token" in text


def test_one_provider_leaves_the_others_alone(set_up: Command, bundle: Path) -> None:
    options = {"events-webhook": {"sync_timeout_ms": "wrong"}}
    (bundle / "answers.json").write_text(json.dumps(options))
    given = {"events-sms-twilio": TWILIO}
    assert set_up("--provider", "events-sms-twilio", given=given) == OK
    assert answers(bundle)["events-webhook"] == options["events-webhook"]


def test_answers_bring_a_provider_that_the_bundle_does_not_name(
    set_up: Command, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {
        "events-email-smtp": {"host": "mail.example.org", "from_email": "us@example.org"},
        "events-pigeon": {},
    }
    assert set_up("--skip", "events-sms-twilio", given=given) == OK
    assert answers(bundle)["events-email-smtp"]["host"] == "mail.example.org"
    said = capsys.readouterr().err
    assert "answers for events-pigeon are not used: there is no such provider" in said
    assert set_up("--provider", "events-sms-twilio", given={"events-webhook": {}}) != OK
    assert "answers for events-webhook are not used: it is left out" in capsys.readouterr().err


def test_secret_that_nothing_refers_to_any_more_is_removed(
    set_up: Command, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signatures = {"github": {"algorithm": "github", "secret": CANARY}}
    assert set_up(given={"events-webhook": {"signatures": signatures}, **OFF}) == OK
    assert set_up(given={"events-webhook": {"signatures": {}}, **OFF}) == OK
    capsys.readouterr()
    assert run(["secret", "list", "_bundle", "--json"]) == OK
    assert json.loads(capsys.readouterr().out)["secrets"] == []


def test_secret_that_a_tenants_answers_refer_to_stays(
    set_up: Command, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signatures = {"github": {"algorithm": "github", "secret": CANARY}}
    assert set_up(given={"events-webhook": {"signatures": signatures}, **OFF}) == OK
    own = bundle / "tenants" / "demo" / "answers.json"
    own.parent.mkdir(parents=True)
    own.write_text(json.dumps({"events-webhook": answers(bundle)["events-webhook"]}))
    assert set_up(given={"events-webhook": {"signatures": {}}, **OFF}) == OK
    capsys.readouterr()
    assert run(["secret", "list", "_bundle", "--json"]) == OK
    assert len(json.loads(capsys.readouterr().out)["secrets"]) == 1


OFF = {"events-sms-twilio": {"enabled": False}}


@pytest.mark.parametrize(
    "arguments",
    [("--provider", "events-webhok"), ("--skip", "nothing"), ("--answers", "/nonexistent")],
)
def test_what_there_is_not_is_refused(set_up: Command, arguments: Sequence[str]) -> None:
    assert set_up(*arguments) == FAILED


def test_no_bundle_is_refused(tmp_path: Path) -> None:
    assert run(["setup", str(tmp_path)]) == FAILED
    assert run(["setup", str(tmp_path / "nowhere")]) == FAILED


def test_terminal_is_asked_and_secrets_are_not_echoed(set_up: Command, bundle: Path) -> None:
    del set_up  # its environment is what the subprocess needs
    conversation = [
        ("Use events-webhook?", "y"),
        ("public_base_url", "ftp://wrong"),
        ("must begin with", ""),
        ("public_base_url", "https://hooks.example.com"),
        ("secret_header", "x-sig"),
        ("secret_key: ", CANARY),  # the blank comes once nothing is echoed
        ("Use events-sms-twilio?", "n"),
    ]
    code, said = converse(["setup", str(bundle), "--no-verify"], conversation)
    assert code == OK, said
    assert CANARY not in said
    written = answers(bundle)["events-webhook"]
    assert written["public_base_url"] == "https://hooks.example.com"
    assert written["secret_key"] == {"$secret": "events-webhook.secret_key"}


def converse(arguments: Sequence[str], conversation: Sequence[tuple[str, str]]) -> tuple[int, str]:
    """Answer at a terminal: wait for each text, then type the line (an empty one types nothing)."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli.main", *arguments],
        cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True,
    )  # fmt: skip
    os.close(theirs)
    said, seen, deadline = "", 0, time.monotonic() + 30
    steps = list(conversation)
    while time.monotonic() < deadline:
        while steps and steps[0][0] in said[seen:]:
            seen = said.index(steps[0][0], seen) + len(steps[0][0])
            line = steps.pop(0)[1]
            if line:
                os.write(ours, line.encode() + b"\n")
        if not select.select([ours], [], [], 0.1)[0]:
            continue
        try:
            chunk = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        said += chunk.decode(errors="replace")
    os.close(ours)
    if time.monotonic() >= deadline:
        process.kill()
    return process.wait(10), said
