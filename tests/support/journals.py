"""A journal on a real server, with its stream, as the program makes them."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from app.bus.acked_publisher import AckedPublisher
from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus
from app.bus.direct import DirectReader
from app.bus.journal import JetStreamJournal
from app.bus.server_folder import Endpoint
from app.control import names, streams
from tests.support.bus import connected


@dataclass
class JournalRig:
    """One process's journal and what it stands on."""

    bus: Bus
    publisher: AckedPublisher
    reader: DirectReader
    journal: JetStreamJournal
    stream: str


@contextlib.asynccontextmanager
async def a_journal(
    endpoint: Endpoint, env: str, *, deadline_seconds: float = 10
) -> AsyncIterator[JournalRig]:
    """Give a journal for the body, and close it afterwards."""
    stream = names.journal_stream(env, 0)
    async with connected(endpoint) as bus:
        subjects = (f"greentic.journal.{env}.>",)
        await JetStreamAdmin(bus).ensure_stream(streams.journal_spec(env, 0, subjects))
        publisher = await AckedPublisher.start(bus, deadline_seconds=deadline_seconds)
        reader = await DirectReader.start(bus, deadline_seconds=deadline_seconds)
        journal = JetStreamJournal(publisher, reader, env=env, stream_of=lambda _: stream)
        yield JournalRig(bus, publisher, reader, journal, stream)
        await reader.close()
        publisher.close()
