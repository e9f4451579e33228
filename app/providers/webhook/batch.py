"""Batches: JSON lines, and CloudEvents in an array.

In: a verified body and what its items have in common. Out: for each item, in order, its event or
the InvalidEventError that says what is wrong with it and where: ``line 3: …`` of lines, counted
from 1 with empty ones, ``item 3: …`` of an array. Refuses as a whole what has too many items or
lines, and what is no array.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from actors.errors import InvalidEventError
from actors.ports import NormalizedEvent
from app.providers.json_body import decode_json_body
from app.providers.webhook.cloudevents import parse_document
from app.providers.webhook.delivery import DELIVERY_ID_CHARS_MAX, is_short_ascii
from app.providers.webhook.events import SOURCE, check_own_type, event_of_cloudevent

ITEMS_MAX: Final = 1000
LINES_MAX: Final = 10_000
"""Empty ones included."""

_FIELDS: Final = frozenset({"event_type", "payload", "id"})

T = TypeVar("T")
Item = NormalizedEvent | InvalidEventError


@dataclass(frozen=True, slots=True)
class BatchReader:
    """Makes events of items; ``check_type`` refuses types that this sender may not publish."""

    metadata: Mapping[str, Any]
    check_type: Callable[[str], None]

    def read_lines(self, body: bytes) -> list[Item]:
        """Read JSON lines, each an event of ours or a CloudEvent."""
        if body.count(b"\n") >= LINES_MAX:
            raise InvalidEventError("batch", f"has more than {LINES_MAX} lines")
        lines = [(number, line) for number, line in _number_lines(body) if line.strip()]
        _check_count(len(lines))
        return [
            _read(f"line {number}", line, lambda line: self._of_line(decode_json_body(line)))
            for number, line in lines
        ]

    def read_cloudevents(self, body: bytes) -> list[Item]:
        """Read a JSON array of CloudEvents."""
        documents = decode_json_body(body)
        if not isinstance(documents, list):
            raise InvalidEventError("batch", "must be a JSON array of CloudEvents")
        _check_count(len(documents))
        return [
            _read(f"item {number}", document, self._of_cloudevent)
            for number, document in enumerate(documents, 1)
        ]

    def _of_line(self, document: object) -> NormalizedEvent:
        if not isinstance(document, dict):
            raise InvalidEventError("event", "must be a JSON object with event_type and payload")
        if "specversion" in document:
            return self._of_cloudevent(document)
        unknown = document.keys() - _FIELDS
        if unknown:
            raise InvalidEventError(
                "event", "has more than event_type, payload and id, and is no CloudEvent"
            )
        if "payload" not in document:
            raise InvalidEventError("payload", "is missing; null is allowed, but spelled out")
        event_type = document.get("event_type")
        if not isinstance(event_type, str):
            raise InvalidEventError("event_type", "must be a string")
        self._check(event_type)
        return self._of_parts(event_type, document["payload"], document.get("id"))

    def _of_parts(self, event_type: str, payload: Any, delivery_id: object) -> NormalizedEvent:
        if delivery_id is None:
            return NormalizedEvent(event_type, SOURCE, payload, self.metadata)
        if not isinstance(delivery_id, str) or not (
            delivery_id and is_short_ascii(delivery_id, DELIVERY_ID_CHARS_MAX)
        ):
            raise InvalidEventError(
                "id", f"must be printable ASCII of 1 to {DELIVERY_ID_CHARS_MAX} characters"
            )
        metadata = {**self.metadata, "delivery_id": delivery_id}
        return NormalizedEvent(event_type, SOURCE, payload, metadata, delivery_id)

    def _of_cloudevent(self, document: object) -> NormalizedEvent:
        cloudevent = parse_document(document)
        event_type = cloudevent.text("type")
        self._check(event_type)
        return event_of_cloudevent(cloudevent, event_type, self.metadata)

    def _check(self, event_type: str) -> None:
        check_own_type(event_type)
        self.check_type(event_type)


def _read(place: str, item: T, make: Callable[[T], NormalizedEvent]) -> Item:
    try:
        return make(item)
    except InvalidEventError as error:
        return InvalidEventError(place, str(error))


def _number_lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    return enumerate(body.split(b"\n"), 1)


def _check_count(items: int) -> None:
    if items > ITEMS_MAX:
        raise InvalidEventError(
            "batch", f"has {items} items; at most {ITEMS_MAX} go in one request"
        )
