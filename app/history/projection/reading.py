"""Reading one message of a RUNS stream.

In: a message's bytes and its place. Out: the rows of its records, and why some are none. Refuses
nothing: what is malformed, or names another tenant than its subject, is told of and left out, so
that it never holds up what comes after it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from actors.errors import InvalidEventError
from app.bus.codec import decode_json
from app.history.projection.quick import quick_row
from app.history.store.rows import RunRow, row_of

REASONS_TOLD_MAX: Final = 5
"""Of one message; the others are counted."""

_TENANT_TOKEN: Final = 3
"""In ``greentic.runs.{env}.{tenant}.{flow tokens}``."""
_RECORDS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_SHARD: Final = re.compile(r"RUNS-.+-([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class MessagePlace:
    """Where a message stands."""

    subject: str
    shard: int
    sequence: int

    @property
    def tenant(self) -> str:
        """Whose records it may have."""
        tokens = self.subject.split(".", _TENANT_TOKEN + 1)
        return tokens[_TENANT_TOKEN] if len(tokens) > _TENANT_TOKEN else ""


@dataclass(frozen=True, slots=True)
class ReadMessage:
    """The records of one message."""

    place: MessagePlace
    rows: Sequence[RunRow]
    malformed: int = 0
    """Records that are none; the whole message counts as one."""
    reasons: tuple[str, ...] = ()


def read_message(data: bytes, place: MessagePlace) -> ReadMessage:
    """Read its records in their order."""
    try:
        records = _records(data)
    except InvalidEventError as error:
        return ReadMessage(place, (), 1, (str(error),))
    rows: list[RunRow] = []
    reasons: list[str] = []
    tenant = place.tenant
    for index, record in enumerate(records):
        try:
            rows.append(_row(bytes(record), tenant, place, index))
        except InvalidEventError as error:
            reasons.append(f"record {index}: {error}")
    return ReadMessage(place, rows, len(reasons), tuple(reasons[:REASONS_TOLD_MAX]))


def shard_of(stream: str) -> int | None:
    """Give the shard of a stream's name (`app.control.names.runs_stream`); None: it is none."""
    found = _SHARD.fullmatch(stream)
    return int(found[1]) if found else None


def _records(data: bytes) -> list[msgspec.Raw]:
    try:
        return _RECORDS.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InvalidEventError("records", f"are no list: {error}") from None


def _row(data: bytes, tenant: str, place: MessagePlace, index: int) -> RunRow:
    row = quick_row(data, place.shard, place.sequence, index)
    if row is None:
        row = row_of(decode_json(data, "record"), place.shard, place.sequence, index)
    if row.tenant != tenant:
        raise InvalidEventError("tenant", "is not the subject's")
    return row
