"""Which of many tenants have nothing yet, asked once and not tenant by tenant.

In: an env. Out: whether a stream or a consumer is new, and need not be looked for before it is
made. Nothing hangs on it but the number of questions: where it was wrong the server refuses, and
whoever makes something looks then.
"""

from dataclasses import dataclass
from typing import Final, Self

from actors.subjects import EVENTS_ROOT
from app.bus.admin import JetStreamAdmin
from app.bus.admin_specs import ConsumerSpec
from app.control import names

MANY: Final = 100
"""Tenants for which a list of all is cheaper than three questions each."""


@dataclass(frozen=True, slots=True)
class Overview:
    """What is there; made without arguments it knows of nothing, and calls nothing new."""

    streams: frozenset[str] | None = None
    """Those of events."""
    consumers: frozenset[tuple[str, str]] = frozenset()
    """Stream and name, of continuations."""

    @classmethod
    async def of(cls, admin: JetStreamAdmin, env: str, work_shards: int) -> Self:
        """Look at the tenants' streams of events, and at the consumers of continuations."""
        events = await admin.stream_names(f"{EVENTS_ROOT}.{env}.>")
        consumers: set[tuple[str, str]] = set()
        for shard in range(work_shards):
            stream = names.work_stream(env, shard)
            consumers |= {(stream, name) for name in await admin.consumer_names(stream)}
        return cls(events, frozenset(consumers))

    def is_new_stream(self, stream: str) -> bool:
        """Tell whether there was no such stream of events."""
        return self.streams is not None and stream not in self.streams

    def is_new_consumer(self, spec: ConsumerSpec) -> bool:
        """Tell whether there was no such consumer of events or continuations."""
        if self.streams is None or spec.stream in self.streams:
            return False
        return (spec.stream, spec.durable) not in self.consumers
