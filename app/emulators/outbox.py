"""What was sent, kept in memory for a developer to look at.

In: messages as the emulators took them. Out: the newest ones, and each by its id. Refuses nothing:
when it is full the oldest message goes, and that is counted.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

EMAIL: Final = "email"
SMS: Final = "sms"

MESSAGES_MAX: Final = 1000
BYTES_MAX: Final = 64 * 1024 * 1024
NOTES_MAX: Final = 20
OVERHEAD_BYTES: Final = 1024
"""What a message costs beside its content."""
EXCERPT_CHARS_MAX: Final = 120


@dataclass(slots=True)
class OutboxMessage:
    """One message. ``raw`` is what the emulator was given, as JSON, long contents left out."""

    id: str
    kind: str
    """`EMAIL` or `SMS`."""
    via: str
    """Which emulator took it: ``sendgrid``, ``smtp`` or ``twilio``."""
    at_ms: int
    sender: str
    to: Sequence[str]
    subject: str = ""
    body: str = ""
    html: str = ""
    attachments: Sequence[Mapping[str, Any]] = ()
    raw: Any = None
    size_bytes: int = 0
    notes: list[str] = field(default_factory=list)
    """What became of it: the statuses that were reported, and how."""

    def as_summary(self) -> dict[str, Any]:
        """Give a line of the list."""
        excerpt = self.subject or self.body or self.html
        return {
            "id": self.id,
            "kind": self.kind,
            "via": self.via,
            "at_ms": self.at_ms,
            "from": self.sender,
            "to": list(self.to),
            "subject": self.subject,
            "excerpt": " ".join(excerpt[: EXCERPT_CHARS_MAX * 2].split())[:EXCERPT_CHARS_MAX],
            "attachments": len(self.attachments),
        }

    def as_document(self) -> dict[str, Any]:
        """Give all of it."""
        return {
            **self.as_summary(),
            "body": self.body,
            "html": self.html,
            "attachments": [dict(each) for each in self.attachments],
            "size_bytes": self.size_bytes,
            "notes": list(self.notes),
            "raw": self.raw,
        }


class Outbox:
    """The newest messages, bounded in number and in bytes."""

    def __init__(self, *, messages_max: int = MESSAGES_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._messages: OrderedDict[str, OutboxMessage] = OrderedDict()
        self._bytes = 0
        self.dropped = 0
        """How many messages had to go."""

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, message: OutboxMessage) -> None:
        """Keep a message; the oldest ones go while there is no room."""
        self._messages[message.id] = message
        self._bytes += _cost(message)
        while len(self._messages) > self._messages_max or (
            self._bytes > self._bytes_max and len(self._messages) > 1
        ):
            _, oldest = self._messages.popitem(last=False)
            self._bytes -= _cost(oldest)
            self.dropped += 1

    def find(self, message_id: str) -> OutboxMessage | None:
        """Give a message by its id, if it is still here."""
        return self._messages.get(message_id)

    def newest(self, *, kind: str | None = None, count_max: int = 100) -> list[OutboxMessage]:
        """Give the newest messages of a kind, or of all, the newest first."""
        found: list[OutboxMessage] = []
        for message in reversed(self._messages.values()):
            if len(found) >= count_max:
                break
            if kind is None or message.kind == kind:
                found.append(message)
        return found

    def note(self, message_id: str, text: str) -> None:
        """Add what became of a message, if it is still here."""
        message = self._messages.get(message_id)
        if message is not None and len(message.notes) < NOTES_MAX:
            message.notes.append(text)


def _cost(message: OutboxMessage) -> int:
    return message.size_bytes + OVERHEAD_BYTES
