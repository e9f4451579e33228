"""How commands reach the desk of dead letters.

In: a server, an env. Out: a desk, for a while. CommandError with a hint where the server has no
such env: nothing would ever be found there.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from app.bus.acked_publisher import AckedPublisher
from app.bus.admin import JetStreamAdmin
from app.bus.connection import BusSettings
from app.bus.continuations import JetStreamContinuations
from app.bus.direct import DirectReader
from app.cli.auditing import audit_on, cli_who
from app.cli.connecting import connected
from app.control.names import dead_stream
from app.dead_letters.changes import LetterChanges
from app.dead_letters.desk import DeadLetterDesk
from app.errors import CommandError
from app.system import SystemClock

PATIENCE_SECONDS: Final = 15.0
"""Longer than a stream needs for a new leader (4 to 7 s, measured): a replay goes on after it."""


@asynccontextmanager
async def open_desk(settings: BusSettings, env: str) -> AsyncIterator[LetterChanges]:
    """Give the desk of an env, and changes of its letters. CommandError, UnavailableError."""
    clock = SystemClock()
    async with connected(settings) as bus:
        if await JetStreamAdmin(bus).stream_info(dead_stream(env)) is None:
            hint = "name the env with --env; its streams are made by the first 'start'"
            raise CommandError(f"the server has no dead letters of an env {env!r}", hint=hint)
        publisher = await AckedPublisher.start(bus, deadline_seconds=PATIENCE_SECONDS)
        reader = await DirectReader.start(bus, deadline_seconds=PATIENCE_SECONDS)
        continuations = JetStreamContinuations(publisher, env=env, clock=clock)
        try:
            desk = DeadLetterDesk(reader, continuations, clock, env=env, stream=dead_stream(env))
            async with audit_on(bus, env) as audit:
                yield LetterChanges(desk, audit, cli_who())
        finally:
            await reader.close()
            publisher.close()
