"""A provider from outside: a package of its own, installed, is a provider like ours (SPEC 6)."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.programs import running_program, write_bundle

PACKAGE = Path(__file__).parent / "fifth_provider"
LINES_MAX = 60
FLOW = """
name: alarms
version: "1"
triggers:
  - {type: event, event_type: pager.alarm, target: page}
nodes:
  - {id: page, type: event, config: {provider: events-pager, action: page, whom: "{{payload.on_call}}"}, next: tell}
  - {id: tell, type: template, config: {template: "paged {{payload.on_call}}: {{page.status}}"}, next: respond}
"""
ALARM = {"on_call": "Ada"}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the package beside everything else, as pip does, and let children see it."""
    target = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--target", str(target), str(PACKAGE)]
    subprocess.run(command, check=True, timeout=120)
    monkeypatch.setenv("PYTHONPATH", str(target))


@pytest.fixture
async def pages() -> AsyncIterator[tuple[int, list[bytes]]]:
    """The pager's own service: it keeps the bodies that it gets."""
    kept: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if b"content-length" in line)
        kept.append(await reader.readexactly(int(length.split(b":")[1])))
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], kept


async def test_an_installed_package_is_a_provider(
    installed: None, pages: tuple[int, list[bytes]], tmp_path: Path
) -> None:
    assert len((PACKAGE / "greentic_pager.py").read_text().splitlines()) < LINES_MAX
    port, kept = pages
    bundle = write_bundle(tmp_path / "bundle", {"alarms": FLOW})
    options = {"token": "s3cret", "service_url": f"http://127.0.0.1:{port}/"}
    (bundle / "answers.json").write_text(json.dumps({"events-pager": options}))
    (bundle / "greentic.toml").write_text('[security]\nallow_private = ["127.0.0.1/32"]\n')
    async with (
        running_program(bundle, tmp_path / "log") as program,
        httpx.AsyncClient(base_url=program.url, trust_env=False, timeout=30) as client,
    ):
        path, token = "/events/pager/demo", {"x-pager-token": "s3cret"}
        assert (await client.post(path, json=ALARM)).status_code == 401
        assert (
            await client.post(path, json=ALARM, headers={b"x-pager-token": b"\xe9"})
        ).status_code == 401
        answer = await client.post(path, json=ALARM, headers=token)
        assert (answer.status_code, answer.text) == (200, "paged Ada: 204")
    assert kept == [b'{"whom":"Ada"}']
    assert "s3cret" not in (tmp_path / "log").read_text()
