"""An EventPublisher in memory: one stream per tenant, duplicates by message id."""

import asyncio

from actors.errors import UnavailableError
from actors.ports import Envelope, PublishAck


class MemoryPublisher:
    """Stores envelopes; ``is_available`` False makes every publish fail."""

    def __init__(self) -> None:
        self.stored: list[Envelope] = []
        self.is_available = True
        self._first: dict[tuple[str, str], PublishAck] = {}

    def publish(self, envelope: Envelope) -> "asyncio.Future[PublishAck]":
        """Store at once; the future is done when this returns."""
        future: asyncio.Future[PublishAck] = asyncio.get_running_loop().create_future()
        if not self.is_available:
            future.set_exception(UnavailableError("the bus is away"))
            return future
        key = (envelope.tenant, envelope.message_id)
        first = self._first.get(key)
        if first is not None:
            future.set_result(PublishAck(first.event_id, first.sequence, is_duplicate=True))
            return future
        self.stored.append(envelope)
        ack = PublishAck(envelope.event.id, len(self.stored))
        self._first[key] = ack
        future.set_result(ack)
        return future
