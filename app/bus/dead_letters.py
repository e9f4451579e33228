"""Dead letters onto the bus: the adapter behind `DeadLetters`.

In: a failed run's event, or a message that is no event. Out: nothing, once the DEAD stream has it.
Refuses nothing: raw bytes and events that would not fit are cut and marked.
"""

import base64
from typing import Any, Final

from actors.errors import InvalidEventError
from actors.ports import DeadLetter
from actors.subjects import dead_letter_subject
from app.bus.acked_publisher import AckedPublisher
from app.bus.codec import EVENT_BYTES_MAX, encode_json
from app.bus.headers import JSON_CONTENT, MESSAGE_ID
from app.bus.storing import wait_all
from app.bus.wire import build_headers

RAW_BYTES_MAX: Final = 512 * 1024
"""Kept of a message that is no event; a third more once it is base64."""
TEXT_CHARS_MAX: Final = 4000
LETTER_BYTES_MAX: Final = EVENT_BYTES_MAX + 64 * 1024


class JetStreamDeadLetters:
    """Parks the dead letters of one env, of any tenant."""

    def __init__(self, publisher: AckedPublisher, *, env: str) -> None:
        self._publisher = publisher
        self._env = env

    async def park(self, letter: DeadLetter) -> None:
        """Return once it is stored; the same letter id again is one letter."""
        future = await self._publisher.publish_when_room(
            dead_letter_subject(self._env, letter.tenant),
            encode_letter(letter),
            build_headers(((MESSAGE_ID, f"{letter.tenant}:{letter.letter_id}"), JSON_CONTENT)),
        )
        await wait_all([future])


def letter_document(letter: DeadLetter) -> dict[str, Any]:
    """Give a letter's document; ``raw`` is base64, cut to `RAW_BYTES_MAX`."""
    raw = letter.raw
    error = letter.error.as_mapping()
    return {
        "letter_id": letter.letter_id,
        "tenant": letter.tenant,
        "reason": letter.reason,
        "error": error | {"message": letter.error.message[:TEXT_CHARS_MAX]},
        "attempts": letter.attempts,
        "flow": letter.flow,
        "event": None if letter.event is None else letter.event.as_mapping(),
        "subject": letter.subject,
        "raw": None if raw is None else base64.b64encode(raw[:RAW_BYTES_MAX]).decode(),
        "raw_bytes": None if raw is None else len(raw),
    }


def encode_letter(letter: DeadLetter) -> bytes:
    """Write a letter. An event that cannot be written is left out, and its id kept."""
    document = letter_document(letter)
    try:
        data = encode_json(document, "event")
        if len(data) <= LETTER_BYTES_MAX:
            return data
    except InvalidEventError:
        pass
    document["event"] = None
    document["event_id"] = None if letter.event is None else letter.event.id
    return encode_json(document, "letter")
