"""Secrets leave the process in the calls they are for, and in nothing else (SPEC 5).

A real program at its most talkative, a service that gives back all it hears in every way, providers
with credentials, flows that try to publish what they got, and commands that show it. Then all that
left the process is searched for every form of every secret: logs, answers, pages, output, what NATS
keeps, and the files of the data folder.
"""

import asyncio
import hashlib
import hmac
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import nats
import pytest

from app.cli.auditing import cli_who
from app.cli.setup_store import open_store
from app.settings.loading import load_settings
from app.stores.secrets import BUNDLE_SCOPE
from tests.support import canaries
from tests.support.canaries import leaks_in
from tests.support.echo_server import EchoServer, an_echo_server
from tests.support.programs import (
    ROOT,
    RunningProgram,
    nats_credentials,
    running_program,
    write_bundle,
)

pytestmark = pytest.mark.e2e

CLOSED_PORT = 1
ADDRESSES = 12
SETTLE_SECONDS = 25.0

BASIC = {"type": "basic", "username": canaries.USER, "password": "{{secrets.PLAIN}}"}
SHORT_BASIC = {"type": "basic", "username": canaries.USER, "password": "{{secrets.SHORT}}"}
BEARER = {"type": "bearer", "token": "{{secrets.PLAIN}}"}
EVERYWHERE = {
    "method": "POST",
    "headers": {"X-Key": "{{secrets.PLAIN}}", "X-Mounted": "k={{secrets.MOUNTED}}"},
    "query": {"hard": "{{secrets.HARD}}", "v": "{{secrets.VARIABLE}}", "pin": "{{secrets.SHORT}}"},
    "body": {"all": "{{secrets.PEM}} {{secrets.HARD}}", "one": "{{secrets.SHORT}}"},
}
SENDGRID, TWILIO, SMTP = "events-email-sendgrid", "events-sms-twilio", "events-email-smtp"


def calls(urls: Iterator[str]) -> dict[str, dict[str, Any]]:
    """Give the configs of calls that answer, and of those that fail, each in its own way.

    Each failing one has an address of its own, or one's circuit would keep the others from trying.
    """
    url = next(urls)

    def at(way: str) -> str:
        return f"{next(urls)}/{way}?in=url-{{{{secrets.PLAIN}}}}"

    account = {"headers": {"Content-Type": "application/json"}, "body": "{{secrets.ACCOUNT}}"}
    return {
        "echo": {"url": f"{url}/echo/{{{{secrets.PLAIN}}}}", "auth": BASIC, **EVERYWHERE},
        "bearer": {"url": f"{url}/echo", "auth": BEARER},
        "pin": {"url": f"{url}/echo", "auth": SHORT_BASIC, "body": "{{secrets.SHORT}}"},
        "account": {"url": f"{url}/echo", "method": "POST", **account},
        "fail": {"url": at("fail"), "auth": BASIC, **EVERYWHERE, "query": None},
        "busy": {
            "url": at("busy"),
            "retry": {"max_retries": 1, "backoff": "fixed", "initial_ms": 1000},
        },
        "moved": {"url": at("moved"), "query": {"hard": "{{secrets.HARD}}"}},
        "refused": {"url": f"http://127.0.0.1:{CLOSED_PORT}/{{{{secrets.PLAIN}}}}", "auth": BASIC},
        "slow": {"url": at("slow"), "timeout": 300},
        "drop": {"url": at("drop"), **EVERYWHERE},
        "noise": {"url": at("noise"), **EVERYWHERE},
        "tls": {"url": at("tls").replace("http://", "https://"), "auth": BASIC},
        "host": {"url": "http://{{secrets.HOST}}.example/", "timeout": 1000},
        "bad-url": {"url": "ftp://{{secrets.PLAIN}}/{{secrets.HARD}}"},
        "bad-login": {"url": "http://{{secrets.PLAIN}}:{{secrets.PLAIN}}@127.0.0.1/"},
        "bad-port": {"url": "http://127.0.0.1:{{secrets.PLAIN}}/"},
        "bad-header": {"url": url, "headers": {"X": "{{secrets.PEM}}"}},
        "bad-method": {"url": url, "method": "{{secrets.PLAIN}}"},
        "bad-token": {"url": url, "auth": {"type": "bearer", "token": "{{secrets.PEM}}"}},
        "bad-date": {"url": url, "body": "{{formatDate secrets.PLAIN 'YYYY'}}"},
        "missing": {"url": url, "body": "{{secrets.PLAIN}} {{secrets.NOWHERE}}"},
    }


def actions() -> dict[str, dict[str, Any]]:
    """Give the configs of actions: with the providers' own credentials, and with flows' secrets."""
    mail = {"action": "send", "to": "boss@example.org", "subject": "s", "content": "c"}
    return {
        "sendgrid": {"provider": SENDGRID, **mail},
        "sendgrid-bad": {"provider": SENDGRID, **mail, "to": "{{secrets.PLAIN}}"},
        "smtp": {"provider": SMTP, **mail},
        "smtp-bad": {"provider": SMTP, **mail, "to": "{{secrets.HARD}}"},
        "twilio": {"provider": TWILIO, "action": "send", "to": "+15005550009", "body": "b"},
        "twilio-bad": {
            "provider": TWILIO,
            "action": "send",
            "to": "{{secrets.PLAIN}}",
            "body": "b",
        },
    }


def a_flow(name: str, node: dict[str, Any], *, is_bare: bool = False) -> str:
    """Write a flow that calls and then tells everybody what it got, by every node there is.

    A bare one has no way out of a failure: the failure's own text becomes the dead letter's.
    """
    got = "{{json call}} {{json http_response}} {{http_response.body.within}} {{json error}}"
    nodes = [
        {"id": "call", **node, "next": "log", **({} if is_bare else {"on_error": "log"})},
        {"id": "log", "type": "log", "config": {"message": got}, "next": "keep"},
        {
            "id": "keep",
            "type": "state",
            "config": {"action": "set", "key": name, "value": "{{call}}"},
            "next": "tell",
        },
        {
            "id": "tell",
            "type": "event",
            "config": {"event_type": "leak.tried", "payload": {"got": "{{call}}", "text": got}},
            "next": "answer",
        },
        {"id": "answer", "type": "http_response", "config": {"body": got}, "next": "fail"},
        {"id": "fail", "type": "error", "config": {"message": got}},
    ]
    document = {
        "name": name,
        "version": "1",
        "triggers": [{"type": "event", "event_type": f"try.{name}", "target": "call"}],
        "nodes": nodes,
    }
    return json.dumps(document)


def write_everything(root: Path, echo: EchoServer) -> Path:
    flows = {
        name: {"type": "http", "config": config} for name, config in calls(iter(echo.urls)).items()
    }
    flows |= {name: {"type": "event", "config": config} for name, config in actions().items()}
    texts = {name: a_flow(name, node) for name, node in flows.items()}
    for name in ("refused", "slow", "host", "bad-port", "twilio-bad"):
        texts[f"bare-{name}"] = a_flow(f"bare-{name}", flows[name], is_bare=True)
    bundle = write_bundle(root / "bundle", texts)
    (bundle / "greentic.toml").write_text(
        f"""
[logging]
level = "debug"
[security]
allow_private = {json.dumps([*echo.places, f"127.0.0.1:{CLOSED_PORT}", "127.0.0.1:80"])}
[secrets]
directory = "{root / "mounted"}"
environment_prefix = "ZOO_TENANT_"
environment_names = {{demo = ["VARIABLE"]}}
"""
    )
    (root / "mounted" / "demo").mkdir(parents=True)
    (root / "mounted" / "demo" / "MOUNTED").write_text(canaries.MOUNTED + "\n")
    (bundle / "answers.json").write_text(json.dumps(answers()))
    return bundle


def answers() -> dict[str, Any]:
    """Give the options of the providers; what is secret stands in the store."""

    def secret(name: str) -> dict[str, str]:
        assert name in canaries.PROVIDER_SECRETS
        return {"$secret": name}

    return {
        "events-webhook": {
            "secret_header": "x-sig",
            "secret_key": secret("events-webhook.secret_key"),
            "sync_timeout_ms": 3000,
        },
        SENDGRID: {
            "api_key": secret(f"{SENDGRID}.api_key"),
            "from_email": "a@example.org",
            "inbound_parse": {"token": secret(f"{SENDGRID}.inbound_parse.token")},
        },
        SMTP: {
            "host": "localhost",
            "username": "robot",
            "password": secret(f"{SMTP}.password"),
            "tls": "none",
            "from_email": "a@example.org",
        },
        TWILIO: {
            "account_sid": "AC" + "0a" * 16,
            "auth_token": secret(f"{TWILIO}.auth_token"),
            "from_number": "+15005550006",
        },
    }


# ── What leaves the process ──────────────────────────────────────────────────────────────────


@dataclass
class Outside:
    """Everything that somebody else got to see."""

    texts: list[tuple[str, bytes]] = field(default_factory=list)

    def saw(self, place: str, data: bytes | str) -> None:
        self.texts.append((place, data if isinstance(data, bytes) else data.encode()))

    def saw_answer(self, place: str, answer: httpx.Response) -> None:
        self.saw(place, f"{answer.status_code} {answer.headers!r} {answer.text}")

    def leaks(self) -> list[str]:
        return [leak for place, data in self.texts for leak in leaks_in(data, place=place)]

    def text_of(self, place: str) -> str:
        return b"".join(data for name, data in self.texts if name.startswith(place)).decode(
            "utf-8", "replace"
        )


def the_environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GREENTIC_")}
    return kept | dict(canaries.FLOW_SECRETS)


@asynccontextmanager
async def a_command(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli.main", *arguments,
        cwd=ROOT,
        env=the_environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def command(outside: Outside, *arguments: str) -> str:
    async with a_command(*arguments) as process:
        said, _ = await process.communicate()
    outside.saw(" ".join(arguments[:2]), said)
    return said.decode()


async def post(
    client: httpx.AsyncClient, program: RunningProgram, name: str, *, key: str = canaries.HOOK
) -> httpx.Response:
    body = b"{}"
    signature = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    return await client.post(
        f"{program.url}/events/webhook/demo/try.{name}",
        content=body,
        headers={"x-sig": signature, "content-type": "application/json"},
    )


async def everything_nats_has(bundle: Path, outside: Outside) -> dict[str, int]:
    """Read all streams but that of the sealed secrets; give how many messages each holds."""
    given = nats_credentials(bundle / ".greentic")
    client = await nats.connect(given["url"], user=given["user"], password=given["password"])
    counts: dict[str, int] = {}
    try:
        jetstream = client.jetstream()
        for info in await jetstream.streams_info():
            name = info.config.name or ""
            counts[name] = 0
            outside.saw(f"nats {name}", str(info.as_dict()))
            for sequence in range(max(1, info.state.first_seq), info.state.last_seq + 1):
                try:
                    message = await jetstream.get_msg(name, sequence)
                except nats.js.errors.NotFoundError:
                    continue
                counts[name] += 1
                outside.saw(f"nats {name}", f"{message.subject} {message.headers}".encode())
                if not name.startswith("KV_secrets"):
                    outside.saw(f"nats {name}", b"\n%b\n" % (message.data or b""))
    finally:
        await client.close()
    return counts


def everything_on_disk(folder: Path, outside: Outside) -> None:
    """Read the data folder, the sealed bucket with it: no value is there in any form."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "secret.key":
            outside.saw(f"disk {path.relative_to(folder)}", path.read_bytes())


async def store_secrets(bundle: Path) -> None:
    settings = load_settings(bundle / "greentic.toml", {}, {})
    async with open_store(settings, bundle) as desk:
        for name, value in canaries.FLOW_SECRETS.items():
            await desk.set(cli_who(), "demo", name, value)
        for name, value in canaries.PROVIDER_SECRETS.items():
            await desk.set(cli_who(), BUNDLE_SCOPE, name, value)


async def try_everything(program: RunningProgram, names: Sequence[str], outside: Outside) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        answered = await asyncio.gather(*(post(client, program, name) for name in names))
        for name, answer in zip(names, answered, strict=True):
            assert answer.status_code in (200, 202, 502), answer.text
            outside.saw_answer(f"answer {name}", answer)
        outside.saw_answer("refused", await post(client, program, "echo", key="wrong"))
        parse = f"{program.url}/webhooks/sendgrid/demo/inbound?token={canaries.PLAIN[:5]}"
        outside.saw_answer("refused", await client.post(parse, content=b"x"))
        # Every failed run has become a dead letter.
        async with asyncio.timeout(SETTLE_SECONDS):
            while True:
                page = await client.get(f"{program.where['admin']}/metrics")
                ended = [
                    line
                    for line in page.text.splitlines()
                    if line.startswith("greentic_dead_letters_total{")
                ]
                if sum(float(line.rpartition(" ")[2]) for line in ended) >= len(names):
                    break
                await asyncio.sleep(0.2)
        admin = str(program.where["admin"])
        for path in ("metrics", "ready", "health", "api/v1/dead-letters"):
            outside.saw_answer(path, await client.get(f"{admin}/{path}"))
            outside.saw_answer(path, await client.get(f"{program.url}/{path}"))


async def try_commands(bundle: Path, outside: Outside) -> None:
    data = str(bundle / ".greentic")
    listed = await command(outside, "dead-letter", "list", "--data", data, "--json")
    letters = [letter["letter_id"] for letter in json.loads(listed)["letters"]]
    flow = ["--secret-env", "PLAIN", "--secret-env", "HARD", "--secret-env", "PEM"]
    await asyncio.gather(
        *(
            command(outside, "dead-letter", "show", letter, "--data", data)
            for letter in letters[:2]
        ),
        command(outside, "flow", "run", str(bundle), "--flow", "fail", *flow, "--json"),
        command(outside, "flow", "run", str(bundle), "--flow", "bare-bad-port", *flow),
        command(outside, "secret", "list", "demo", "--data", data),
        command(outside, "secret", "rekey", "--data", data),
    )


async def test_no_secret_is_seen_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_TENANT_DEMO_VARIABLE", canaries.VARIABLE)
    outside = Outside()
    async with an_echo_server(ADDRESSES) as echo:
        bundle = write_everything(tmp_path, echo)
        await store_secrets(bundle)
        names = sorted(path.stem for path in (bundle / "flows").iterdir())
        tail = ("event", "tail", "demo", ">", "--data", str(bundle / ".greentic"), "--json")
        async with running_program(bundle, tmp_path / "log", "--dev") as program:
            async with a_command(*tail) as tailing:
                assert tailing.stdout is not None
                assert b"listening" in await tailing.stdout.readline()
                await try_everything(program, names, outside)
                await try_commands(bundle, outside)
                tailing.terminate()
                said, _ = await tailing.communicate()
                outside.saw("event tail", said)
            counts = await everything_nats_has(bundle, outside)
            everything_on_disk(bundle / ".greentic", outside)
        outside.saw("log", (tmp_path / "log").read_bytes())
        check_that_it_happened(echo, outside, counts)
    leaks = outside.leaks()
    assert not leaks, "\n".join(leaks[:40])


def check_that_it_happened(echo: EchoServer, outside: Outside, counts: dict[str, int]) -> None:
    """The calls carried the secrets, and what they brought was shown: else all of this is vain."""
    heard = b"\n".join(echo.heard)
    for value in ("PLAIN", "SHORT", "ACCOUNT"):
        assert canaries.FLOW_SECRETS[value].encode() in heard, value
    assert canaries.MOUNTED.encode() in heard
    assert canaries.VARIABLE.encode() in heard
    assert counts["AUDIT-dev"] >= len(canaries.FLOW_SECRETS)
    for place in ("log", "answer echo", "nats JOURNAL", "nats EVENTS", "nats DEAD", "event tail"):
        assert "[secret]" in outside.text_of(place), place
    check_what_steps_show(outside.text_of("nats RUNS"))


def check_what_steps_show(records: str) -> None:
    """Records show what steps had and gave: what came back cleaned, and of calls with secrets no
    word of what they were filled in with."""
    arrays = [json.loads(line) for line in records.splitlines() if line.startswith("[{")]
    steps = [step for array in arrays for record in array for step in record["steps"]]
    calls = [step for step in steps if step["step"] == "call"]
    assert any("[secret]" in json.dumps(step["output"]) for step in calls if "output" in step)
    shown = [step["input"] for step in calls if "input" in step]
    assert {item["provider"] for item in shown} == {SENDGRID, SMTP, TWILIO}
    assert any("input" in step for step in steps if step["step"] == "tell")
