"""Made-up messages of a RUNS stream, and what the history must make of what is stored.

In: a seed. Out: messages as workers write them, some of whose runs come again later with another
end, and a few of which are none; the rows that a fold of the stored ones comes to, in plain Python
and with no code of the history.
"""

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.bus.direct import StoredMessage

TENANTS: Final = tuple(f"tenant-{number}" for number in range(8))
FLOWS: Final = ("orders", "orders/paid", "mail", "sync/hourly", "report")
RECORDS_MAX: Final = 100
AGAIN_CHANCE: Final = 0.03
MALFORMED_CHANCE: Final = 0.01
BEGIN_MS: Final = 1_790_000_000_000
STATUSES: Final = ("completed",) * 17 + ("failed", "failed", "rejected")
GARBAGE: Final = (b"", b"{", b'{"a":1}', b"[7]", b'[{"tenant":"tenant-1"}]', b"\xff\xfe")


@dataclass(frozen=True, slots=True)
class Told:
    """A message to be stored, and how many records it has that are some."""

    subject: str
    data: bytes
    records: int


@dataclass(frozen=True, slots=True)
class Row:
    """What a history shows of a run, and its whole record."""

    sequence: int
    index: int
    flow: str
    status: str
    event_id: str
    finished_ms: int
    error_code: str | None
    document: Mapping[str, Any] | None


class Story:
    """Tells messages, the same for the same seed."""

    def __init__(self, env: str, seed: int) -> None:
        self._env = env
        self._random = random.Random(seed)  # noqa: S311 - a story, no secret
        self._number = 0
        self._earlier: list[dict[str, Any]] = []

    def tell(self, records: int) -> Iterator[Told]:
        """Give messages with about so many records."""
        told = 0
        while told < records:
            message = self._message(min(RECORDS_MAX, records - told))
            told += max(1, message.records)
            yield message

    def _message(self, records_max: int) -> Told:
        dice = self._random
        tenant, flow = dice.choice(TENANTS), dice.choice(FLOWS)
        subject = f"greentic.runs.{self._env}.{tenant}.{flow.replace('/', '.')}"
        if dice.random() < MALFORMED_CHANCE:
            return Told(subject, dice.choice(GARBAGE), 0)
        count = records_max if dice.random() < 0.8 else dice.randint(1, records_max)
        records = [self._record(tenant, flow) for _ in range(count)]
        return Told(subject, json.dumps(records, separators=(",", ":")).encode(), count)

    def _record(self, tenant: str, flow: str) -> dict[str, Any]:
        dice = self._random
        if self._earlier and dice.random() < AGAIN_CHANCE:
            # The worker died after it was stored, and another one came to another end.
            earlier = dice.choice(self._earlier)
            if (earlier["tenant"], earlier["flow"]) == (tenant, flow):
                return earlier | {"finished_ms": earlier["finished_ms"] + 5, "attempt": 2}
        self._number += 1
        record = self._fresh(tenant, flow)
        if len(self._earlier) < 5000:
            self._earlier.append(record)
        else:
            self._earlier[dice.randrange(5000)] = record
        return record

    def _fresh(self, tenant: str, flow: str) -> dict[str, Any]:
        dice, number = self._random, self._number
        status = dice.choice(STATUSES)
        started_ms = BEGIN_MS + number * 7
        failed = {"code": f"http.{dice.choice((404, 500, 503))}", "node": "call", "message": "no"}
        return {
            "tenant": tenant,
            "event_type": "order.placed",
            "trigger": "event",
            "parent_run_id": None,
            "correlation_id": f"c{number // 3}",
            "path": ["check", "call", "store"],
            "event_id": f"event-{number // 2}",
            "run_id": f"run-{number:08d}-{dice.randrange(1 << 40):010x}",
            "flow": flow,
            "flow_version": "3f2a9c1d0b7e",
            "status": status,
            "output": {"number": number, "text": "x" * dice.randrange(60)},
            "error": failed if status == "failed" else None,
            "started_ms": started_ms,
            "finished_ms": started_ms + dice.randrange(900),
            "attempt": 1,
            "usage": {"events": 1, "operations": number % 500, "effects": 1, "bytes": 340},
            "steps": [
                {"step": step, "node": "http", "at_ms": at, "took_us": 900, "outcome": "done",
                 "attempt": 1, "is_journalled": False, "is_replayed": False}
                for at, step in enumerate(("check", "call", "store"))
            ],
        }  # fmt: skip


def fold(messages: Iterable[StoredMessage]) -> dict[tuple[str, str], Row]:
    """Give the row of each run that is stored: of several records of it, the last one's."""
    rows: dict[tuple[str, str], Row] = {}
    for message in messages:
        tenant = message.subject.split(".")[3]
        for index, record in enumerate(_records(message.data)):
            if isinstance(record, dict) and record.get("tenant") == tenant and "run_id" in record:
                rows[tenant, record["run_id"]] = _row(record, message.sequence, index)
    return rows


def records_in(message: StoredMessage) -> int:
    """Count the records of a message that are some."""
    tenant = message.subject.split(".")[3]
    found = _records(message.data)
    return sum(
        isinstance(one, dict) and {"run_id"} <= one.keys() and one["tenant"] == tenant
        for one in found
    )


def _records(data: bytes) -> Sequence[Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return ()
    return found if isinstance(found, list) else ()


def _row(record: Mapping[str, Any], sequence: int, index: int) -> Row:
    error = record["error"]
    return Row(
        sequence,
        index,
        record["flow"],
        record["status"],
        record["event_id"],
        record["finished_ms"],
        None if error is None else error["code"],
        record,
    )
