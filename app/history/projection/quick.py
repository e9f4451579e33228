"""Rows of ordinary records, read in one go.

In: the JSON of a record. Out: the row that `app.history.store.rows.row_of` gives of it, its
document unread; None for all that is out of the ordinary: `row_of` decides what becomes of that.

Reading every field by itself, of a document that was decoded whole, takes six times as long
(measured); a test compares the two.
"""

from typing import Annotated, Final

import msgspec

from app.bus.codec import DOCUMENT_DEPTH_MAX
from app.history.store.kept import KeptDocument
from app.history.store.rows import (
    CORRELATION_CHARS_MAX,
    IDENTITY_CHARS_MAX,
    MESSAGE_CHARS_MAX,
    NUMBER_MAX,
    SHORT_CHARS_MAX,
    RunRow,
)

_Identity = Annotated[str, msgspec.Meta(min_length=1, max_length=IDENTITY_CHARS_MAX)]
_Short = Annotated[str, msgspec.Meta(max_length=SHORT_CHARS_MAX)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=NUMBER_MAX)]
_Correlation = Annotated[str, msgspec.Meta(max_length=CORRELATION_CHARS_MAX)]
_Message = Annotated[str, msgspec.Meta(max_length=MESSAGE_CHARS_MAX)]


class _Error(msgspec.Struct):
    code: _Short | None = None
    node: _Short | None = None
    message: _Message | None = None


class _Usage(msgspec.Struct):
    events: _Number = 0
    operations: _Number = 0
    effects: _Number = 0
    bytes: _Number = 0


class _Record(msgspec.Struct):
    tenant: _Identity
    run_id: _Identity
    flow: _Identity
    event_id: _Identity
    event_type: _Identity
    flow_version: _Short
    status: _Short
    started_ms: _Number
    finished_ms: _Number
    attempt: _Number
    trigger: _Short | None = None
    correlation_id: _Correlation | None = None
    parent_run_id: _Identity | None = None
    error: _Error | None = None
    usage: _Usage | None = None


_DECODER: Final = msgspec.json.Decoder(_Record)
_NO_ERROR: Final = _Error()
_NO_USAGE: Final = _Usage()


def quick_row(data: bytes, shard: int, sequence: int, index: int) -> RunRow | None:
    """Give the row of a record; None: it is not ordinary, or none at all."""
    # An escape may stand for what no database takes; many brackets may nest too deep.
    if not data.isascii() or b"\\u" in data:
        return None
    if data.count(b"[") + data.count(b"{") > DOCUMENT_DEPTH_MAX:
        return None
    try:
        found = _DECODER.decode(data)
    except (msgspec.MsgspecError, ValueError):
        return None
    error, usage = found.error or _NO_ERROR, found.usage or _NO_USAGE
    return RunRow(
        tenant=found.tenant,
        run_id=found.run_id,
        flow=found.flow,
        flow_version=found.flow_version,
        status=found.status,
        event_id=found.event_id,
        event_type=found.event_type,
        trigger=found.trigger,
        correlation_id=found.correlation_id,
        parent_run_id=found.parent_run_id,
        started_ms=found.started_ms,
        finished_ms=found.finished_ms,
        attempt=found.attempt,
        error_code=error.code,
        error_node=error.node,
        error_message=error.message,
        operations=usage.operations,
        effects=usage.effects,
        bytes=usage.bytes,
        events=usage.events,
        shard=shard,
        sequence=sequence,
        index=index,
        document=KeptDocument(data),
    )
