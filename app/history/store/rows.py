"""A run record as a row of the history.

In: a record's document and its place: shard, stream sequence, index in a message. Out: `RunRow`.
Refuses with InvalidEventError what is no record. Fields that older records lack are null and 0.
Texts that no database takes (NUL, half a character) have a replacement character instead; what is
only shown is cut, and the document keeps all of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from actors.errors import InvalidEventError

IDENTITY_CHARS_MAX: Final = 128
"""Of a tenant, a run's id, a flow, an event's id or type: SPEC 1 and 2 allow no more."""
CORRELATION_CHARS_MAX: Final = 256
"""More of a correlation id is not kept in the row, nor compared by a search."""
SHORT_CHARS_MAX: Final = 128
MESSAGE_CHARS_MAX: Final = 2048
"""Of an error's message in lists and in the search; the document has all of it."""
NUMBER_MAX: Final = (1 << 53) - 1
"""A whole number that JSON's readers agree on; milliseconds past it are no time."""

_IDENTITIES: Final = ("tenant", "run_id", "flow", "event_id", "event_type")
_TIMES: Final = ("started_ms", "finished_ms", "attempt")
_USAGE: Final = ("events", "operations", "effects", "bytes")


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run that has ended. Times are milliseconds; ``bytes`` are those of its events' payloads.

    ``document`` is the whole record; it is empty in pages, which show only what is beside it.
    """

    tenant: str
    run_id: str
    flow: str
    flow_version: str
    status: str
    """``completed``, ``failed``, ``rejected`` or ``cancelled``."""
    event_id: str
    event_type: str
    trigger: str | None
    correlation_id: str | None
    parent_run_id: str | None
    started_ms: int
    finished_ms: int
    attempt: int
    error_code: str | None
    error_node: str | None
    error_message: str | None
    operations: int
    effects: int
    bytes: int
    events: int
    shard: int
    sequence: int
    index: int
    document: Mapping[str, Any]

    @property
    def place(self) -> tuple[int, int]:
        """Where in its shard it stands: of two records of a run, the later one is kept."""
        return (self.sequence, self.index)


def row_of(record: Mapping[str, Any], shard: int, sequence: int, index: int) -> RunRow:
    """Read a record; InvalidEventError names the field that is none of a record's."""
    if not isinstance(record, Mapping):
        raise InvalidEventError("record", "is no object")
    tenant, run_id, flow, event_id, event_type = [_identity(record, name) for name in _IDENTITIES]
    started_ms, finished_ms, attempt = [_number(record, name) for name in _TIMES]
    error = _part(record, "error")
    usage = _part(record, "usage")
    events, operations, effects, size = [_count(usage, name) for name in _USAGE]
    return RunRow(
        tenant=tenant,
        run_id=run_id,
        flow=flow,
        flow_version=_required(record, "flow_version")[:SHORT_CHARS_MAX],
        status=_required(record, "status")[:SHORT_CHARS_MAX],
        event_id=event_id,
        event_type=event_type,
        trigger=_text(record, "trigger", SHORT_CHARS_MAX),
        correlation_id=_text(record, "correlation_id", CORRELATION_CHARS_MAX),
        parent_run_id=_text(record, "parent_run_id", IDENTITY_CHARS_MAX),
        started_ms=started_ms,
        finished_ms=finished_ms,
        attempt=attempt,
        error_code=_text(error, "code", SHORT_CHARS_MAX),
        error_node=_text(error, "node", SHORT_CHARS_MAX),
        error_message=_text(error, "message", MESSAGE_CHARS_MAX),
        operations=operations,
        effects=effects,
        bytes=size,
        events=events,
        shard=shard,
        sequence=sequence,
        index=index,
        document=record,
    )


def plain_text(text: str) -> str:
    """Give a text as every database takes it: what is kept, and what is looked for."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _identity(record: Mapping[str, Any], name: str) -> str:
    value = _required(record, name)
    if not 0 < len(value) <= IDENTITY_CHARS_MAX:
        raise InvalidEventError(name, f"has no text of 1 to {IDENTITY_CHARS_MAX} characters")
    return value


def _required(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str):
        raise InvalidEventError(name, "is no text")
    return plain_text(value)


def _text(record: Mapping[str, Any], name: str, chars_max: int) -> str | None:
    """Read what may be null or absent; what is no text counts as absent."""
    value = record.get(name)
    return plain_text(value[:chars_max]) if isinstance(value, str) else None


def _number(record: Mapping[str, Any], name: str) -> int:
    value = record.get(name)
    if type(value) is not int or not 0 <= value <= NUMBER_MAX:
        raise InvalidEventError(name, "is no whole number")
    return value


def _count(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if type(value) is int and 0 <= value <= NUMBER_MAX else 0


def _part(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = record.get(name)
    return value if isinstance(value, Mapping) else {}
