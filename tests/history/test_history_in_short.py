"""The history under a few kills: `tests.history.run` in short."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.history.run import NAMES
from tests.history.trial import Database, Plan, Trial, files
from tests.support.nats_server import KillableServer
from tests.support.postgres import PostgresServer, ask

pytestmark = pytest.mark.server

PLAN = Plan(
    records=2500, kills=2, server_kills=0, alive_seconds_max=1.5, ack_wait_seconds=1, is_timed=False
)


async def test_rows_in_a_file_are_those_of_the_stream_whenever_the_process_is_killed(
    killable_server: KillableServer, tmp_path: Path
) -> None:
    report = await Trial(killable_server, tmp_path, files(tmp_path), PLAN).run()
    assert report.findings == [], report.as_text()
    assert (report.kills, report.runs > 2000) == (2, True)


async def test_rows_in_postgresql_are_those_of_the_stream_whenever_the_process_is_killed(
    killable_server: KillableServer, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    names = [f"short_{name}" for name in NAMES]
    for name in names:
        await ask(postgres_server.url(), f"CREATE DATABASE {name}")
    database = Database("postgresql", [postgres_server.url(name) for name in names])
    plan = replace(PLAN, kills=1, processes=2)
    report = await Trial(killable_server, tmp_path, database, plan).run()
    assert report.findings == [], report.as_text()
