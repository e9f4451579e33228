"""Answers in memory: what each waiting webhook was told."""

from actors.outcomes import Answer, Ended
from actors.subjects import is_reply_subject


class MemoryAnswers:
    """Keeps what was sent, per reply subject; like the bus it ignores any other subject."""

    def __init__(self) -> None:
        self.sent: dict[str, list[Answer | Ended]] = {}

    def send(self, reply_to: str, message: Answer | Ended) -> None:
        """Remember one message."""
        if is_reply_subject(reply_to):
            self.sent.setdefault(reply_to, []).append(message)
