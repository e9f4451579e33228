"""A real PostgreSQL for tests: a cluster of its own in a temporary folder, on a free loopback port.

``postgres_server``: one per test process, started when the first test wants it, shared by all.
``postgres_url``: a database no other test has. Tests are skipped, with a reason, where PostgreSQL
is not installed (``make test`` installs it where there is apt). The server refuses to run as root:
there it runs as the user that came with its package.
"""

import asyncio
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import asyncpg
import pytest

READY_SECONDS = 60.0
STOP_SECONDS = 30.0
UNPRIVILEGED = ("postgres", "nobody")
ICU_SINCE = 15
SUPERUSER = "postgres"
UNSAFE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""Tests kill processes, never the machine."""


def find_binaries() -> Path | None:
    """Give the folder of ``initdb`` and ``postgres``, the newest version's; None: not installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    on_path = shutil.which("initdb")
    if on_path is not None:
        folders.append(Path(on_path).resolve().parent)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return None


def _version(folder: Path) -> float:
    try:
        return float(folder.parent.name)
    except ValueError:
        return 0.0


@dataclass(frozen=True, slots=True)
class PostgresUser:
    """Who the server runs as, if not as who we are."""

    uid: int
    gid: int

    @classmethod
    def find(cls) -> "PostgresUser | None":
        if os.geteuid() != 0:
            return None
        for name in UNPRIVILEGED:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid)
        raise RuntimeError(f"PostgreSQL does not run as root, and there is none of {UNPRIVILEGED}")

    def as_options(self) -> dict[str, Any]:
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


class PostgresServer:
    """A cluster in ``folder``, which is made and deleted here; it may be killed and started again."""

    def __init__(self, binaries: Path, settings: tuple[str, ...] = UNSAFE, root: str | None = None):
        self._binaries = binaries
        self._settings = settings
        self._user = PostgresUser.find()
        self._folder = Path(mkdtemp(prefix="postgres-", dir=root))
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.password = secrets.token_hex(8)

    @property
    def data(self) -> Path:
        return self._folder / "data"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self._port}/{database}"

    def start(self) -> None:
        """Make the cluster if there is none, start it, and wait until it answers."""
        if not self.data.exists():
            self._make()
        log = (self._folder / "log").open("ab")
        options = [part for setting in self._settings for part in ("-c", setting)]
        self._process = subprocess.Popen(
            [self._binaries / "postgres", "-D", self.data, "-p", str(self._port),
             "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", *options],
            stdout=log, stderr=log, cwd=self._folder, start_new_session=True, **self._options(),
        )  # fmt: skip
        log.close()
        self._wait_ready()

    def stop(self) -> None:
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a crash would: its children notice within a moment."""
        self._end(signal.SIGQUIT)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _make(self) -> None:
        if self._user is not None:
            os.chown(self._folder, self._user.uid, self._user.gid)
        word = self._folder / "word"
        word.write_text(self.password)
        word.chmod(0o644)
        subprocess.run(
            [self._binaries / "initdb", "-D", self.data, "-U", SUPERUSER, "-A", "scram-sha-256",
             f"--pwfile={word}", "-E", "UTF8", "--no-sync", "--no-instructions", *self._locale()],
            check=True, capture_output=True, cwd=self._folder, **self._options(),
        )  # fmt: skip
        word.unlink()

    def _locale(self) -> list[str]:
        """Order texts as English does: what depends on the order of a database's language shows."""
        if _version(self._binaries) < ICU_SINCE:
            return ["--locale=C.UTF-8"]
        return ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en"]

    def _options(self) -> dict[str, Any]:
        return {} if self._user is None else self._user.as_options()

    def _wait_ready(self) -> None:
        until = time.monotonic() + READY_SECONDS
        while True:
            assert self._process is not None
            try:
                run(ask(self.url(), "SELECT 1"))
            except (OSError, asyncpg.PostgresError):
                if self._process.poll() is not None or time.monotonic() > until:
                    tail = (self._folder / "log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"PostgreSQL did not start: {tail}") from None
                time.sleep(0.05)
            else:
                return


async def ask(url: str, statement: str, *values: Any) -> list[Any]:
    """Ask the server beside what is tested."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return list(await connection.fetch(statement, *values))
    finally:
        await connection.close()


def run(coroutine: Any) -> Any:
    """Wait from a fixture, whether or not a loop runs: the waiting has its own thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Give this test process's server."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    server = PostgresServer(binaries)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """Give the address of an empty database of the test's own."""
    name = f"t{secrets.token_hex(8)}"
    run(ask(postgres_server.url(), f"CREATE DATABASE {name}"))
    yield postgres_server.url(name)
    run(ask(postgres_server.url(), f"DROP DATABASE {name} WITH (FORCE)"))
