"""Where settings come from, laid over each other: file, environment, flags (SPEC 10).

In: a file's path, the environment, flags. Out: merged plain values, what was wrong with the
sources, and who set which key. Refuses sections and variables that this version lacks.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from actors.diagnostics import did_you_mean
from app.settings.key_files import read_key_files
from app.settings.sections import PORT_MAX, Settings

FILE_BYTES_MAX: Final = 1024 * 1024
SECRET_FILE_BYTES_MAX: Final = 64 * 1024

ENVIRONMENT: Final[Mapping[str, str]] = {
    "GREENTIC_ENV": "env",
    "GREENTIC_HOST": "server.host",
    "GREENTIC_PORT": "server.port",
    "GREENTIC_ADMIN": "server.admin",
    "GREENTIC_DATA_DIR": "server.data_dir",
    "GREENTIC_NATS_URL": "nats.url",
    "GREENTIC_NATS_REPLICAS": "nats.replicas",
    "GREENTIC_NATS_USER": "nats.user",
    "GREENTIC_NATS_PASSWORD": "nats.password",
    "GREENTIC_NATS_PASSWORD_FILE": "nats.password_file",
    "GREENTIC_NATS_CREDENTIALS_FILE": "nats.credentials_file",
    "GREENTIC_LOG_LEVEL": "logging.level",
    "GREENTIC_LOG_FORMAT": "logging.format",
    "GREENTIC_ALLOW_PRIVATE": "security.allow_private",
    "GREENTIC_SECRET_KEY": "secrets.key",
    "GREENTIC_SECRET_KEY_FILE": "secrets.key_file",
    "GREENTIC_DATABASE_URL": "history.database_url",
    "GREENTIC_DATABASE_URL_FILE": "history.database_url_file",
}
"""Which variable sets which key. An empty variable counts as unset."""

_NUMBERS: Final = frozenset({"server.port", "nats.replicas"})

LATER_VARIABLES: Final = ("GREENTIC_OTLP_ENDPOINT",)
LATER_SECTIONS: Final = ("telemetry", "runtime", "quotas")


class Sources:
    """The sources laid over each other, and who said what."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.problems: list[str] = []
        self._origins: dict[str, str] = {}

    def put(self, key: str, value: Any, origin: str) -> None:
        """Let one value win over what is there."""
        section, _, name = key.rpartition(".")
        target = self.values.setdefault(section, {}) if section else self.values
        target[name] = value
        self._origins[key] = origin

    def add_file(self, path: Path) -> None:
        """Lay the file at the bottom."""
        for section, content in self._read(path).items():
            if section in LATER_SECTIONS:
                if content not in ({}, []):
                    self.problems.append(f"{path.name}: [{section}] is not in this version")
            elif section == "env" or section not in Settings.model_fields:
                hint = did_you_mean(section, [*Settings.model_fields][1:])
                self.problems.append(
                    f"{path.name}: {section!r} is no section{f'; {hint}' if hint else ''}"
                )
            elif not isinstance(content, dict):
                self.problems.append(f"{path.name}: {section!r} must be a section, [{section}]")
            else:
                for name, value in content.items():
                    self.put(f"{section}.{name}", value, path.name)

    def add_environment(self, environ: Mapping[str, str]) -> None:
        """Lay the variables over the file."""
        for variable in LATER_VARIABLES:
            if environ.get(variable):
                self.problems.append(f"{variable}: is not in this version")
        for variable, key in ENVIRONMENT.items():
            text = environ.get(variable)
            if not text:
                continue
            value: Any = text
            if key in _NUMBERS:
                is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(PORT_MAX))
                value = int(text) if is_number else text
            elif key == "security.allow_private":
                value = tuple(part.strip() for part in text.split(","))
            self.put(key, value, variable)

    def take_credentials(self) -> None:
        """Move secrets out of their files, and user and password out of the URL."""
        self._take_key()
        self._take_database()
        nats = self.values.get("nats", {})
        url = nats.get("url")
        if isinstance(url, str) and "@" in url:
            nats["url"] = self._without_login(url, nats)
        if isinstance(nats.get("password_file"), str):
            nats["password"] = self._read_secret("nats.password_file", nats["password_file"])
        if isinstance(nats.get("credentials_file"), str):
            nats["credentials"] = self._read_secret(
                "nats.credentials_file", nats["credentials_file"]
            )
        for name in ("password", "credentials"):
            if isinstance(nats.get(name), str):
                nats[name] = SecretStr(nats[name])

    def _without_login(self, url: str, nats: dict[str, Any]) -> str:
        """Move the login out of the urls of all servers: it must be one for all of them."""
        servers = [urlsplit(part.strip()) for part in url.split(",")]
        logins = {(parts.username, parts.password) for parts in servers if parts.username}
        if len(logins) > 1:
            self.problems.append("nats.url: its servers name different users or passwords")
        for user, password in logins:
            nats.setdefault("user", unquote(user or ""))
            if password and "password_file" not in nats:
                nats.setdefault("password", unquote(password))
        plain = (parts._replace(netloc=parts.netloc.rpartition("@")[2]) for parts in servers)
        return ",".join(parts.geturl() for parts in plain)

    def _take_key(self) -> None:
        secrets = self.values.get("secrets", {})
        if isinstance(secrets.get("key_file"), str) and "key" not in secrets:
            try:
                secrets["key"] = read_key_files(Path(secrets["key_file"]))
            except (OSError, ValueError) as error:
                self.problems.append(f"secrets.key_file: {getattr(error, 'strerror', error)}")
                secrets["key"] = None
        if isinstance(secrets.get("key"), str):
            secrets["key"] = SecretStr(secrets["key"])

    def _take_database(self) -> None:
        history = self.values.get("history", {})
        if isinstance(history.get("database_url_file"), str) and "database_url" not in history:
            history["database_url"] = self._read_secret(
                "history.database_url_file", history["database_url_file"]
            )
        if isinstance(history.get("database_url"), str):
            history["database_url"] = SecretStr(history["database_url"])

    def describe(self, detail: Mapping[str, Any]) -> str:
        """Say one problem: the key, what is wrong with it, and who set it."""
        key = ".".join(map(str, detail["loc"]))
        origin = self._origins.get(key)
        if detail["type"] == "extra_forbidden":
            known = Settings.model_fields[str(detail["loc"][0])].annotation
            names = list(getattr(known, "model_fields", {}))
            hint = did_you_mean(str(detail["loc"][-1]), names)
            text = f"is not a setting{f'; {hint}' if hint else ''}"
        else:
            text = str(detail["msg"]).removeprefix("Value error, ")
        return f"{key}: {text}{f' (from {origin})' if origin else ''}"

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            with path.open("rb") as file:
                raw = file.read(FILE_BYTES_MAX + 1)
            if len(raw) > FILE_BYTES_MAX:
                self.problems.append(f"{path.name}: is larger than {FILE_BYTES_MAX} bytes")
                return {}
            return tomllib.loads(raw.decode())
        except OSError as error:
            self.problems.append(f"{path.name}: cannot be read: {error.strerror}")
        except (ValueError, RecursionError) as error:
            self.problems.append(f"{path.name}: is no TOML: {error}")
        return {}

    def _read_secret(self, key: str, file_path: str) -> str | None:
        path = Path(file_path)
        try:
            with path.open("rb") as file:
                text = file.read(SECRET_FILE_BYTES_MAX).decode()
        except (OSError, ValueError):
            self.problems.append(f"{key}: {path.name} cannot be read as text")
            return None
        if not text.strip():
            self.problems.append(f"{key}: {path.name} is empty")
        return text.rstrip("\r\n")
