"""The run records of a message, as far as they are counted.

In: a message of a RUNS stream: its subject, its data. Out: what each record says. Refuses nothing:
what is no record of the tenant whom the subject names is left out, as everywhere
(`app.control.kept_runs`), and so is one whose end lies outside the years 1970 to 9999.

A record without figures of its own (written before there were any) counts what it has: the run,
how it ended, how long it took, and the events it names.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from actors.subjects import flow_tokens
from app.history.metering.durations import DURATION_MS_MAX

HOUR_MS: Final = 3_600_000
TIME_MS_MAX: Final = 253_402_300_799_999
"""The last one of the year 9999."""
FIGURE_MAX: Final = 1 << 40
"""A larger figure counts as this: sums of millions of them are still numbers that JSON has."""
RECORDS_MAX: Final = 1000
"""Of one message; ours have 100 at most."""

_PLACE_TOKENS: Final = 4
"""`greentic.runs.{env}.{tenant}`; the rest is the flow's."""


@dataclass(frozen=True, slots=True)
class CountedRun:
    """What a record says of one run. ``hour_ms``: the beginning of the hour in which it ended."""

    tenant: str
    flow: str
    run_id: str
    status: str
    hour_ms: int
    duration_ms: int
    events: int
    operations: int = 0
    effects: int = 0
    bytes: int = 0


class _Document(msgspec.Struct):
    tenant: str
    run_id: str
    flow: str
    flow_version: str
    status: str
    event_id: str
    event_type: str
    started_ms: int
    finished_ms: int
    attempt: int
    parent_run_id: Any = None
    batch: Any = None
    usage: Any = None


_RECORDS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_DOCUMENT: Final = msgspec.json.Decoder(_Document)


def runs_of(subject: str, data: bytes) -> Iterator[CountedRun]:
    """Give the runs of a message, in its order."""
    tokens = subject.split(".", _PLACE_TOKENS)
    if len(tokens) <= _PLACE_TOKENS:
        return
    tenant, flow = tokens[_PLACE_TOKENS - 1], tokens[_PLACE_TOKENS]
    try:
        raws = _RECORDS.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return
    for raw in raws[:RECORDS_MAX]:
        try:
            document = _DOCUMENT.decode(raw)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue
        is_its = document.tenant == tenant and flow_tokens(document.flow) == flow
        if is_its and 0 <= document.finished_ms <= TIME_MS_MAX:
            yield _run_of(document)


def _run_of(document: _Document) -> CountedRun:
    usage = document.usage if isinstance(document.usage, dict) else None
    duration_ms = document.finished_ms - document.started_ms
    return CountedRun(
        tenant=document.tenant,
        flow=document.flow,
        run_id=document.run_id,
        status=document.status,
        hour_ms=document.finished_ms // HOUR_MS * HOUR_MS,
        duration_ms=min(max(duration_ms, 0), DURATION_MS_MAX),
        events=_events_named(document) if usage is None else _figure(usage, "events"),
        operations=_figure(usage, "operations"),
        effects=_figure(usage, "effects"),
        bytes=_figure(usage, "bytes"),
    )


def _events_named(document: _Document) -> int:
    """Count the events of a record that has no figures: a batch's, one, or none of a sub-run."""
    if document.parent_run_id is not None:
        return 0
    return max(1, len(document.batch)) if isinstance(document.batch, list) else 1


def _figure(usage: dict[str, Any] | None, name: str) -> int:
    value = None if usage is None else usage.get(name)
    return min(max(value, 0), FIGURE_MAX) if type(value) is int else 0
