"""What a start was asked for, once settings and flags are merged.

In: plain values from the command line. Out: one frozen `StartOptions`. It checks nothing that the
settings have checked already.
"""

from dataclasses import dataclass, field
from pathlib import Path

from app.bus.connection import BusSettings


@dataclass(frozen=True, slots=True)
class StartOptions:
    """One start of the program. Addresses take port 0 for any free one."""

    bundle: Path
    env: str
    data_dir: Path
    """Where the embedded nats-server keeps its store and `nats.json`."""
    host: str = "127.0.0.1"
    port: int = 8080
    admin_host: str = "127.0.0.1"
    admin_port: int = 8081
    has_ingress: bool = True
    has_worker: bool = True
    bus: BusSettings | None = None
    """Where NATS is; None starts the embedded server."""
    sync_interval: str | None = None
    environment: dict[str, str] | None = field(default=None, repr=False)
    """The caller's environment, which expands `$NAME` in the bundle's answers."""
    watches_files: bool = True
    drain_seconds: float = 30.0
