"""Write the history while its process is killed: `python -m tests.history.run --kills 20`.

In: how many records and kills, which databases, a seed. Out: a line for each database, and exit
code 1 if a row is not what a fold of the stream says.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.history.trial import Database, Plan, Report, Trial, files
from tests.support.nats_server import KillableServer
from tests.support.postgres import PostgresServer, ask, find_binaries

NAMES = ("first", "second")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--server-kills", type=int, default=2)
    parser.add_argument("--database-kills", type=int, default=2, help="of PostgreSQL")
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    plan = Plan(given.records, given.kills, given.server_kills, seed=given.seed)
    reports = []
    for name in ("sqlite", "postgresql") if given.database == "both" else (given.database,):
        with tempfile.TemporaryDirectory() as folder, databases(name, Path(folder)) as database:
            if name == "postgresql":
                plan = replace(plan, processes=2, database_kills=given.database_kills)
            reports.append(play(Path(folder), database, plan))
            print(reports[-1].as_text(), flush=True)
    return 1 if any(report.findings for report in reports) else 0


def play(folder: Path, database: Database, plan: Plan) -> Report:
    """Run one trial on a nats-server of its own."""
    server = KillableServer(folder / "nats")
    server.start_blocking()
    try:
        return asyncio.run(Trial(server, folder, database, plan).run())
    finally:
        server.kill_blocking()


@contextmanager
def databases(name: str, folder: Path) -> Iterator[Database]:
    """Give two empty databases."""
    if name == "sqlite":
        yield files(folder)
        return
    binaries = find_binaries()
    if binaries is None:
        raise SystemExit("PostgreSQL is not installed")
    # Acknowledged is flushed here: the server is killed too.
    server = PostgresServer(binaries, ())

    def restart() -> None:
        server.kill()
        server.start()

    try:
        server.start()
        for each in NAMES:
            asyncio.run(ask(server.url(), f"CREATE DATABASE {each}"))
        yield Database(name, [server.url(each) for each in NAMES], restart)
    finally:
        server.remove()


if __name__ == "__main__":
    sys.exit(main())
