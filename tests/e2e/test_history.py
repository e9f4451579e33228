"""The history in a program as its user starts it: runs are searched in the store, soon."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.bootstrap.history_side import HistoryOptions, HistorySide, database_in
from app.errors import ConflictError
from tests.support.programs import ROOT, running_program, write_bundle

PATIENCE_SECONDS = 20.0
ALL = ("--roles", "ingress,worker,history")
GREET = {
    "name": "greet",
    "version": "1",
    "triggers": [{"type": "event", "event_type": "greet.asked", "target": "say"}],
    "nodes": [{"id": "say", "type": "template", "config": {"template": "hi"}, "next": "done"}],
}
FLOWS = {"greet": json.dumps(GREET)}
LIGHT = """
import asyncio, os, sys
from pathlib import Path
from app.bootstrap.options import build_options
from app.bootstrap.program import Program
from app.settings.loading import load_settings

async def main():
    flags = {"server.roles": ("ingress", "worker"), "server.port": 0}
    settings = load_settings(None, {}, {**flags, "server.admin": "127.0.0.1:0"})
    program = Program(build_options(settings, Path(sys.argv[1]), {}))
    await program.start()
    await asyncio.sleep(0.3)
    heavy = {"faust", "sqlalchemy", "alembic", "aiosqlite", "asyncpg"} & set(sys.modules)
    await program.stop()
    print(sorted(heavy))

asyncio.run(main())
"""


async def test_a_run_is_in_the_store_within_a_second(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", FLOWS)
    data = bundle / ".greentic"
    async with (
        running_program(bundle, tmp_path / "log", *ALL) as program,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        admin = str(program.where["admin"])
        await until(lambda: is_working(client, admin))
        key = (data / "platform.key").read_text().strip()
        for name in ("Ada", "Bob"):
            url = f"{program.url}/events/webhook/demo/greet.asked"
            answer = await client.post(url, json={"name": name})
            assert answer.status_code in {200, 202}
        asked_at = time.monotonic()
        runs = f"{admin}/api/v1/tenants/demo/runs?status=completed"

        async def both() -> Any:
            page = (await client.get(runs, headers={"authorization": f"Bearer {key}"})).json()
            return page if len(page["runs"]) == 2 else None

        page = await until(both)
        assert time.monotonic() - asked_at < 5  # a second on a machine that is not crowded
        assert {run["flow"] for run in page["runs"]} == {"greet"}
        first = f"{runs}&limit=1"
        page = (await client.get(first, headers={"authorization": f"Bearer {key}"})).json()
        # A place in the store is a time and a run; in the streams it is two numbers.
        assert page["next_after"].endswith(page["runs"][0]["run_id"])

        assert program.where["history"] == f"sqlite:///{data}/history.db"
        status = await command("history", "status", "--data", str(data), "--json")
        told = json.loads(status.stdout)
        assert (told["runs"], told["database"]) == (2, f"sqlite:///{data}/history.db")

        with pytest.raises(ConflictError, match="another process keeps the history in"):
            HistorySide(HistoryOptions(database_in(data)))


def test_only_the_history_role_imports_what_is_heavy(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", FLOWS)
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, str(bundle)],
        cwd=ROOT, check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"


async def is_working(client: httpx.AsyncClient, admin: str) -> bool:
    health = (await client.get(f"{admin}/health")).json()
    return bool(health["history"]["working"])


async def until(look: Any) -> Any:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (found := await look()):
            await asyncio.sleep(0.05)
    return found


async def command(*words: str) -> "subprocess.CompletedProcess[str]":
    environ = {key: value for key, value in os.environ.items() if not key.startswith("GREENTIC_")}
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "app.cli.main", *words],
        cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
