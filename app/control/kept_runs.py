"""Runs as the streams keep them, to be looked at: records, results, journals.

In: messages of the RUNS and EVENTS streams, entries of journals. Out: documents. A message or a
record that is not as we write it, or that names another tenant than its subject, is left out: it is
none of this tenant's runs. What is large is cut and says so. Times are milliseconds.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from actors.errors import InvalidEventError
from actors.ports import Continuation, JournalEntry
from actors.runs.journal_entries import CANCEL, COPY, END, PAUSE
from app.bus.codec import decode_json, encode_json
from app.bus.direct import StoredMessage

VALUE_BYTES_MAX: Final = 32 * 1024
"""Of a step's value, as JSON; more of it is cut."""
PREVIEW_CHARS: Final = 2048

_TEXTS: Final = ("run_id", "flow", "flow_version", "status", "event_id", "event_type")
_TIMES: Final = ("started_ms", "finished_ms", "attempt")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands: its message, and its number in there."""

    sequence: int
    index: int

    def as_text(self) -> str:
        """Give it as pages name it; `parse_place` is the inverse."""
        return f"{self.sequence}-{self.index}"


@dataclass(frozen=True, slots=True)
class KeptRun:
    """One record and its place."""

    place: Place
    record: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        """Whose record it is."""
        return str(self.record["run_id"])

    def as_summary(self) -> dict[str, Any]:
        """Give what a listing shows: no output, which may be anybody's data."""
        shown = {name: self.record[name] for name in (*_TEXTS, *_TIMES)}
        error = self.record.get("error")
        return {
            **shown,
            "trigger": self.record.get("trigger"),
            "parent_run_id": self.record.get("parent_run_id"),
            "error": error if isinstance(error, dict) else None,
        }

    def as_document(self) -> dict[str, Any]:
        """Give all of it."""
        path = self.record.get("path")
        return {
            **self.as_summary(),
            "output": self.record.get("output"),
            "path": path if isinstance(path, list) else [],
            "batch": self.record.get("batch", []),
        }


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs are meant: those that match every field that is set."""

    flow: str | None = None
    status: str | None = None
    event_id: str | None = None
    since_ms: int | None = None
    """Ended at this time or later."""
    until_ms: int | None = None
    """Ended before this time."""

    def matches(self, run: KeptRun) -> bool:
        """Tell whether a run is meant."""
        record = run.record
        wanted = (("flow", self.flow), ("status", self.status), ("event_id", self.event_id))
        if any(value is not None and record[name] != value for name, value in wanted):
            return False
        ended_ms = record["finished_ms"]
        is_early = self.since_ms is not None and ended_ms < self.since_ms
        return not is_early and (self.until_ms is None or ended_ms < self.until_ms)


@dataclass(frozen=True, slots=True)
class RunPage:
    """Runs, the latest first. ``next_after`` None: there are no more."""

    runs: Sequence[KeptRun]
    next_after: str | None


def parse_place(text: str) -> Place:
    """Read a place; ValueError for what is none."""
    sequence, dash, index = text.partition("-")
    if not (dash and sequence.isdecimal() and index.isdecimal() and text.isascii()):
        raise ValueError(f"{text[:40]!r} is no place in a listing of runs")
    if len(sequence) > 18 or len(index) > 4:  # noqa: PLR2004 - what a place can come to
        raise ValueError(f"{text[:40]!r} is no place in a listing of runs")
    return Place(int(sequence), int(index))


def runs_in(message: StoredMessage, tenant: str) -> Iterator[KeptRun]:
    """Give the records of a message, the last one first."""
    try:
        records = decode_json(message.data, "records")
    except InvalidEventError:
        return
    if not isinstance(records, list):
        return
    for index in range(len(records) - 1, -1, -1):
        record = records[index]
        if isinstance(record, dict) and record.get("tenant") == tenant and _is_record(record):
            yield KeptRun(Place(message.sequence, index), record)


def waiting_document(leg: Continuation, now_ms: int) -> dict[str, Any]:
    """Describe a run that goes on later, or is on its way to a worker."""
    return {
        "flow": leg.flow,
        "event_id": leg.event.id,
        "due_ms": leg.due_ms or None,
        "is_due": leg.due_ms <= now_ms,
        "attempt": leg.attempt,
        "leg": leg.leg,
        "round": leg.round,
    }


def steps_of(entries: Sequence[JournalEntry]) -> list[dict[str, Any]]:
    """Describe what a journal says, in the order written: steps' outcomes, and marks.

    Copies that only make an entry live longer are left out.
    """
    return [
        _step(entry.step, entry.value)
        for entry in entries
        if isinstance(entry.value, dict) and COPY not in entry.step
    ]


def began_ms(entries: Sequence[JournalEntry]) -> int | None:
    """Give when the run of a journal began."""
    for entry in entries:
        head = entry.value.get("head") if isinstance(entry.value, dict) else None
        if isinstance(head, dict) and isinstance(head.get("now_ms"), int):
            return int(head["now_ms"])
    return None


def _step(place: str, document: Mapping[str, Any]) -> dict[str, Any]:
    name = str(document.get("step", place))
    if place == CANCEL:
        return {"step": None, "kind": "cancel", "message": str(document.get("reason", ""))}
    if place == END:
        error = {key: document.get(key) for key in ("code", "message")}
        return {"step": document.get("node"), "kind": "end", **error}
    kind = "pause" if name.startswith(PAUSE) else str(document.get("kind", "unknown"))
    shown: dict[str, Any] = {"step": name.removeprefix(PAUSE) or None, "kind": kind}
    if "value" in document:
        shown["value"], shown["truncated"] = _cut(document["value"])
    for key in ("goto", "flow", "due_ms", "code", "message"):
        if key in document:
            shown[key] = document[key]
    if "writes" in document:
        shown["writes"] = len(document["writes"])
    if "head" in document:
        shown["head"] = document["head"]
    return shown


def _cut(value: Any) -> tuple[Any, bool]:
    data = encode_json(value, "value")
    if len(data) <= VALUE_BYTES_MAX:
        return value, False
    return {"bytes": len(data), "preview": data[:PREVIEW_CHARS].decode(errors="replace")}, True


def _is_record(record: Mapping[str, Any]) -> bool:
    texts = all(isinstance(record.get(name), str) for name in _TEXTS)
    return texts and all(type(record.get(name)) is int for name in _TIMES)
