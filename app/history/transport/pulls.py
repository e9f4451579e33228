"""Pulling from one consumer, without a pause between requests.

In: which consumer, how it is made ready. Out: `Record`s in a bounded buffer. Refuses nothing: what
the server forgets (a restart, a lost request, a deleted consumer) is asked for again.

A puller that keeps the order (`is_ordered`) begins again wherever its owner says, as soon as the
connection was lost or a delivery is missing: then everything it handed out is stale.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import monotonic
from typing import Final

import msgspec
from mode import get_logger
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from app.history.transport.connection import LOST, Connection
from app.history.transport.errors import StreamRefusedError, TransportError
from app.history.transport.wire import Record, read_record

BUFFER_MAX: Final = 2_000
"""Records one consumer may have fetched ahead; the server holds the rest."""
REQUEST_MIN: Final = 500
REQUEST_BYTES_MAX: Final = 8 * 1024 * 1024
EXPIRES_SECONDS: Final = 30
HEARTBEAT_SECONDS: Final = 5
SILENCE_SECONDS_MAX: Final = 12.0
PAUSE_SECONDS: Final = 0.5

_NANOSECONDS: Final = 1_000_000_000
_HEARTBEAT: Final = "100"
_OVER: Final = frozenset({"404", "408"})
_GONE: Final = ("Consumer Deleted", "Consumer is push based")
_ENDED: Final = ("Message Size Exceeds MaxBytes", "Batch Completed")
_NO_RESPONDERS: Final = "503"
_PENDING: Final = "Nats-Pending-Messages"

logger = get_logger(__name__)


class Puller:
    """One consumer's messages, as they come."""

    def __init__(
        self,
        connection: Connection,
        source: tuple[str, str],
        *,
        prepare: Callable[[], Awaitable[None]],
        on_ready: Callable[[], None],
        on_broken: Callable[[], None] | None = None,
    ) -> None:
        self.stream, self.consumer = source
        self._connection = connection
        self._prepare = prepare
        self._on_ready = on_ready
        self._on_broken = on_broken
        """Given: the order is kept. It is called when it broke, and has to call `restart`."""
        self._buffer: deque[Record] = deque()
        self._subscription: Subscription | None = None
        self._inbox = ""
        self._epoch = 0
        self._credit = 0
        self._is_prepared = False
        self._is_closed = False
        self._next_sequence = 1
        self._heard_at = 0.0
        self._paused_until = 0.0
        connection.on_reconnect(self._on_reconnect)

    @property
    def has_records(self) -> bool:
        """Whether there is something to take."""
        return bool(self._buffer)

    def take(self, count: int) -> list[Record]:
        """Take up to so many records out of the buffer."""
        buffer = self._buffer
        return [buffer.popleft() for _ in range(min(count, len(buffer)))]

    def put_back(self, records: Sequence[Record], epoch: int) -> None:
        """Give back what was taken and not handed on; nothing, if it began again meanwhile."""
        if epoch == self._epoch:
            self._buffer.extendleft(reversed(records))

    @property
    def epoch(self) -> int:
        """How often it began again."""
        return self._epoch

    def waiting(self) -> list[Record]:
        """Give what waits in the buffer, for the server to be told that it is still here."""
        return list(self._buffer)

    def pause(self, seconds: float) -> None:
        """Ask for nothing for so long, from now on."""
        self._paused_until = monotonic() + seconds

    def restart(self) -> None:
        """Forget everything, and begin again where `prepare` says."""
        self._epoch += 1
        self._credit = 0
        self._buffer.clear()
        self._is_prepared = False

    async def top_up(self) -> None:
        """Ask for more, if there is room and the server can be asked. Raises nothing."""
        now = monotonic()
        if self._credit and now - self._heard_at > SILENCE_SECONDS_MAX:
            self._credit = 0
        room = BUFFER_MAX - len(self._buffer) - self._credit
        is_due = room >= REQUEST_MIN and now >= self._paused_until and not self._is_closed
        if not is_due or not self._connection.is_connected:
            return
        try:
            if not self._is_prepared:
                await self._make_ready()
            await self._request(room)
        except (*LOST, TransportError) as problem:
            self._paused_until = monotonic() + PAUSE_SECONDS
            self._is_prepared = self._is_prepared and not isinstance(problem, StreamRefusedError)
            logger.warning("Cannot pull from %s/%s: %s", self.stream, self.consumer, problem)

    async def close(self) -> list[Record]:
        """Stop, and give what was fetched and not taken."""
        self._is_closed = True
        self._connection.forget(self._on_reconnect)
        await self._unsubscribe()
        return self.take(len(self._buffer))

    async def _make_ready(self) -> None:
        epoch = self._epoch
        await self._unsubscribe()
        await self._prepare()
        self._next_sequence, self._credit = 1, 0
        self._inbox = self._connection.new_inbox()
        self._subscription = await self._connection.subscribe(
            self._inbox, partial(self._on_message, epoch)
        )
        self._is_prepared = epoch == self._epoch

    async def _request(self, count: int) -> None:
        if not self._is_prepared:
            return
        document = {
            "batch": count,
            "expires": EXPIRES_SECONDS * _NANOSECONDS,
            "idle_heartbeat": HEARTBEAT_SECONDS * _NANOSECONDS,
            "max_bytes": max(REQUEST_BYTES_MAX, 2 * self._connection.payload_bytes_max),
        }
        self._credit += count
        self._heard_at = monotonic()
        await self._connection.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self.consumer}",
            msgspec.json.encode(document),
            reply=self._inbox,
        )

    async def _on_message(self, epoch: int, message: Msg) -> None:
        if epoch != self._epoch or self._is_closed:
            return
        record = read_record(message)
        if record is None:
            self._on_status(message)
            return
        self._heard_at = monotonic()
        self._credit = max(0, self._credit - 1)
        if self._on_broken is not None and record.consumer_sequence != self._next_sequence:
            self._on_broken()
            return
        self._next_sequence += 1
        self._buffer.append(record)
        self._on_ready()

    def _on_status(self, message: Msg) -> None:
        self._heard_at = monotonic()
        headers = message.headers or {}
        status, reason = headers.get("Status", ""), headers.get("Description", "")
        if status == _HEARTBEAT:
            return
        if status in _OVER:
            left = headers.get(_PENDING, "")
            self._credit -= min(self._credit, int(left) if left.isdigit() else self._credit)
        else:
            self._on_refusal(status, reason)
        self._on_ready()

    def _on_refusal(self, status: str, reason: str) -> None:
        """Note that a request is gone: too large, no leader, no consumer, nobody there."""
        self._credit = 0
        if reason.startswith(_ENDED):
            return
        self._paused_until = monotonic() + PAUSE_SECONDS
        if status != _NO_RESPONDERS and reason not in _GONE:
            return
        self._is_prepared = False
        if self._on_broken is not None:
            self._on_broken()

    def _on_reconnect(self) -> None:
        self._credit = 0
        if self._on_broken is not None and not self._is_closed:
            self._on_broken()
        self._on_ready()

    async def _unsubscribe(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None and self._connection.is_connected:
            try:
                await subscription.unsubscribe()
            except LOST as problem:
                logger.debug("The old inbox was gone already: %r", problem)


async def wait_for(event: asyncio.Event, seconds: float) -> None:
    """Wait until an event is set, or so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
