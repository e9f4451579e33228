"""Streams of topics and the consumers on them.

In: a topic as Faust declares it, a binding, a group. Out: streams and durables that are there, and
what is known of them. Refuses (`StreamRefusedError`) a stream that is not there and may not be
made, and a durable whose unchangeable parts differ. What exists is never reconfigured, except a
durable's filters and limits, which follow its binding.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from app.history.transport.connection import Connection, patiently
from app.history.transport.errors import StreamRefusedError, TransportError
from app.history.transport.names import stream_name, subjects_of

RETENTION_SECONDS: Final = 7 * 86_400.0
"""Of an ordinary topic that says nothing else, as with Kafka's brokers."""
DUPLICATE_WINDOW_SECONDS: Final = 120.0
TOMBSTONE_SECONDS: Final = 86_400
"""How long a deleted key stays in a changelog as a deletion: longer than any reader of it lags."""
EPHEMERAL_SECONDS: Final = 60.0

_NANOSECONDS: Final = 1_000_000_000
_NO_STREAM: Final = 10059
_NO_CONSUMER: Final = 10014
_NAME_IN_USE: Final = 10058


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it is to be made."""

    topic: str
    is_compacted: bool = False
    retention_seconds: float | None = None
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class StreamState:
    """What a stream holds. ``last`` is the sequence of the last message that is still there."""

    first: int
    last: int
    messages: int
    is_compacted: bool


@dataclass(frozen=True, slots=True)
class DurableSpec:
    """A consumer that workers share."""

    stream: str
    durable: str
    filter_subjects: tuple[str, ...]
    ack_wait_seconds: float
    ack_pending_max: int
    is_from_now: bool = False
    idle_seconds_max: float = 0.0

    def config(self) -> dict[str, Any]:
        """Give the consumer's configuration."""
        idle = int(self.idle_seconds_max * _NANOSECONDS)
        return {
            "durable_name": self.durable,
            "name": self.durable,
            "deliver_policy": "new" if self.is_from_now else "all",
            "ack_policy": "explicit",
            "replay_policy": "instant",
            "ack_wait": int(self.ack_wait_seconds * _NANOSECONDS),
            "max_deliver": -1,
            "max_ack_pending": self.ack_pending_max,
            **_filters(self.filter_subjects),
            **({"inactive_threshold": idle} if idle else {}),
        }


class Streams:
    """Streams and consumers over one connection; knows which topics it has seen."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._compacted: dict[str, bool] = {}

    async def ensure_topic(self, spec: TopicSpec, *, may_create: bool = True) -> bool:
        """Make a topic's stream unless it is there; say whether it keeps one message a key."""
        known = self._compacted.get(spec.topic)
        if known is not None:
            return known
        return await patiently(partial(self._ensure_topic, spec, may_create=may_create))

    async def _ensure_topic(self, spec: TopicSpec, *, may_create: bool) -> bool:
        name = stream_name(spec.topic)
        info = await self._find(name)
        if info is None and not may_create:
            raise StreamRefusedError(f"the stream {name} is not there, and may not be created")
        if info is None:
            info = await self._create(name, _stream_config(name, spec))
        is_compacted = bool(info["config"].get("max_msgs_per_subject") == 1)
        self._compacted[spec.topic] = is_compacted
        return is_compacted

    async def ensure_lease_stream(self, name: str, subjects: str, replicas: int) -> None:
        """Make the bucket of the leases: one message a key, each with a time of its own."""
        if await self._find(name) is None:
            config = {
                "name": name,
                "subjects": [subjects],
                "storage": "file",
                "max_msgs_per_subject": 1,
                "allow_msg_ttl": True,
                "discard": "new",
                "num_replicas": replicas,
            }
            await self._create(name, config)

    async def ensure_durable(self, spec: DurableSpec) -> None:
        """Make a durable, or let its filters and limits follow the binding."""
        wanted = spec.config()
        try:
            info = await self._connection.ask(f"CONSUMER.INFO.{spec.stream}.{spec.durable}")
        except StreamRefusedError as problem:
            if problem.code == _NO_STREAM:
                raise StreamRefusedError(
                    f"the stream {spec.stream} is not there", problem.code
                ) from problem
            if problem.code != _NO_CONSUMER:
                raise
            await self._put_consumer(spec.stream, wanted, "create")
            return
        held: dict[str, Any] = info["config"]
        if held.get("ack_policy") != "explicit":
            raise StreamRefusedError(
                f"{spec.stream}/{spec.durable} has no explicit acknowledgement"
            )
        follows = (
            "ack_wait", "max_ack_pending", "filter_subject", "filter_subjects",
            "inactive_threshold",
        )  # fmt: skip
        if any(held.get(name) != wanted.get(name) for name in follows):
            kept = {name: value for name, value in held.items() if name not in follows}
            changed = {name: wanted[name] for name in follows if name in wanted}
            await self._put_consumer(spec.stream, {**kept, **changed}, "update")

    async def reset_to_ack_floor(self, stream: str, durable: str) -> None:
        """Let a durable begin again behind the last message up to which all are acknowledged."""
        await self._connection.ask(f"CONSUMER.RESET.{stream}.{durable}")

    async def open_reader(self, stream: str, name: str, start: int) -> None:
        """Make a consumer that is only read from, and goes away by itself."""
        config = {
            "name": name,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": max(1, start),
            "ack_policy": "none",
            "replay_policy": "instant",
            "inactive_threshold": int(EPHEMERAL_SECONDS * _NANOSECONDS),
            "num_replicas": 1,
            "mem_storage": True,
        }
        await self._put_consumer(stream, config, "create")

    async def state_of(self, topic: str) -> StreamState:
        """Say what a topic's stream holds."""
        return await patiently(partial(self._state_of, topic))

    async def _state_of(self, topic: str) -> StreamState:
        name = stream_name(topic)
        info = await self._connection.ask(f"STREAM.INFO.{name}")
        state: Mapping[str, int] = info["state"]
        first, last = state["first_seq"], state["last_seq"]
        if state["messages"]:
            last = await self._last_kept(name, subjects_of(topic)) or last
        else:
            first = last + 1  # a stream that never had a message says 0
        is_compacted = info["config"].get("max_msgs_per_subject") == 1
        return StreamState(first, last, state["messages"], is_compacted)

    async def _last_kept(self, stream: str, subjects: str) -> int | None:
        """Ask for the last message that is there: those behind it may have expired."""
        try:
            found = await self._connection.ask(
                f"STREAM.MSG.GET.{stream}", {"last_by_subj": subjects}
            )
        except StreamRefusedError:
            return None
        return int(found["message"]["seq"])

    async def _find(self, name: str) -> dict[str, Any] | None:
        try:
            return await self._connection.ask(f"STREAM.INFO.{name}")
        except StreamRefusedError as problem:
            if problem.code == _NO_STREAM:
                return None
            raise

    async def _create(self, name: str, config: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return await self._connection.ask(f"STREAM.CREATE.{name}", config)
        except StreamRefusedError as problem:
            found = await self._find(name) if problem.code == _NAME_IN_USE else None
            if found is None:  # else another worker made it a moment ago
                raise
            return found

    async def _put_consumer(self, stream: str, config: Mapping[str, Any], action: str) -> None:
        document = {"stream_name": stream, "config": config, "action": action}
        try:
            await self._connection.ask(f"CONSUMER.CREATE.{stream}.{config['name']}", document)
        except StreamRefusedError as problem:
            raise StreamRefusedError(
                f"the consumer {config['name']} on {stream}: {problem}", problem.code
            ) from problem


def _stream_config(name: str, spec: TopicSpec) -> dict[str, Any]:
    if spec.retention_seconds is not None and spec.retention_seconds < 0:
        raise TransportError(f"{spec.topic!r} cannot be retained for less than no time")
    retention = spec.retention_seconds
    if retention is None:
        retention = 0.0 if spec.is_compacted else RETENTION_SECONDS
    window = DUPLICATE_WINDOW_SECONDS
    return {
        "name": name,
        "description": f"Faust topic {spec.topic}",
        "subjects": [subjects_of(spec.topic)],
        "storage": "file",
        "retention": "limits",
        "discard": "old",
        "num_replicas": spec.replicas,
        "max_age": int(retention * _NANOSECONDS),
        "duplicate_window": int((min(window, retention) if retention else window) * _NANOSECONDS),
        "allow_direct": True,
        "allow_msg_ttl": True,
        **({"max_msgs_per_subject": 1} if spec.is_compacted else {}),
    }


def _filters(subjects: tuple[str, ...]) -> dict[str, Any]:
    if len(subjects) == 1:
        return {"filter_subject": subjects[0]}
    return {"filter_subjects": list(subjects)} if subjects else {}
