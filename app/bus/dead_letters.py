"""Dead letters onto the bus and off it: the adapter behind `DeadLetters`, and their document.

In: a failed run's event, or a message that is no event. Out: nothing, once the DEAD stream has it;
letters, read back. Writing refuses nothing: raw bytes and events that would not fit are cut or left
out. Reading refuses with InvalidEventError what is no letter of ours, field by field.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from actors.errors import InvalidEventError
from actors.events import Event, parse_event
from actors.observations import LetterParked
from actors.outcomes import RunError
from actors.ports import LETTER_PATH_MAX, DeadLetter, Observer
from actors.subjects import dead_letter_subject
from app.bus.acked_publisher import AckedPublisher
from app.bus.codec import EVENT_BYTES_MAX, decode_json, encode_json
from app.bus.headers import JSON_CONTENT, MESSAGE_ID
from app.bus.storing import wait_all
from app.bus.wire import build_headers

RAW_BYTES_MAX: Final = 512 * 1024
"""Kept of a message that is no event; a third more once it is base64."""
TEXT_CHARS_MAX: Final = 4000
LETTER_BYTES_MAX: Final = EVENT_BYTES_MAX + 64 * 1024


class JetStreamDeadLetters:
    """Parks the dead letters of one env, of any tenant."""

    def __init__(
        self, publisher: AckedPublisher, *, env: str, observer: Observer | None = None
    ) -> None:
        self._publisher = publisher
        self._env = env
        self._observer = observer

    async def park(self, letter: DeadLetter) -> None:
        """Return once it is stored; the same letter id again is one letter."""
        event_id = None if letter.event is None else letter.event.id
        future = await self._publisher.publish_when_room(
            dead_letter_subject(self._env, letter.tenant, event_id, letter.letter_id),
            encode_letter(letter),
            build_headers(((MESSAGE_ID, f"{letter.tenant}:{letter.letter_id}"), JSON_CONTENT)),
        )
        (ack,) = await wait_all([future])
        if self._observer is not None and not ack.duplicate:
            self._observer.observe(LetterParked(letter.tenant, letter.flow, letter.reason))


# ── Writing ──────────────────────────────────────────────────────────────────────────────────


def letter_document(letter: DeadLetter) -> dict[str, Any]:
    """Give a letter's document; ``raw`` is base64, cut to `RAW_BYTES_MAX`. Times are ms."""
    raw, event = letter.raw, letter.event
    error = letter.error.as_mapping()
    return {
        "letter_id": letter.letter_id,
        "tenant": letter.tenant,
        "reason": letter.reason,
        "error": error | {"message": letter.error.message[:TEXT_CHARS_MAX]},
        "attempts": letter.attempts,
        "flow": letter.flow,
        "flow_version": letter.flow_version,
        "trigger": letter.trigger,
        "path": list(letter.path[-LETTER_PATH_MAX:]),
        "started_ms": letter.started_ms,
        "failed_ms": letter.failed_ms,
        "parent_run_id": letter.parent_run_id,
        "hops": letter.hops,
        "event_id": None if event is None else event.id,
        "event": None if event is None else event.as_mapping(),
        "more_events": [each.as_mapping() for each in letter.events[1:]],
        "is_batch": bool(letter.events),
        "subject": letter.subject,
        "raw": None if raw is None else base64.b64encode(raw[:RAW_BYTES_MAX]).decode(),
        "raw_bytes": None if raw is None else len(raw),
    }


def encode_letter(letter: DeadLetter) -> bytes:
    """Write a letter. Events that cannot be written are left out, and the first one's id kept."""
    document = letter_document(letter)
    try:
        data = encode_json(document, "event")
        if len(data) <= LETTER_BYTES_MAX:
            return data
    except InvalidEventError:
        pass
    document |= {"event": None, "more_events": []}
    return encode_json(document, "letter")


# ── Reading ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class DecodedLetter:
    """A letter as it was read, with what only its document knows."""

    letter: DeadLetter
    event_id: str | None
    """Of its event, also where the event itself was too large to keep."""
    raw_bytes: int | None
    """The size of what is no event; ``letter.raw`` may be cut."""


class _ErrorDocument(msgspec.Struct, forbid_unknown_fields=True):
    code: str
    node: str | None
    message: str


class _LetterDocument(msgspec.Struct, forbid_unknown_fields=True):
    """The document; fields with a default are absent from letters of earlier versions."""

    letter_id: str
    tenant: str
    reason: str
    error: _ErrorDocument
    attempts: int
    flow: str | None
    event: Any
    subject: str | None
    raw: str | None
    raw_bytes: int | None
    event_id: str | None = None
    flow_version: str | None = None
    trigger: int | None = None
    path: list[str] = msgspec.field(default_factory=list)
    started_ms: int | None = None
    failed_ms: int = 0
    parent_run_id: str | None = None
    hops: int = 0
    more_events: list[Any] = msgspec.field(default_factory=list)
    is_batch: bool = False


def decode_letter(data: bytes) -> DecodedLetter:
    """Read a letter off the bus; InvalidEventError says what is wrong with it."""
    found = decode_json(data, "letter")
    try:
        document = msgspec.convert(found, _LetterDocument, strict=True)
    except msgspec.ValidationError as error:
        raise InvalidEventError("letter", str(error)) from None
    event = None if document.event is None else parse_event(document.event)
    letter = DeadLetter(
        tenant=document.tenant,
        reason=document.reason,
        error=RunError(document.error.code, document.error.node, document.error.message),
        attempts=document.attempts,
        letter_id=document.letter_id,
        event=event,
        flow=document.flow,
        raw=_raw_of(document.raw),
        subject=document.subject,
        flow_version=document.flow_version,
        trigger=document.trigger,
        path=tuple(document.path),
        started_ms=document.started_ms,
        failed_ms=document.failed_ms,
        parent_run_id=document.parent_run_id,
        hops=max(0, document.hops),
        events=_events_of(event, document),
    )
    event_id = document.event_id if event is None else event.id
    return DecodedLetter(letter, event_id, document.raw_bytes)


def _events_of(event: Event | None, document: _LetterDocument) -> tuple[Event, ...]:
    if event is None or not document.is_batch:
        return ()
    return (event, *(parse_event(each) for each in document.more_events))


def _raw_of(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidEventError("raw", "is no base64") from None
