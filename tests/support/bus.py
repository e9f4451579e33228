"""A connection to the tests' nats-server, as the program makes it."""

import contextlib
from collections.abc import AsyncIterator

from app.bus.connection import Bus, BusSettings
from app.bus.server_folder import Endpoint


class DeafObserver:
    """An observer that forgets everything."""

    def observe(self, observation: object) -> None:
        """Take one observation."""


@contextlib.asynccontextmanager
async def connected(endpoint: Endpoint) -> AsyncIterator[Bus]:
    """Give a bus for the body and close it afterwards."""
    settings = BusSettings(endpoint.url, endpoint.user, endpoint.password)
    bus = await Bus.connect(settings, DeafObserver(), deadline_seconds=10)
    try:
        yield bus
    finally:
        await bus.drain_and_close(2)
