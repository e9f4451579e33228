"""Runs as the streams keep them, to be looked at: records, results, journals.

In: messages of the RUNS and EVENTS streams, entries of journals. Out: documents. A message or a
record that is not as we write it, or that names another tenant than its subject, is left out: it is
none of this tenant's runs. What is large is cut and says so. Times are milliseconds.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

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
_USAGE: Final = ("events", "operations", "effects", "bytes")

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:/@+-]+")
"""JSON writes these characters as they are."""


class _Step(msgspec.Struct, frozen=True):
    """What a step of a record must have to be shown."""

    step: str
    node: str
    at_ms: int
    took_us: int
    outcome: str
    attempt: int = 1
    is_journalled: bool = False
    is_replayed: bool = False
    code: str | None = None
    input: Any = None
    output: Any = None


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
            "correlation_id": self.record.get("correlation_id"),
            "usage": _usage(self.record.get("usage")),
            "error": error if isinstance(error, dict) else None,
        }

    def as_document(self) -> dict[str, Any]:
        """Give all of it."""
        path = self.record.get("path")
        return {
            **self.as_summary(),
            "output": self.record.get("output"),
            "path": path if isinstance(path, list) else [],
            "steps": list(_steps(self.record.get("steps"))),
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
    event_type: str | None = None
    correlation_id: str | None = None
    parent_run_id: str | None = None
    error_code: str | None = None
    error_text: str | None = None
    """Stands somewhere in the error's code or message, in whatever case."""

    def matches(self, run: KeptRun) -> bool:
        """Tell whether a run is meant."""
        record = run.record
        ended_ms = record["finished_ms"]
        is_early = self.since_ms is not None and ended_ms < self.since_ms
        if is_early or (self.until_ms is not None and ended_ms >= self.until_ms):
            return False
        if any(record.get(name) != value for name, value in self._named()):
            return False
        return (self.error_code is None and self.error_text is None) or self._fails_so(record)

    def may_be_in(self, data: bytes) -> bool:
        """Tell whether a message may have such a run, without reading it: most have none."""
        names = [value for _, value in self._named()]
        names += [self.error_code] if self.error_code is not None else []
        return all(not _PLAIN.fullmatch(name) or name.encode() in data for name in names)

    def _named(self) -> Iterator[tuple[str, str]]:
        names = ("flow", "status", "event_id", "event_type", "correlation_id", "parent_run_id")
        for name in names:
            value = getattr(self, name)
            if value is not None:
                yield name, value

    def _fails_so(self, record: Mapping[str, Any]) -> bool:
        error = record.get("error")
        if not isinstance(error, dict):
            return False
        if self.error_code is not None and error.get("code") != self.error_code:
            return False
        said = f"{error.get('code')}\n{error.get('message')}".casefold()
        return self.error_text is None or self.error_text.casefold() in said


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


def _usage(usage: Any) -> dict[str, int] | None:
    """Give what a run used; None: its record is older than that."""
    if not isinstance(usage, dict):
        return None
    return {name: found if type(found := usage.get(name)) is int else 0 for name in _USAGE}


def _steps(steps: Any) -> Iterator[dict[str, Any]]:
    """Give the steps of a record; what is none is left out."""
    for step in steps if isinstance(steps, list) else ():
        try:
            yield msgspec.to_builtins(msgspec.convert(step, _Step))
        except msgspec.ValidationError:
            continue


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
