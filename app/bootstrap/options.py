"""What a start was asked for, once settings and flags are merged.

In: checked settings and the bundle's folder. Out: one frozen `StartOptions`. It checks nothing that
the settings have checked already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final

from actors.quotas.plan import PlanLimits
from app.bootstrap.egress import build_policy
from app.bootstrap.history_side import HistoryOptions, history_options
from app.bus.backlog import BacklogLimits
from app.bus.connection import BusSettings
from app.control.limits import StreamLimits
from app.control.streams import DAY_SECONDS
from app.outbound import EgressPolicy
from app.settings.secrets import SecretsSection
from app.settings.sections import NatsSection, Settings

DATA_FOLDER: Final = ".greentic"
"""Inside the bundle, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class StartOptions:
    """One start of the program. Addresses take port 0 for any free one."""

    bundle: Path | None
    """What is deployed at the start, and followed; None: only what others deploy runs."""
    env: str
    data_dir: Path
    """Where the embedded nats-server keeps its store and `nats.json`."""
    host: str = "127.0.0.1"
    port: int = 8080
    admin_host: str = "127.0.0.1"
    admin_port: int = 8081
    has_ingress: bool = True
    has_worker: bool = True
    history: HistoryOptions | None = None
    """Where ended runs are kept; None: this process does not have that role."""
    bus: BusSettings | None = None
    """Where NATS is; None starts the embedded server."""
    trusted_proxies: Sequence[IPv4Network | IPv6Network] = ()
    """Whose forwarded headers are believed."""
    usage_age_seconds: int = StreamLimits().usage_age_seconds
    """How long metered usage is kept."""
    replicas: int = 0
    """On how many servers each stream is kept; 0 leaves them as they are."""
    workers_per_tenant: int = 0
    """How many workers host a tenant; 0: all of them."""
    sync_interval: str | None = None
    environment: Mapping[str, str] | None = field(default=None, repr=False)
    """The caller's environment, which expands `$NAME` in the bundle's answers."""
    watches_files: bool = True
    is_dev: bool = False
    """Emulators stand in for the services of SendGrid, Twilio and SMTP."""
    drain_seconds: float = 30.0
    script_processes: int | None = None
    """None: one less than the cores."""
    script_memory_mib: int = 512
    secrets: SecretsSection = field(default_factory=SecretsSection)
    """The key that seals secrets."""
    egress: EgressPolicy = field(default_factory=EgressPolicy)
    """Where the calls of flows and providers may lead."""
    backlog: BacklogLimits = field(default_factory=BacklogLimits)
    """What a tenant may have unprocessed."""
    plans: Mapping[str, PlanLimits] = field(default_factory=dict)
    """What tenants with a plan may use, by the plan's name."""

    @property
    def roles(self) -> tuple[str, ...]:
        """What the process does."""
        has_history = self.history is not None
        roles = {"ingress": self.has_ingress, "worker": self.has_worker, "history": has_history}
        return tuple(role for role, is_ours in roles.items() if is_ours)


def build_options(
    settings: Settings, bundle: Path | None, environment: Mapping[str, str]
) -> StartOptions:
    """Turn settings into what `program.Program` needs."""
    server = settings.server
    data_dir = Path(server.data_dir) if server.data_dir else (bundle or Path()) / DATA_FOLDER
    has_history = "history" in server.roles
    return StartOptions(
        bundle=bundle,
        env=settings.env,
        data_dir=data_dir,
        host=server.host,
        port=server.port,
        admin_host=server.admin_host,
        admin_port=server.admin_port,
        has_ingress="ingress" in server.roles,
        has_worker="worker" in server.roles,
        history=history_options(settings.history, data_dir) if has_history else None,
        bus=None if settings.nats.is_embedded else _bus(settings.nats),
        usage_age_seconds=settings.history.usage_keep_days * DAY_SECONDS,
        replicas=settings.nats.replicas or 0,
        workers_per_tenant=settings.worker.replicas_per_tenant,
        sync_interval=settings.nats.sync,
        trusted_proxies=server.proxy_networks,
        environment=environment,
        drain_seconds=server.drain_seconds,
        script_processes=settings.worker.script_processes,
        script_memory_mib=settings.worker.script_memory_mib,
        secrets=settings.secrets,
        egress=build_policy(settings.security),
        backlog=BacklogLimits(settings.limits.backlog_events, settings.limits.backlog_bytes),
        plans={name: section.as_limits(name) for name, section in settings.plans.items()},
    )


def _bus(nats: NatsSection) -> BusSettings:
    password = None if nats.password is None else nats.password.get_secret_value()
    signed = None if nats.credentials is None else nats.credentials.get_secret_value()
    return BusSettings(nats.url or "", nats.user, password, credentials=signed)
