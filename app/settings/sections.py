"""The sections of ``greentic.toml``: what may be set, within which bounds. Times are in seconds.

In: plain values. Out: frozen sections; each part of the program gets its own. Refuses unknown keys
and values out of range, and never repeats a value: it may be secret.
"""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from actors.errors import InvalidSubjectError
from actors.subjects import check_token
from app.settings.history import HistorySection
from app.settings.limits import LimitsSection
from app.settings.plans import PLANS_MAX, PlanSection
from app.settings.secrets import SecretsSection
from app.settings.section import Section
from app.settings.security import SecuritySection

PORT_MAX: Final = 65_535
PROD_ENV: Final = "prod"
ROLES: Final = ("ingress", "worker", "history")
LATER_ROLES: Final = ("console",)
_ROLES_SAID: Final = f"{', '.join(ROLES[:-1])} and {ROLES[-1]}"

_NATS_SCHEMES: Final = ("nats", "tls", "ws", "wss")
_WEBSOCKETS: Final = ("ws", "wss")
_SYNC = re.compile(r"always|[1-9][0-9]{0,5}(?:ms|s|m|h)")


class ServerSection(Section):
    """``[server]``: addresses, roles and the data folder."""

    host: str = Field(default="127.0.0.1", min_length=1, max_length=253, pattern=r"^[^\s/]+$")
    """Where webhooks are taken in. `0.0.0.0` or `::` opens it to the network."""

    port: int = Field(default=8080, ge=0, le=PORT_MAX)
    """The port of webhooks; 0 takes any free one."""

    admin: str = "127.0.0.1:8081"
    """`HOST:PORT` of `/metrics` and what else is not for the public."""

    data_dir: str | None = None
    """Where the embedded nats-server keeps its store; `.greentic` in the bundle by default."""

    roles: Annotated[tuple[str, ...], Field(strict=False)] = ROLES
    """What this process does: `ingress` takes webhooks in, `worker` runs flows, `history` writes
    ended runs to its database."""

    trusted_proxies: Annotated[tuple[str, ...], Field(strict=False, max_length=100)] = ()
    """Networks of proxies, as CIDR: their `X-Forwarded-Proto` and `-Host` name the public URL."""

    drain_seconds: float = Field(default=30.0, ge=0, le=600)
    """How long requests and runs may take to finish at the end."""

    @field_validator("admin")
    @classmethod
    def _check_admin(cls, value: str) -> str:
        _split_address(value)
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            try:
                ip_network(network)
            except ValueError:
                raise ValueError(f"{network!r} is no network like 10.0.0.0/8") from None
        return value

    @property
    def proxy_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks of the trusted proxies."""
        return tuple(ip_network(network) for network in self.trusted_proxies)

    @field_validator("roles")
    @classmethod
    def _check_roles(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError(f"names no role; this version has {_ROLES_SAID}")
        for role in value:
            if role in LATER_ROLES:
                raise ValueError(f"role {role!r} is not in this version")
            if role not in ROLES:
                raise ValueError(f"{role!r} is no role; this version has {_ROLES_SAID}")
        return value

    @property
    def admin_host(self) -> str:
        """The host of the admin address."""
        return _split_address(self.admin)[0]

    @property
    def admin_port(self) -> int:
        """The port of the admin address."""
        return _split_address(self.admin)[1]


class NatsSection(Section):
    """``[nats]``: the bus. Without a URL the program starts a nats-server of its own."""

    embedded: bool | None = None
    """Whether to start a nats-server: by default exactly when there is no `url`."""

    url: str | None = None
    """Where NATS is: `nats://host:4222`, or `tls://`, `ws://`, `wss://`; the servers of a cluster
    are separated by commas."""

    replicas: Literal[1, 3, 5] | None = None
    """On how many servers of a cluster each stream is kept: 1, 3 or 5. Unset leaves streams that
    there are as they are, and makes new ones on one."""

    user: str | None = None
    """The user to connect as."""

    password: SecretStr | None = None
    """That user's password."""

    password_file: str | None = None
    """A mounted file that holds the password instead."""

    credentials: SecretStr | None = None
    """A signed login (the text of a `.creds` file), in place of user and password."""

    credentials_file: str | None = None
    """A mounted file that holds the signed login instead."""

    sync: str | None = None
    """How often the embedded server flushes to disk: `always`, `10s`, `2m` (its default)."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        servers = [urlsplit(part.strip()) for part in value.split(",")]
        for parts in servers:
            if parts.scheme not in _NATS_SCHEMES or not parts.hostname:
                raise ValueError("must look like nats://host:4222 (or tls://, ws://, wss://)")
        if len({parts.scheme in _WEBSOCKETS for parts in servers}) > 1:
            raise ValueError("mixes websockets with other servers")
        return ",".join(part.strip() for part in value.split(","))

    @field_validator("sync")
    @classmethod
    def _check_sync(cls, value: str | None) -> str | None:
        if value is not None and not _SYNC.fullmatch(value):
            raise ValueError("must be 'always' or a time such as '10s' or '2m'")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.embedded is False and self.url is None:
            raise ValueError("without an embedded server, nats.url must say where NATS is")
        if self.embedded and self.url is not None:
            raise ValueError("there is a nats.url, so no server can be embedded; set one of them")
        if self.url is not None and self.sync is not None:
            raise ValueError("nats.sync is the embedded server's, and nats.url names another")
        if self.url is None and (self.replicas or 1) > 1:
            raise ValueError("nats.replicas needs a cluster: the embedded server is only one")
        return self

    @property
    def is_embedded(self) -> bool:
        """Whether this program starts its own nats-server."""
        return self.url is None


class LoggingSection(Section):
    """``[logging]``: what is said, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is said."""

    format: Literal["auto", "pretty", "json"] = "auto"
    """`pretty` for people, `json` for machines; `auto` is pretty on a terminal."""


class WorkerSection(Section):
    """``[worker]``: how many workers a tenant has, and each one's processes for large scripts."""

    script_processes: int | None = Field(default=None, ge=1, le=256)
    """How many at most: by default one less than the cores. None is started before it is needed."""

    script_memory_mib: int = Field(default=512, ge=128, le=65_536)
    """MiB of memory for each."""

    replicas_per_tenant: int = Field(default=0, ge=0, le=1000)
    """How many workers host each tenant that says nothing itself; 0: all of them."""


class Settings(Section):
    """Everything, checked."""

    env: str = "dev"
    """The environment's name, one token of every subject; `prod` insists on signed webhooks."""

    server: ServerSection = Field(default_factory=ServerSection)
    nats: NatsSection = Field(default_factory=NatsSection)
    logging: LoggingSection = Field(default_factory=LoggingSection)
    worker: WorkerSection = Field(default_factory=WorkerSection)
    history: HistorySection = Field(default_factory=HistorySection)
    secrets: SecretsSection = Field(default_factory=SecretsSection)
    security: SecuritySection = Field(default_factory=SecuritySection)
    limits: LimitsSection = Field(default_factory=LimitsSection)
    plans: dict[str, PlanSection] = Field(default_factory=dict, max_length=PLANS_MAX)
    """What tenants may use, a section `[plans.NAME]` for each plan; `default` is that of tenants
    whose bundle names none, and limits nothing unless it is here."""

    @field_validator("plans")
    @classmethod
    def _check_plans(cls, value: dict[str, PlanSection]) -> dict[str, PlanSection]:
        for name in value:
            try:
                check_token(name, "the plan's name")
            except InvalidSubjectError as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("env")
    @classmethod
    def _check_env(cls, value: str) -> str:
        try:
            return check_token(value, "env")
        except InvalidSubjectError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _close_prod(self) -> Self:
        if self.env == PROD_ENV and self.security.allow_private:
            raise ValueError("security.allow_private opens private addresses: not in env prod")
        return self


def describe_settings(settings: Settings) -> dict[str, Any]:
    """Give the settings in force as plain values, secrets masked."""
    return settings.model_dump(mode="json")


def _split_address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdecimal()) or int(port[:6]) > PORT_MAX:
        raise ValueError("must be HOST:PORT, such as 127.0.0.1:8081")
    return host, int(port)
