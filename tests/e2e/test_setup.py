"""`setup`, then `start`: options in force, secrets sealed, and known to nothing but their use."""

import asyncio
import base64
import hashlib
import hmac
import http.server
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from actors.nodes.redaction import MASK
from tests.support.programs import ROOT, nats_credentials, running_program, write_bundle

WEBHOOK_SECRET = "canary-webhook-7f3a"
TENANT_SECRET = "canary-tenant-9c1d"
BODY = b'{"n":1}'
CALLING = """
name: calling
version: "1"
triggers: [{type: event, event_type: order.created, target: call}]
nodes:
  - id: call
    type: http
    config:
      url: "URL"
      method: POST
      headers: {X-Api-Key: "{{secrets.API_KEY}}"}
      body: {given: "{{secrets.API_KEY}}"}
    next: respond
"""


async def command(*arguments: str, stdin: bytes = b"", **environment: str) -> tuple[int, str]:
    """Run a command to its end; give the exit code and all that it said."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GREENTIC_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli.main", *arguments),
        cwd=ROOT,
        env={**clean, **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate(stdin)
    return process.returncode or 0, said.decode()


def answers_file(tmp_path: Path, **webhook: Any) -> str:
    path = tmp_path / "given.json"
    path.write_text(json.dumps({"events-webhook": webhook}))
    return str(path)


def signed(secret: str, body: bytes = BODY) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"content-type": "application/json", "x-sig": digest}


def files_with(text: str, *folders: Path) -> list[Path]:
    """Find the files that hold a text, in plain or as base64 and hex."""
    raw = text.encode()
    forms = (raw, base64.b64encode(raw), raw.hex().encode())
    return [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and any(form in path.read_bytes() for form in forms)
    ]


class Echo(http.server.BaseHTTPRequestHandler):
    """A service that repeats what it was sent, as tactless ones do."""

    seen: list[dict[str, str]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        type(self).seen.append(dict(self.headers))
        answer = json.dumps({"echo": json.loads(body), "headers": dict(self.headers)}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[str]:
    Echo.seen = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_secret_of_setup_is_in_force_after_start(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", {})
    given = answers_file(tmp_path, secret_header="x-sig", secret_key="$HOOK_SECRET")
    code, said = await command("setup", str(bundle), "--answers", given, HOOK_SECRET=WEBHOOK_SECRET)
    assert code == 0, said
    assert WEBHOOK_SECRET not in said
    answers = json.loads((bundle / "answers.json").read_text())
    assert answers["events-webhook"]["secret_key"] == {"$secret": "events-webhook.secret_key"}
    assert (bundle / ".greentic" / "secret.key").stat().st_mode & 0o777 == 0o600
    log = tmp_path / "log"
    async with running_program(bundle, log) as program, httpx.AsyncClient() as client:
        url = f"{program.url}/events/webhook/demo/order.created"
        taken = await client.post(url, content=BODY, headers=signed(WEBHOOK_SECRET))
        refused = await client.post(url, content=BODY, headers=signed("another"))
        assert (taken.status_code, refused.status_code) == (202, 401)
        # Set up anew while it runs: the file changes nothing but the time of its last change.
        code, said = await command(
            "setup", str(bundle), "--answers", given, HOOK_SECRET=f"{WEBHOOK_SECRET}-two"
        )
        assert code == 0, said
        async with asyncio.timeout(20):
            headers = signed(f"{WEBHOOK_SECRET}-two")
            while (await client.post(url, content=BODY, headers=headers)).status_code != 202:
                await asyncio.sleep(0.1)
        old = await client.post(url, content=BODY, headers=signed(WEBHOOK_SECRET))
        assert old.status_code == 401
    assert files_with(WEBHOOK_SECRET, bundle) == []
    assert WEBHOOK_SECRET not in log.read_text()


async def test_flows_secret_reaches_the_call_and_nothing_else(tmp_path: Path, service: str) -> None:
    bundle = write_bundle(tmp_path / "bundle", {"calling": CALLING.replace("URL", service)})
    grant = service.removeprefix("http://").rstrip("/")
    (bundle / "greentic.toml").write_text(f'[security]\nallow_private = ["{grant}"]\n')
    log, data = tmp_path / "log", bundle / ".greentic"
    async with running_program(bundle, log) as program, httpx.AsyncClient(timeout=20) as client:
        url = f"{program.url}/events/webhook/demo/order.created"
        missing = await client.post(url, json={})
        assert missing.status_code == 502
        code, said = await command(
            "secret", "set", "demo", "API_KEY", "--data", str(data), stdin=TENANT_SECRET.encode()
        )
        assert code == 0, said
        answer = await client.post(url, json={})
        assert answer.status_code == 200, answer.text
        assert nats_credentials(data)["pid"]
    [headers] = Echo.seen
    assert headers["X-Api-Key"] == TENANT_SECRET
    assert TENANT_SECRET not in answer.text
    assert TENANT_SECRET not in said
    # Events, results, run records and dead letters are all in the store's files by now.
    assert files_with(MASK, bundle), "the canary would not be seen in the store either"
    assert files_with(TENANT_SECRET, bundle) == []
    assert TENANT_SECRET not in log.read_text()


async def test_api_key_opens_the_batch_route_until_it_is_revoked(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", {})
    data = str(bundle / ".greentic")
    async with running_program(bundle, tmp_path / "log") as program, httpx.AsyncClient() as client:
        _, said = await command("tenant", "key", "add", "demo", "--data", data, "--json")
        key = json.loads(said)["key"]
        headers = {"authorization": f"Bearer {key}", "content-type": "application/x-ndjson"}
        line = b'{"event_type":"order.created","payload":{}}\n'

        async def post(tenant: str) -> int:
            url = f"{program.url}/events/batch/{tenant}"
            return (await client.post(url, content=line, headers=headers)).status_code

        async with asyncio.timeout(10):
            while await post("demo") == 401:
                await asyncio.sleep(0.1)
        assert await post("demo") < 300
        assert await post("other") >= 400
        await command("tenant", "key", "revoke", "demo", key, "--data", data)
        async with asyncio.timeout(10):
            while await post("demo") != 401:
                await asyncio.sleep(0.1)


async def test_start_with_another_key_says_what_is_wrong(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", {})
    given = answers_file(tmp_path, secret_header="x-sig", secret_key=WEBHOOK_SECRET)
    assert (await command("setup", str(bundle), "--answers", given))[0] == 0
    other = base64.b64encode(bytes(range(32))).decode()
    code, said = await command(
        *("start", str(bundle), "--port", "0", "--admin", "127.0.0.1:0"), GREENTIC_SECRET_KEY=other
    )
    assert code == 3
    assert "was sealed with key" in said
    assert WEBHOOK_SECRET not in said
    assert other not in said


async def test_bundle_on_another_machine_asks_for_setup(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", {})
    reference = {"$secret": "events-webhook.secret_key"}
    options = {"events-webhook": {"secret_header": "x-sig", "secret_key": reference}}
    (bundle / "answers.json").write_text(json.dumps(options))
    code, said = await command("start", str(bundle), "--port", "0", "--admin", "127.0.0.1:0")
    assert code == 1
    assert "greentic-events setup" in said
    assert (await command("flow", "doctor", str(bundle)))[0] == 0
