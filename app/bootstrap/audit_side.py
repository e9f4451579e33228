"""The audit log of one process, on its connection to NATS.

In: a connection, an env. Out: the log to be written and read. Its stream is made where there is
none yet: what is changed before the first deployment is written down too.
"""

from dataclasses import dataclass
from typing import Self

from actors.ports import Clock, Observer
from app.audit.log import AuditLog
from app.audit.reading import AuditReader
from app.bus.acked_publisher import AckedPublisher
from app.bus.connection import Bus
from app.bus.direct import DEADLINE_SECONDS, DirectReader
from app.control.credentials import ensure_audit_stream
from app.control.names import audit_stream


@dataclass(frozen=True, slots=True)
class AuditSide:
    """Make one with `AuditSide.open`."""

    log: AuditLog
    reader: AuditReader
    _publisher: AckedPublisher
    _direct: DirectReader

    @classmethod
    async def open(cls, bus: Bus, env: str, clock: Clock, observer: Observer) -> Self:
        """Begin. BusError, UnavailableError."""
        await ensure_audit_stream(bus, env)
        publisher = await AckedPublisher.start(bus)
        direct = await DirectReader.start(bus, deadline_seconds=DEADLINE_SECONDS)
        log = AuditLog(publisher, clock, observer, env=env)
        return cls(log, AuditReader(direct, env=env, stream=audit_stream(env)), publisher, direct)

    async def close(self) -> None:
        """Write what is on its way, then end."""
        await self.log.close()
        await self._direct.close()
        self._publisher.close()
