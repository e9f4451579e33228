"""Faust's producer on JetStream.

In: what agents and tables send. Out: messages in their topics' streams; `flush` returns when all of
them are stored. Refuses transactions, topics that are bound to somebody else's stream, and what the
stream refuses (`ProducerSendError`). Keys of a table or compacted topic become subjects.
"""

import asyncio
import typing
from collections.abc import Awaitable
from functools import partial
from time import monotonic
from typing import Any, Final

from faust.exceptions import ProducerSendError
from faust.transport.producer import Producer as FaustProducer
from faust.transport.producer import ProducerBuffer
from faust.types import TP, AppT, FutureMessage, HeadersArg, RecordMetadata
from mode import get_logger
from mode.utils.times import want_seconds

from app.history.transport.bindings import bindings_of
from app.history.transport.errors import LeaseLostError, TransportError
from app.history.transport.names import keyed_subject, plain_subject
from app.history.transport.publishing import Guard, Publisher
from app.history.transport.pulls import wait_for
from app.history.transport.streams import TOMBSTONE_SECONDS, TopicSpec
from app.history.transport.wire import KEY, NULL, TIMESTAMP, TTL, encode_key, write_headers

if typing.TYPE_CHECKING:
    from app.history.transport.driver import Transport

LEADER_SUFFIX: Final = "-__assignor-__leader"
STOP_SECONDS: Final = 5.0
"""How long an app that stops waits for a server that is away."""
LOOK_SECONDS: Final = 0.5
BUFFERED_MAX: Final = 1_000
"""Table writes that wait to be sent; more make the agents wait."""

logger = get_logger(__name__)


class Buffer(ProducerBuffer):
    """What synchronous code sends (tables): it waits here for the event loop's next turn.

    Faust's own gives up waiting after 0.1 s, and forgets what it is sending at the moment: a commit
    would acknowledge events whose table writes are not stored.
    """

    max_messages = BUFFERED_MAX

    def __post_init__(self) -> None:
        super().__post_init__()
        self._open: set[FutureMessage] = set()
        self._failure: BaseException | None = None

    def put(self, fut: FutureMessage) -> None:
        """Take a message; it is sent soon."""
        self._open.add(fut)
        fut.add_done_callback(self._note_end)
        self.pending.put_nowait(fut)

    @property
    def size(self) -> int:
        """How many messages wait. Faust's own asks the settings, and this is once an event."""
        return self.pending.qsize()

    async def flush(self) -> None:
        """Wait until all that was put so far is stored. ProducerSendError: some never will be."""
        if self._open:
            await asyncio.wait(list(self._open))
        failure, self._failure = self._failure, None
        if failure is not None:
            raise ProducerSendError(f"a table change was not stored: {failure}") from failure

    async def wait_until_ebb(self) -> None:
        """Wait while too much is waiting."""
        while self.size > self.max_messages and not self.should_stop:
            self.message_sent.clear()
            await wait_for(self.message_sent, 1)

    async def _send_pending(self, fut: FutureMessage) -> None:
        try:
            await super()._send_pending(fut)
        except (TransportError, ProducerSendError) as problem:
            if not fut.done():
                fut.set_exception(problem)

    def _note_end(self, fut: "asyncio.Future[Any]") -> None:
        self._open.discard(typing.cast("FutureMessage", fut))
        problem = None if fut.cancelled() else fut.exception()
        # What another owner's lease refused is no failure: what it came from is not acknowledged.
        if problem is not None and not isinstance(problem, LeaseLostError):
            self._failure = problem


class Producer(FaustProducer):
    """One app's producer."""

    def __init__(self, transport: Any, **kwargs: Any) -> None:
        super().__init__(transport, **kwargs)
        self.buffer = Buffer(loop=self.loop, beacon=self.beacon)
        self.buffer.app = self.app
        self._nats: Transport = transport
        self._publisher: Publisher | None = None

    async def on_start(self) -> None:
        """Connect. BrokerUnreachableError: there is no server."""
        if self.app.in_transaction:
            raise TransportError("nats:// has no transactions: processing_guarantee must stay")
        await self._nats.connection.open()
        self._publisher = Publisher(self._nats.connection)
        await self._publisher.start()
        await super().on_start()

    async def on_stop(self) -> None:
        """Disconnect; what is under way fails."""
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            await publisher.stop()
        await self._nats.connection.close()

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,  # noqa: ARG002  # each topic has one
        timestamp: float | None,
        headers: HeadersArg | None,
        **_options: Any,
    ) -> Awaitable[RecordMetadata]:
        """Send; the awaitable ends when it is stored. Waits while too much is under way."""
        publisher = self._publisher
        if publisher is None:
            raise ProducerSendError("the producer is not started")
        is_compacted = await self._ensure(topic)
        block = write_headers(headers)
        if timestamp is not None:
            block[TIMESTAMP] = repr(float(timestamp))
        if value is None:
            block[NULL] = "1"
            if is_compacted:
                block[TTL] = f"{TOMBSTONE_SECONDS}s"
        if key is not None and not is_compacted:
            block[KEY] = encode_key(key)
        return await publisher.publish(
            TP(topic, 0),
            keyed_subject(topic, key) if is_compacted else plain_subject(topic),
            value or b"",
            block,
            is_keyed=is_compacted and key is not None,
            guard=self._guard_of(topic),
        )

    async def send_and_wait(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: HeadersArg | None,
        **options: Any,
    ) -> RecordMetadata:
        """Send and wait until it is stored."""
        return await (await self.send(topic, key, value, partition, timestamp, headers, **options))

    async def flush(self) -> None:
        """Wait until all is stored that was sent so far; an app that stops, for a while only."""
        try:
            await self.store_all()
        except ProducerSendError as problem:
            if not self.app.should_stop:
                raise
            logger.warning("Stopped before all was stored: %s", problem)

    async def store_all(self) -> None:
        """Wait until all is stored that was sent so far. ProducerSendError: some is not."""
        storing = asyncio.ensure_future(self._store_all())
        until = float("inf")
        while not storing.done():
            await asyncio.wait({storing}, timeout=LOOK_SECONDS)
            if self.app.should_stop:
                until = min(until, monotonic() + STOP_SECONDS)
            if monotonic() > until:
                storing.cancel()
                raise ProducerSendError("the server is away")
        await storing

    async def _store_all(self) -> None:
        await self.buffer.flush()
        if self._publisher is not None:
            await self._publisher.flush()

    async def create_topic(
        self,
        topic: str,
        partitions: int,  # noqa: ARG002  # each topic has one
        replication: int,  # noqa: ARG002  # the broker URL says it
        **options: Any,
    ) -> None:
        """Make a topic's stream, unless it is there."""
        if topic.endswith(LEADER_SUFFIX):
            return  # nobody sends to it; its owner is the holder of the lease
        retention = options.get("retention")
        spec = TopicSpec(
            topic,
            is_compacted=bool(options.get("compacting")),
            retention_seconds=None if retention is None else want_seconds(retention),
            replicas=self._nats.options.replicas,
        )
        await self._nats.connection.open()
        await self._nats.streams.ensure_topic(spec)

    def key_partition(self, topic: str, key: bytes) -> TP:  # noqa: ARG002  # each topic has one
        """Give the only partition."""
        return TP(topic, 0)

    def supports_headers(self) -> bool:
        """Say that messages have headers."""
        return True

    async def _ensure(self, topic: str) -> bool:
        if topic in bindings_of(self.app):
            raise ProducerSendError(f"{topic!r} reads a stream that is not its own: send elsewhere")
        return await ensure_stream(self._nats, topic)

    def _guard_of(self, topic: str) -> Guard | None:
        if not self._is_changelog(topic):
            return None
        lease = typing.cast("Transport", self.app.transport).lease
        return partial(lease.is_in_term, lease.term)

    def _is_changelog(self, topic: str) -> bool:
        return topic in changelogs_of(self.app)


async def ensure_stream(transport: "Transport", topic: str) -> bool:
    """Make a topic's stream unless it is there; say whether it keeps one message a key."""
    app = transport.app
    spec = TopicSpec(
        topic, is_compacted=topic in changelogs_of(app), replicas=transport.options.replicas
    )
    allowed = bool(app.conf.topic_allow_declare)
    return await transport.streams.ensure_topic(spec, may_create=allowed)


def changelogs_of(app: AppT) -> dict[str, Any]:
    """Give an app's tables by the name of their changelog topic."""
    # Faust's public `changelog_topics` builds a new set at every call, and this is once a message.
    tables: Any = app.tables
    return typing.cast("dict[str, Any]", tables._changelogs)  # noqa: SLF001
