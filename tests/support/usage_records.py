"""Run records for tests of metering, and a stream of them in memory."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from app.bus.direct import StoredMessage

A_TIME_MS = 1_760_000_400_000
HOUR_MS = 3_600_000


def a_record(run_id: str, **changes: Any) -> dict[str, Any]:
    """A record as workers write it."""
    finished_ms = changes.get("finished_ms", A_TIME_MS)
    return {
        "tenant": "acme",
        "event_type": "order.created",
        "trigger": "event",
        "parent_run_id": None,
        "path": ["one"],
        "event_id": "e-1",
        "run_id": run_id,
        "flow": "orders",
        "flow_version": "1",
        "status": "completed",
        "output": None,
        "error": None,
        "started_ms": finished_ms - 12,
        "finished_ms": finished_ms,
        "attempt": 1,
        "usage": {"events": 1, "operations": 10, "effects": 2, "bytes": 100},
        **changes,
    }


def a_message(sequence: int, records: Sequence[Any], *, env: str = "dev") -> StoredMessage:
    """A message of records of one flow."""
    return StoredMessage(subject_of(records, env), sequence, msgspec.json.encode(list(records)), {})


def subject_of(records: Sequence[Any], env: str = "dev") -> str:
    """The subject of records of one flow."""
    first = records[0] if records else {"tenant": "acme", "flow": "orders"}
    return f"greentic.runs.{env}.{first['tenant']}.{first['flow'].replace('/', '.')}"


class PagesInMemory:
    """The messages of a shard, read as `app.bus.looking_back.StreamWalk` reads them."""

    def __init__(self, messages: Sequence[StoredMessage], step: int = 3) -> None:
        self.messages = list(messages)
        self.step = step
        self.reads = 0

    async def newest_first(self, before: int) -> AsyncIterator[Sequence[StoredMessage]]:
        self.reads += 1
        found = [each for each in self.messages if each.sequence < before][::-1]
        for start in range(0, len(found), self.step):
            yield found[start : start + self.step]

    async def oldest_first(self, after: int) -> AsyncIterator[Sequence[StoredMessage]]:
        self.reads += 1
        found = [each for each in self.messages if each.sequence > after]
        for start in range(0, len(found), self.step):
            yield found[start : start + self.step]
