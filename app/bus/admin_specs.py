"""What JetStream administration asks for and hears: specifications in, facts out.

In: our own names, with units. Out: the server's configuration fields (nanoseconds, -1 for no
limit). Refuses a consumer without filters, since that one would take everything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from app.errors import BusError

_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """What a stream must be; fields it does not name are left as they are. Zero means no limit."""

    name: str
    subjects: tuple[str, ...]
    retention: Literal["limits", "workqueue"] = "limits"
    discard: Literal["old", "new"] = "old"
    age_seconds_max: int = 0
    bytes_max: int = 0
    message_bytes_max: int = 0
    messages_per_subject_max: int = 0
    discards_new_per_subject: bool = False
    duplicate_window_seconds: int = 120
    allows_message_ttl: bool = False
    allows_schedules: bool = False
    allows_rollup: bool = False
    denies_delete: bool = False
    denies_purge: bool = False
    """Like `denies_delete`, the server lets nobody take it back."""
    consumers_max: int = 0
    """Cannot be changed once the stream exists."""
    replicas: int = 0
    """On how many servers it is kept: 1, 3 or 5; its consumers are on as many. 0: as it is, and a
    new one on one."""

    def as_config(self) -> dict[str, Any]:
        """Give the fields of the server's configuration that this specification owns."""
        replicas = {"num_replicas": self.replicas} if self.replicas else {}
        return replicas | {
            "name": self.name,
            "subjects": list(self.subjects),
            "storage": "file",
            "retention": self.retention,
            "discard": self.discard,
            "discard_new_per_subject": self.discards_new_per_subject,
            "max_age": self.age_seconds_max * _NANOSECONDS,
            "max_bytes": self.bytes_max or -1,
            "max_msg_size": self.message_bytes_max or -1,
            "max_msgs_per_subject": self.messages_per_subject_max or -1,
            "max_consumers": self.consumers_max or -1,
            "duplicate_window": self.duplicate_window_seconds * _NANOSECONDS,
            "allow_direct": True,
            "allow_msg_ttl": self.allows_message_ttl,
            "allow_msg_schedules": self.allows_schedules,
            "allow_rollup_hdrs": self.allows_rollup,
            "deny_delete": self.denies_delete,
            "deny_purge": self.denies_purge,
        }


@dataclass(frozen=True, slots=True)
class PinnedGroup:
    """One client at a time gets a consumer's messages (ADR-42, ``pinned_client``)."""

    name: str
    ttl_seconds: int
    """How long after its last request a client stays pinned: deliveries do not count (measured)."""


@dataclass(frozen=True, slots=True)
class ConsumerSpec:
    """What a durable pull consumer must be; fields it does not name are left as they are."""

    stream: str
    durable: str
    filters: tuple[str, ...]
    """Never overlapping, and never empty: without filters a consumer takes everything."""
    first_sequence: int = 1
    """Where a new consumer begins; an existing one keeps its position."""
    ack_wait_seconds: int = 30
    ack_pending_max: int = 512
    max_deliver: int = -1
    pulls_waiting_max: int = 512
    pinned: PinnedGroup | None = None
    """None: whoever asks gets messages. It can be changed while the consumer exists."""

    def __post_init__(self) -> None:
        if not self.filters:
            raise BusError(f"consumer {self.durable!r} of {self.stream} needs a filter")

    def as_config(self) -> dict[str, Any]:
        """Give the fields of the server's configuration that this specification owns.

        None stands for a field that must not be there. The client library knows none of the last
        three.
        """
        pinned = self.pinned
        return {
            "name": self.durable,
            "durable_name": self.durable,
            "ack_policy": "explicit",
            "replay_policy": "instant",
            "ack_wait": self.ack_wait_seconds * _NANOSECONDS,
            "max_ack_pending": self.ack_pending_max,
            "max_deliver": self.max_deliver,
            "max_waiting": self.pulls_waiting_max,
            "filter_subjects": list(self.filters),
            "priority_groups": [pinned.name] if pinned else None,
            "priority_policy": "pinned_client" if pinned else None,
            "priority_timeout": pinned.ttl_seconds * _NANOSECONDS if pinned else None,
        }

    def start_config(self) -> dict[str, Any]:
        """Give the fields that only a new consumer takes."""
        if self.first_sequence <= 1:
            return {"deliver_policy": "all"}
        return {
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self.first_sequence,
        }


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What the server says of a stream. Sequences are 0 where nothing was ever stored."""

    name: str
    messages: int
    bytes: int
    first_sequence: int
    last_sequence: int
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ConsumerInfo:
    """What the server says of a consumer."""

    stream: str
    durable: str
    pending: int
    """Messages it has not handed out yet."""
    ack_pending: int
    """Messages it has handed out and that are not settled."""
    ack_floor: int
    """Everything up to this stream sequence is settled."""
    delivered: int
    """Nothing above this stream sequence was ever handed out."""
    config: Mapping[str, Any]
