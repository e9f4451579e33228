"""What the desk gives and takes: letters as they are kept, filters, pages, reports.

In: messages of the DEAD stream. Out: values. A message that is no letter of its tenant is a damaged
letter, which can be seen and discarded, and never the end of a listing. Times are milliseconds
since the epoch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from actors.errors import InvalidEventError
from actors.ports import DeadLetter
from actors.runs.redriving import redriven
from app.bus.dead_letters import DecodedLetter, decode_letter, letter_document
from app.bus.direct import StoredMessage

DAMAGED: Final = "damaged"
"""The reason of what cannot be read."""
SEQUENCE_MARK: Final = "@"
"""Begins a letter's other name: its place in the stream. No letter id begins with it."""
FAILURES_KEPT_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """A letter where it is kept. ``decoded`` None: it is damaged, and ``damage`` says how."""

    tenant: str
    sequence: int
    stored_ms: int
    decoded: DecodedLetter | None
    damage: str | None = None

    @property
    def letter(self) -> DeadLetter | None:
        """The letter itself."""
        return None if self.decoded is None else self.decoded.letter

    @property
    def id(self) -> str:
        """How it is asked for; a damaged one by its place."""
        letter = self.letter
        return f"{SEQUENCE_MARK}{self.sequence}" if letter is None else letter.letter_id

    @property
    def reason(self) -> str:
        """Why it lies here."""
        return DAMAGED if self.letter is None else self.letter.reason

    @property
    def failed_ms(self) -> int:
        """When its run failed; where the letter does not say, when it was stored."""
        return (self.letter.failed_ms if self.letter is not None else 0) or self.stored_ms

    @property
    def can_redrive(self) -> bool:
        """Whether a run can be made of it: it has an event and a flow."""
        return self.letter is not None and redriven(self.letter) is not None

    def without_content(self) -> "KeptLetter":
        """Give it without payloads, metadata and raw bytes: thousands of letters fit a page."""
        if self.decoded is None or self.letter is None:
            return self
        event = self.letter.event
        bare = None if event is None else replace(event, payload=None, metadata=None)
        letter = replace(self.letter, event=bare, events=(), raw=None)
        return replace(self, decoded=replace(self.decoded, letter=letter))

    def as_summary(self) -> dict[str, Any]:
        """Give what a listing shows: no payload, which may be anybody's data."""
        letter, decoded = self.letter, self.decoded
        summary: dict[str, Any] = {
            "letter_id": self.id,
            "sequence": self.sequence,
            "reason": self.reason,
            "failed_ms": self.failed_ms,
            "stored_ms": self.stored_ms,
            "can_redrive": self.can_redrive,
        }
        if letter is None or decoded is None:
            return summary | {"damage": self.damage}
        event = letter.event
        return summary | {
            "error": letter.error.as_mapping(),
            "flow": letter.flow,
            "flow_version": letter.flow_version,
            "attempts": letter.attempts,
            "path": list(letter.path),
            "event_id": decoded.event_id,
            "event_type": None if event is None else event.event_type,
            "parent_run_id": letter.parent_run_id,
        }

    def as_document(self) -> dict[str, Any]:
        """Give all of it, events and raw bytes (base64) included."""
        if self.decoded is None:
            return self.as_summary()
        document = letter_document(self.decoded.letter)
        return {
            **self.as_summary(),
            **document,
            "event_id": self.decoded.event_id,
            "raw_bytes": self.decoded.raw_bytes,
            "failed_ms": self.failed_ms,
        }


def keep(tenant: str, message: StoredMessage) -> KeptLetter:
    """Read a stored message as a letter of this tenant."""
    stored_ms = _instant_ms(message.headers.get("Nats-Time-Stamp", ""))
    try:
        decoded = decode_letter(message.data)
    except InvalidEventError as error:
        return KeptLetter(tenant, message.sequence, stored_ms, None, str(error))
    if decoded.letter.tenant != tenant:
        damage = "tenant: is not that of the subject"
        return KeptLetter(tenant, message.sequence, stored_ms, None, damage)
    return KeptLetter(tenant, message.sequence, stored_ms, decoded)


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters are meant: those that match every field that is set."""

    flow: str | None = None
    reason: str | None = None
    event_type: str | None = None
    event_id: str | None = None
    since_ms: int | None = None
    """Failed at this time or later."""
    until_ms: int | None = None
    """Failed before this time."""

    def matches(self, kept: KeptLetter) -> bool:
        """Tell whether a letter is meant."""
        letter, decoded = kept.letter, kept.decoded
        event = None if letter is None else letter.event
        wanted = (
            (self.flow, None if letter is None else letter.flow),
            (self.reason, kept.reason),
            (self.event_type, None if event is None else event.event_type),
            (self.event_id, None if decoded is None else decoded.event_id),
        )
        if any(want is not None and want != has for want, has in wanted):
            return False
        is_early = self.since_ms is not None and kept.failed_ms < self.since_ms
        return not is_early and (self.until_ms is None or kept.failed_ms < self.until_ms)

    @property
    def is_empty(self) -> bool:
        """Whether every letter is meant."""
        return self == LetterFilter()


@dataclass(frozen=True, slots=True)
class LetterPage:
    """A page of a listing, letters without content. ``next_after`` None: there are no more."""

    letters: Sequence[KeptLetter]
    next_after: int | None


@dataclass(frozen=True, slots=True)
class LetterCounts:
    """How many letters a tenant has: in all, and of each flow (None: of none) and reason."""

    total: int
    by_flow_and_reason: Mapping[tuple[str | None, str], int]
    is_complete: bool
    """False: there are more than one count looks at; the rest is in ``total`` alone."""


@dataclass(slots=True)
class Report:
    """What a redrive or a discard came to, or has come to so far."""

    is_dry_run: bool = False
    chosen: int = 0
    """Letters that were meant and looked at."""
    done: int = 0
    not_redrivable: int = 0
    """Left where they are: they have no event, or no flow."""
    failed: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    """The first `FAILURES_KEPT_MAX` that failed, with why."""
    has_more: bool = False
    """The call's limit was reached: more letters may be meant."""
    stopped: str | None = None
    """Why it ended early: NATS does not answer. What is done stays done."""

    def fail(self, letter_id: str, why: str) -> None:
        """Count a failure."""
        self.failed += 1
        if len(self.failures) < FAILURES_KEPT_MAX:
            self.failures[letter_id] = why

    def as_document(self) -> dict[str, Any]:
        """Give it as people and programs read it."""
        return {
            "dry_run": self.is_dry_run,
            "chosen": self.chosen,
            "done": self.done,
            "not_redrivable": self.not_redrivable,
            "failed": self.failed,
            "failures": [{"letter_id": key, "why": why} for key, why in self.failures.items()],
            "has_more": self.has_more,
            "stopped": self.stopped,
        }


def _instant_ms(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return 0
