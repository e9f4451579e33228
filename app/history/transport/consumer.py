"""Faust's consumer on JetStream.

In: the topics the conductor subscribes to. Out: messages to its callback, acknowledged one by one
after the producer's flush. Refuses what a transport cannot hide: see `rebalancing`, `streams`.

Delivery is at least once: a message is acknowledged when Faust says so and everything sent before
is stored; it is given back when its agent failed, when its topic is revoked, when the app stops.
"""

import asyncio
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Final

from faust.exceptions import ProducerSendError
from faust.transport.consumer import Consumer as FaustConsumer
from faust.types import TP, ConsumerMessage
from faust.types.tuples import ack_lock
from mode import Service, get_logger

from app.history.transport import rebalancing
from app.history.transport.bindings import StreamBinding
from app.history.transport.intake import Intake
from app.history.transport.names import durable_name, stream_name
from app.history.transport.producer import LEADER_SUFFIX, changelogs_of, ensure_stream
from app.history.transport.pulls import wait_for
from app.history.transport.reviving import Reviving
from app.history.transport.sources import durable_of
from app.history.transport.wire import Record

if typing.TYPE_CHECKING:
    from app.history.transport.conductor import Conductor
    from app.history.transport.driver import Transport
    from app.history.transport.producer import Producer

YIELD_EVERY: Final = 50
COMMIT_EVERY: Final = 500
"""Acknowledgements that are collected at most, beside Faust's own interval."""
BEGUN_SECONDS: Final = 2.0
"""How long a stopping app waits for what its agents are at."""
STOP_SECONDS: Final = 10.0
KEEP_ALIVE_SECONDS: Final = 0.25

logger = get_logger(__name__)


class Consumer(FaustConsumer):
    """One app's consumer."""

    def __init__(self, transport: Any, *args: Any, **kwargs: Any) -> None:
        self._nats: Transport = transport
        self._intake = Intake(
            self._nats.connection, self._nats.streams, on_forget=self._forget_unacked
        )
        self._assigned: set[TP] = set()
        self._topics: frozenset[str] = frozenset()
        self._is_owner = False
        self._is_settled = True
        """Whether what the owner had is cleared away, so that it may become the owner again."""
        self._reviving = Reviving(self._nats.app)
        self._commit_wanted = asyncio.Event()
        self._rebalance_wanted = asyncio.Event()
        super().__init__(transport, *args, **kwargs)

    async def on_start(self) -> None:
        """Connect. BrokerUnreachableError: there is no server."""
        await self._nats.connection.open()
        self._nats.connection.on_closed(self._note_closed)
        await super().on_start()

    async def on_stop(self) -> None:
        """Acknowledge what is done, give back the rest, and leave."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await super().on_stop()
        except (TimeoutError, ProducerSendError) as problem:
            logger.warning("Stopped without the last acknowledgements: %r", problem)
        for tp in list(self._assigned):
            await self._intake.close(tp)
        self._assigned = set()
        await self._nats.lease.release()
        await self._nats.connection.close()

    async def wait_begun(self) -> None:
        """Let agents end what they are at, before they are cancelled."""
        await self._intake.wait_begun(BEGUN_SECONDS)
        await self._intake.take_back()

    async def wait_empty(self) -> None:
        """Let agents end what they are at, for a while: one may hold what it never acknowledges."""
        await self._intake.wait_begun(BEGUN_SECONDS)
        await self.commit_and_end_transactions()

    # ── Subscription and assignment ──────────────────────────────────────────────────────────

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Consume these topics from now on; their streams are made unless they are there."""
        rebalancing.refuse_global_tables(self.app)
        wanted = frozenset(topics)
        for topic in wanted:
            if topic not in self._nats.bindings and not topic.endswith(LEADER_SUFFIX):
                await ensure_stream(self._nats, topic)
        self._topics = wanted
        if self._wants_lease() and not self._is_owner and self._is_settled:
            # At once, so that a lone worker need not be assigned twice.
            self._is_owner = await self._nats.lease.renew()
        self._rebalance_wanted.set()

    def assignment(self) -> set[TP]:
        """Give what this worker consumes."""
        return self._assigned

    @Service.task
    async def _rebalance_when_wanted(self) -> None:
        # In a task of its own: Faust waits, in the rebalance, for `subscribe` to return.
        while not self.should_stop:
            await wait_for(self._rebalance_wanted, 1)
            if self._rebalance_wanted.is_set():
                self._rebalance_wanted.clear()
                await self._rebalance()

    async def _rebalance(self) -> None:
        """Move to the assignment that holds now, in the order that Faust expects."""
        bindings, is_owner = self._nats.bindings, self._is_owner
        wanted = rebalancing.choose(self.app, self._topics, bindings, is_owner=is_owner)
        gone = self._assigned - wanted
        self.app.on_rebalance_start()
        await self.commit()
        await self.on_partitions_revoked(gone)
        for tp in gone:
            await self._intake.close(tp)
        if not is_owner:
            rebalancing.clear_tables(self.app)
        self.app.consumer_generation_id += 1
        for tp in wanted - self._assigned:
            self._open(tp)
        self._assigned = wanted
        rebalancing.tell_assignor(self.app, wanted)
        await self.on_partitions_assigned(set(wanted), self.app.consumer_generation_id)
        self._is_settled = is_owner == self._is_owner  # else it was lost meanwhile: once more

    @Service.task
    async def _renew_lease(self) -> None:
        lease = self._nats.lease
        while not self.should_stop:
            if self._wants_lease() and (self._is_owner or self._is_settled):
                is_owner = await lease.renew()
                if is_owner != self._is_owner:
                    self._change_owner(is_owner=is_owner)
            await self.sleep(lease.pause_seconds)

    def _wants_lease(self) -> bool:
        return any(self._needs_owner(topic) for topic in self._topics)

    def _needs_owner(self, topic: str) -> bool:
        return rebalancing.needs_owner(self.app, topic, self._nats.bindings)

    def _change_owner(self, *, is_owner: bool) -> None:
        logger.info("%s: this worker is %s the owner", self.app.conf.id,
                    "now" if is_owner else "no longer")  # fmt: skip
        self._is_owner = is_owner
        self._is_settled = is_owner
        if not is_owner:
            for tp in self._assigned:
                if self._needs_owner(tp.topic):
                    self._intake.lose(tp)
        self._rebalance_wanted.set()

    def _open(self, tp: TP) -> None:
        if tp.topic.endswith(LEADER_SUFFIX):
            return
        if tp.topic in changelogs_of(self.app):
            self._intake.open_reader(tp)
            return
        options, conf = self._nats.options, self.app.conf
        binding = self._nats.bindings.get(tp.topic) or StreamBinding(
            stream_name(tp.topic),
            ack_wait_seconds=options.ack_wait_seconds,
            ack_pending_max=options.ack_pending_max,
        )
        is_from_now = conf.consumer_auto_offset_reset == "latest"
        spec = durable_of(binding, durable_name(str(conf.id)), is_from_now=is_from_now)
        self._intake.open_source(tp, spec, is_exclusive=binding.is_exclusive)

    # ── Flow ─────────────────────────────────────────────────────────────────────────────────

    def resume_flow(self) -> None:
        """Let messages flow again, those that Faust swept out of the queues first."""
        super().resume_flow()
        self._intake.sweep()

    def on_buffer_drop(self, tp: TP) -> None:
        """Fetch again for an agent whose queue has room."""
        super().on_buffer_drop(tp)
        self._intake.ready.set()

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Fetch again for these topics."""
        super().resume_partitions(tps)
        self._intake.ready.set()

    async def perform_seek(self) -> None:
        """Do nothing: the server knows what is not acknowledged; see `resume_flow`."""

    async def _drain_messages(self, fetcher: Any) -> None:
        """Hand on messages until the fetcher stops.

        Faust's own loop makes four tasks for each message, which halves what an agent can take.
        """
        try:
            while not (self.should_stop or fetcher.should_stop):
                if not self.flow_active:
                    await wait_for(self.can_resume_flow, 1)
                    continue
                records = await self._getmany(self._get_active_partitions(), 1.0)
                for tp, batch in records.items():
                    await self._hand_on(tp, batch)
        except asyncio.CancelledError:
            # Whoever stops the fetcher starts it again; Faust's own way of saying so to a
            # supervisor that a fetcher does not have is an AttributeError.
            logger.debug("No longer fetching")

    async def _getmany(
        self,
        active_partitions: set[TP] | None,
        timeout: float,  # noqa: ASYNC109  # Faust's name
    ) -> Mapping[TP, list[Any]]:
        return await self._intake.fetch(
            list(active_partitions or ()), timeout, self._commit_if_acked
        )

    async def _hand_on(self, tp: TP, records: list[Record]) -> None:
        epoch, generation = self._intake.epoch_of(tp), self.app.consumer_generation_id
        done = 0
        try:
            for record in records:
                is_ours = epoch == self._intake.epoch_of(tp) and self.flow_active
                if not is_ours or generation != self.app.consumer_generation_id:
                    break
                done += 1
                message = self._intake.hand_on(tp, record, generation)
                if message is not None:
                    await self._deliver(tp, message)
                if not done % YIELD_EVERY:
                    await asyncio.sleep(0)
        finally:
            self._intake.put_back(tp, records[done:], epoch)
        self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
        if self._n_acked >= COMMIT_EVERY:
            self._commit_if_acked()

    async def _deliver(self, tp: TP, message: ConsumerMessage) -> None:
        handler = typing.cast("Conductor", self.app.topics).handler_of(tp)
        if handler is not None:
            await handler(message)
            return
        try:
            await self.callback(message)  # waits while subscriptions change
        except KeyError:
            logger.debug("Nobody here takes messages of %s any more", tp.topic)

    # ── Acknowledgement ──────────────────────────────────────────────────────────────────────

    async def _commit_tps(self, tps: Iterable[TP], *_args: Any, **_options: Any) -> bool:
        """Acknowledge what Faust acknowledged, once everything that was sent before is stored."""
        acked = {tp: offsets for tp in tps if (offsets := self._take_acked(tp))}
        if not acked:
            return False
        lease = self._nats.lease
        term = lease.term
        last = {tp: max(offsets) + 1 for tp, offsets in acked.items()}
        try:
            await self._handle_attached(last)
            await typing.cast("Producer", self.app.producer).store_all()
        except ProducerSendError as problem:
            if not self.app.should_stop:
                await self.crash(problem)
            return False
        for tp, offsets in acked.items():
            # Of another term nothing is acknowledged: its table writes were refused.
            if lease.is_in_term(term) or not self._needs_owner(tp.topic):
                await self._intake.acknowledge(tp, offsets)
        self.app.tables.on_commit(last)
        self.app.monitor.on_tp_commit(last)
        return True

    def _take_acked(self, tp: TP) -> list[int]:
        with ack_lock:  # agents' threads and Faust's compiled stream write here
            offsets = self._acked.pop(tp, [])
            self._acked_index.pop(tp, None)
            self._n_acked = 0
        return offsets

    def _commit_if_acked(self) -> None:
        if self._n_acked:
            self._commit_wanted.set()

    @Service.task
    async def _commit_when_wanted(self) -> None:
        while not self.should_stop:
            await wait_for(self._commit_wanted, 1)
            if self._commit_wanted.is_set():
                self._commit_wanted.clear()
                await self.commit()

    @Service.task
    async def _keep_alive(self) -> None:
        while not self.should_stop:
            await self.sleep(KEEP_ALIVE_SECONDS)
            await self._intake.keep_alive()

    async def on_task_error(self, exc: BaseException) -> None:
        """Let what a failed agent was at come again, whether or not Faust acknowledges it.

        Nobody knows which agent was at which message, so what others are at comes again too.
        """
        logger.info("An agent failed (%s): its messages come again", type(exc).__name__)
        held = self._intake.hold()
        try:
            await self._intake.fail_begun()
            await self.commit()  # moves the ack floor before an exclusive topic begins again
        finally:
            self._intake.release(held)
        await self._reviving.wait_turn()

    def _note_closed(self, problem: Exception) -> None:
        self.add_future(self.crash(problem))

    def _forget_unacked(self, message: ConsumerMessage) -> None:
        self._unacked_messages.discard(message)

    # ── What Faust asks of a Kafka consumer ──────────────────────────────────────────────────

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """Give, for changelogs, the sequence behind the last message."""
        found = {}
        for tp in partitions:
            state = await self._nats.streams.state_of(tp.topic)
            persisted = changelogs_of(self.app)[tp.topic].persisted_offset(tp) or 0
            found[tp] = max(state.last, persisted) + 1
            reader = self._intake.readers.get(tp)
            if reader is not None:
                reader.highwater = found[tp]
        return found

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """Give, for changelogs, the sequence of the first message."""
        return {tp: (await self._nats.streams.state_of(tp.topic)).first for tp in partitions}

    def highwater(self, tp: TP) -> int:
        """Give the offset behind the last message that the server has."""
        return self._intake.highwater(tp)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Read changelogs from these sequences on."""
        for tp, offset in partitions.items():
            await self._seek(tp, offset)

    async def _seek(self, partition: TP, offset: int) -> None:
        reader = self._intake.readers.get(partition)
        if reader is not None:
            reader.seek(offset)

    async def position(self, tp: TP) -> int | None:
        """Give the offset that comes next."""
        reader = self._intake.readers.get(tp)
        return self._intake.flight.last_offset(tp) + 1 if reader is None else reader.next_offset

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Give nothing: offsets are local, and the server knows what is acknowledged."""
        return {}

    async def create_topic(
        self, topic: str, partitions: int, replication: int, **options: Any
    ) -> None:
        """Make a topic's stream, unless it is there."""
        await self.app.producer.create_topic(topic, partitions, replication, **options)

    def topic_partitions(self, topic: str) -> int | None:  # noqa: ARG002  # each topic has one
        """Say that a topic has one partition."""
        return 1

    def key_partition(
        self,
        topic: str,  # noqa: ARG002
        key: bytes | None,  # noqa: ARG002
        partition: int | None = None,  # noqa: ARG002
    ) -> int | None:
        """Give the only partition."""
        return 0

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:  # noqa: ARG002
        return False  # `_commit_tps` does it

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        message = self._intake.hand_on(tp, record, self.app.consumer_generation_id)
        return typing.cast("ConsumerMessage", message)
