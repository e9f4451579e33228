"""Telling the server what became of its deliveries.

In: entries. Out: acknowledgements, refusals, signs of life. Refuses nothing and raises nothing: a
word that does not arrive makes the server deliver again, and that is allowed.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from mode import get_logger

from app.history.transport.connection import LOST, Connection
from app.history.transport.errors import TransportError
from app.history.transport.in_flight import Entry
from app.history.transport.wire import Record

AGAIN_FIRST_SECONDS: Final = 0.5
AGAIN_MAX_SECONDS: Final = 30.0

_IN_PROGRESS: Final = b"+WPI"
_NAK: Final = b"-NAK"
_DOUBLINGS_MAX: Final = 10
_NANOSECONDS: Final = 1_000_000_000

logger = get_logger(__name__)


def pause_after(failures: int) -> float:
    """Say how long what failed so often stays away, in seconds."""
    doubled = AGAIN_FIRST_SECONDS * 2.0 ** min(max(failures - 1, 0), _DOUBLINGS_MAX)
    return min(AGAIN_MAX_SECONDS, doubled)


class Acknowledgements:
    """The words for the server, over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def ack(self, entries: Sequence[Entry], *, is_confirmed: bool) -> None:
        """Settle; ``is_confirmed``: wait until the server noted the last, and so all of them."""
        if not entries:
            return
        last = entries[-1]
        told = entries[:-1] if is_confirmed else entries
        await self._say([entry.record for entry in told], b"")
        if is_confirmed:
            try:
                await self._connection.request(last.record.reply, b"")
            except TransportError as problem:
                logger.info("An acknowledgement was not confirmed: %s", problem)

    async def give_back(self, records: Iterable[Record]) -> None:
        """Let another worker have these at once."""
        await self._say(records, _NAK)

    async def fail(self, records: Iterable[Record]) -> None:
        """Let these come again, the later the oftener they came."""
        for record in records:
            pause = int(pause_after(record.delivered) * _NANOSECONDS)
            await self._say((record,), b'-NAK {"delay": %d}' % pause)

    async def keep(self, records: Iterable[Record]) -> None:
        """Say that these are still worked on."""
        await self._say(records, _IN_PROGRESS)

    async def _say(self, records: Iterable[Record], word: bytes) -> None:
        publish = self._connection.publish
        try:
            for record in records:
                await publish(record.reply, word)
        except LOST as problem:
            logger.info("The server will deliver some messages again: %r", problem)
