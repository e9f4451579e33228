"""The audit log for commands: whoever runs one stands in it as ``cli:{os user}@{host}``.

In: a connection and an env. Out: the log, for a while. What it says of who acts is what the
operating system says; whoever can reach NATS itself can write anything: its login is what counts.
"""

import os
import pwd
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from app.accounts.desk import LoginDesk
from app.audit.entry import Who
from app.audit.log import AuditLog, AuditLost, Change
from app.audit.reading import AuditReader
from app.bus.acked_publisher import AckedPublisher
from app.bus.connection import Bus, BusSettings
from app.bus.direct import DirectReader
from app.cli.connecting import connected
from app.cli.output import warn
from app.cli.vault import Whereabouts, logins_on, secrets_on
from app.control.credentials import ensure_audit_stream, tombstone_gate
from app.control.names import audit_stream
from app.control.secret_desk import SecretDesk
from app.system import SystemClock

PATIENCE_SECONDS: Final = 15.0
"""Longer than a stream needs for a new leader (4 to 7 s, measured)."""
_ODD: Final = re.compile(r"[^A-Za-z0-9._-]")


class LoudObserver:
    """Tells people at once that a change has no entry."""

    def observe(self, observation: object) -> None:
        """Take one observation."""
        if isinstance(observation, AuditLost):
            text = f"AUDIT ENTRY LOST: {observation.action} {observation.target}"
            warn(f"{text}: {observation.reason}", style="bold red")


def cli_who() -> Who:
    """Name whoever runs this command."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = f"uid-{os.getuid()}"
    return Who(f"cli:{_ODD.sub('_', user)}@{_ODD.sub('_', socket.gethostname())}", "cli")


@asynccontextmanager
async def audit_on(bus: Bus, env: str) -> AsyncIterator[AuditLog]:
    """Give the log on an open connection; its stream is made where there is none yet."""
    await ensure_audit_stream(bus, env)
    publisher = await AckedPublisher.start(bus, deadline_seconds=PATIENCE_SECONDS)
    try:
        yield AuditLog(publisher, SystemClock(), LoudObserver(), env=env)
    finally:
        publisher.close()


@asynccontextmanager
async def open_secret_desk(where: Whereabouts) -> AsyncIterator[SecretDesk]:
    """Give the secret store, each change of which is in the log."""
    async with connected(where.bus) as bus, audit_on(bus, where.env) as audit:
        secrets = await secrets_on(bus, where.env, where.keys)
        yield SecretDesk(secrets, audit, tombstone_gate(bus, where.env))


@asynccontextmanager
async def open_login_desk(where: Whereabouts) -> AsyncIterator[LoginDesk]:
    """Give tenants' logins to NATS, each change of which is in the log."""
    async with connected(where.bus) as bus, audit_on(bus, where.env) as audit:
        logins = await logins_on(bus, where.env)
        yield LoginDesk(logins, audit, tombstone_gate(bus, where.env))


@asynccontextmanager
async def audited(settings: BusSettings, env: str, change: Change) -> AsyncIterator[Bus]:
    """Connect for one change, which is in the log before the body begins."""
    async with (
        connected(settings) as bus,
        audit_on(bus, env) as audit,
        audit.change(cli_who(), change),
    ):
        yield bus


@asynccontextmanager
async def open_audit_reader(settings: BusSettings, env: str) -> AsyncIterator[AuditReader]:
    """Give the log to be read."""
    async with connected(settings) as bus:
        await ensure_audit_stream(bus, env)
        reader = await DirectReader.start(bus, deadline_seconds=PATIENCE_SECONDS)
        try:
            yield AuditReader(reader, env=env, stream=audit_stream(env))
        finally:
            await reader.close()
