"""The data folder of the embedded server: its files, their privacy and its two locks.

In: a folder. Out: the endpoint kept in ``nats.json``, the server's configuration, the end of its
log. Every folder is 0700 and every file 0600. Refuses a ``nats.json`` it cannot read as its own:
that one counts as absent and is replaced.

Two locks tell who is who, and both vanish with their holder, whatever way it ends:
``owner.lock`` is held by the program that looks after the server, ``store.lock`` by the server
process itself (it inherits the descriptor), so nobody can start a second server on one store.
"""

import fcntl
import json
import os
import re
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from app.bus.bus_accounts import (
    FORMER_ACCOUNT,
    PLATFORM_ACCOUNT,
    SYSTEM_ACCOUNT,
    SYSTEM_USER,
    TENANTS_FILE,
    accounts_text,
    quoted,
)
from app.errors import BusError

LOOPBACK: Final = "127.0.0.1"
MESSAGE_BYTES_MAX: Final = 1024 * 1024
"""``max_payload`` of SPEC 13: a stored event of 768 KiB and its headers fit in."""
STORE_RESERVATION_BYTES: Final = 1 << 43
"""JetStream sums the byte limits of all streams against ``max_file_store`` and by default refuses
what three quarters of the free disk do not cover: a few dozen tenants. Limits are ceilings that few
tenants reach, so they may be promised beyond the disk; the disk itself is for monitoring."""
LOG_BYTES_MAX: Final = 8 * 1024 * 1024
LOG_FILES_MAX: Final = 2
LOG_TAIL_CHARS: Final = 2000
PASSWORD_BYTES: Final = 24
USER: Final = "greentic"

_SYNC_INTERVAL = re.compile(r"always|[1-9][0-9]{0,5}(?:ms|s|m|h)")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens and how to log in; ``pid`` 0 means that it is not running."""

    url: str
    user: str
    password: str = field(repr=False)
    pid: int = 0

    @property
    def port(self) -> int:
        """The TCP port of ``url``."""
        return urlsplit(self.url).port or 0

    @property
    def system(self) -> "Endpoint":
        """The same server, with the login of its own account."""
        return replace(self, user=SYSTEM_USER)


@dataclass(frozen=True, slots=True)
class ServerFolder:
    """The files of one embedded server below ``data_dir``."""

    data_dir: Path

    @property
    def endpoint_path(self) -> Path:
        """``nats.json``: what the command line and other local clients read (SPEC 10)."""
        return self.data_dir / "nats.json"

    @property
    def config_path(self) -> Path:
        """The server's own configuration, written anew at each start."""
        return self.data_dir / "nats" / "nats-server.conf"

    @property
    def tenants_path(self) -> Path:
        """The tenants' accounts, which the configuration includes; `app.accounts` writes it."""
        return self.data_dir / "nats" / TENANTS_FILE

    @property
    def log_path(self) -> Path:
        """The server's log; it rotates it itself."""
        return self.data_dir / "nats" / "nats-server.log"

    @property
    def output_path(self) -> Path:
        """What the server prints before its log is open: errors in its configuration."""
        return self.data_dir / "nats" / "nats-server.out"

    @property
    def store_dir(self) -> Path:
        """The JetStream store."""
        return self.data_dir / "nats" / "store"

    def prepare(self) -> None:
        """Create the folders, or make existing ones private."""
        for folder in (self.data_dir, self.data_dir / "nats", self.store_dir):
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder.chmod(0o700)
            except OSError as error:
                raise BusError(f"cannot use the data folder {self.data_dir}: {error}") from error

    def take_owner_lock(self) -> int | None:
        """Become the one program that looks after the server; None when another one does.

        Give the descriptor to ``os.close`` to step down.
        """
        return _take_lock(self.data_dir / "nats" / "owner.lock")

    def take_store_lock(self) -> int | None:
        """Reserve the store for a server about to start; None while a server has it."""
        return _take_lock(self.data_dir / "nats" / "store.lock")

    def read_endpoint(self) -> Endpoint | None:
        """Read ``nats.json``; None where it is absent or not one of ours."""
        try:
            document = json.loads(self.endpoint_path.read_bytes())
            endpoint = Endpoint(
                url=str(document["url"]),
                user=str(document["user"]),
                password=str(document["password"]),
                pid=int(document["pid"] or 0),
            )
            is_ours = urlsplit(endpoint.url).hostname == LOOPBACK and endpoint.port > 0
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return endpoint if is_ours and endpoint.user and endpoint.password else None

    def write_endpoint(self, endpoint: Endpoint) -> None:
        """Replace ``nats.json`` in one step: a reader sees the old one or the new one."""
        document = {
            "url": endpoint.url,
            "user": endpoint.user,
            "password": endpoint.password,
            "pid": endpoint.pid or None,
        }
        write_private(self.endpoint_path, json.dumps(document, indent=2) + "\n")

    def forget_process(self) -> None:
        """Note in ``nats.json`` that no server runs; port and credentials are kept."""
        endpoint = self.read_endpoint()
        if endpoint is not None:
            self.write_endpoint(replace(endpoint, pid=0))

    def write_config(self, endpoint: Endpoint, sync_interval: str | None) -> None:
        """Write the server's configuration for this endpoint."""
        if not self.tenants_path.exists():
            write_private(self.tenants_path, "# No tenant may log in.\n")
        write_private(self.config_path, _config_text(self, endpoint, sync_interval))

    def has_accounts(self) -> bool:
        """Tell whether the configuration last written has accounts: earlier versions' had none."""
        try:
            return SYSTEM_ACCOUNT in self.config_path.read_text("utf-8")
        except OSError:
            return False

    def adopt_store(self) -> None:
        """Hand what a server without accounts stored to the platform's account.

        Only while no server runs on the store. BusError where both have something: then an earlier
        version ran after a later one, and a person must choose.
        """
        former = self.store_dir / "jetstream" / FORMER_ACCOUNT
        platform = self.store_dir / "jetstream" / PLATFORM_ACCOUNT
        if not former.is_dir():
            return
        if platform.exists():
            raise BusError(
                f"both {former} and {platform} hold a store: an earlier version ran on this data"
                " folder since; move the one away that is not to be used"
            )
        former.rename(platform)

    def log_tail(self) -> str:
        """Give the end of what the server said, for error messages."""
        texts = [_tail(path) for path in (self.output_path, self.log_path)]
        return "\n".join(text for text in texts if text) or "(its log is empty)"


def new_endpoint(port: int) -> Endpoint:
    """Make fresh credentials for a server on this loopback port."""
    return Endpoint(f"nats://{LOOPBACK}:{port}", USER, secrets.token_urlsafe(PASSWORD_BYTES))


def check_sync_interval(interval: str | None) -> str | None:
    """Refuse with BusError what is no ``sync_interval``: ``always``, ``500ms``, ``10s``, ``2m``."""
    if interval is not None and not _SYNC_INTERVAL.fullmatch(interval):
        raise BusError(f"sync_interval {interval!r} must be 'always' or a duration like '10s'")
    return interval


def _config_text(folder: ServerFolder, endpoint: Endpoint, sync_interval: str | None) -> str:
    sync = f"  sync_interval: {quoted(sync_interval)}\n" if sync_interval else ""
    return (
        "# Written at each start; edits are lost.\n"
        f"listen: {quoted(f'{LOOPBACK}:{endpoint.port}')}\n"
        'server_name: "greentic-embedded"\n'
        f"max_payload: {MESSAGE_BYTES_MAX}\n"
        f"log_file: {quoted(folder.log_path)}\n"
        f"logfile_size_limit: {LOG_BYTES_MAX}\n"
        f"logfile_max_num: {LOG_FILES_MAX}\n"
        f"{accounts_text(endpoint.user, endpoint.password)}"
        "jetstream {\n"
        f"  store_dir: {quoted(folder.store_dir)}\n"
        f"  max_file_store: {STORE_RESERVATION_BYTES}\n"
        f"{sync}"
        "}\n"
    )


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; only its owner may read it."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
    fresh.replace(path)


def _take_lock(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_TAIL_CHARS))
            return file.read(LOG_TAIL_CHARS).decode("utf-8", "replace").strip()
    except OSError:
        return ""
