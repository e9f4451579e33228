"""Answers to waiting webhooks, over plain NATS: both ends of the reply subject (DESIGN 3).

In, at a worker: an answer, or the news that a run has ended, and where the webhook waits. Out, at
the ingress: the same, to the one that waits. Refuses to send to any subject that has not the form
of a reply subject. Best effort: an answer for nobody is nothing.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from actors.errors import InvalidEventError
from actors.outcomes import Answer, Ended
from actors.subjects import is_reply_subject, reply_subject
from app.bus.codec import decode_json, encode_json
from app.bus.connection import Bus, Subscription
from app.bus.wire import Received

ANSWER_BYTES_MAX: Final = 600 * 1024
"""A body of the largest output (SPEC 13), its headers and the document around them."""
MESSAGES_MAX: Final = 64
"""What one waiting webhook may have unread; later ones are dropped."""
CHANCE_BYTES: Final = 16
"""What nobody guesses within the seconds that a webhook waits."""

_UNSENDABLE: Final = Answer(status=502, body="the flow's answer cannot be sent")


class NatsAnswers:
    """The worker's end."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def send(self, reply_to: str, message: Answer | Ended) -> None:
        """Send without waiting; an unreachable listener is no error."""
        if is_reply_subject(reply_to):
            self._bus.send(reply_to, encode_answer(message))


class AnswerWaiter:
    """The inbox of one waiting webhook."""

    def __init__(self, reply_to: str) -> None:
        self._reply_to = reply_to
        self._messages: deque[Answer | Ended] = deque()
        self._arrived = asyncio.Event()

    @property
    def reply_to(self) -> str:
        """The subject workers answer on."""
        return self._reply_to

    def take(self, message: Answer | Ended) -> None:
        """Keep a message until it is read."""
        if len(self._messages) < MESSAGES_MAX:
            self._messages.append(message)
            self._arrived.set()

    async def next_message(self, timeout_seconds: float) -> Answer | Ended | None:
        """Give what came next, None when nothing did within the time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while not self._messages:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return None
        return self._messages.popleft()


class AnswerInbox:
    """The ingress's end: one subscription for all its waiting webhooks."""

    def __init__(self, bus: Bus, instance: str) -> None:
        self._bus = bus
        self._instance = instance
        self._waiting: dict[str, AnswerWaiter] = {}
        self._subscription: Subscription | None = None

    @classmethod
    async def start(cls, bus: Bus, instance: str) -> "AnswerInbox":
        """Listen on ``greentic.reply.{instance}.*``; ``instance`` is this process's own token."""
        inbox = cls(bus, instance)
        inbox._subscription = await bus.subscribe(reply_subject(instance, "*"), inbox._on_message)
        return inbox

    @property
    def waiting(self) -> int:
        """How many webhooks wait."""
        return len(self._waiting)

    @contextmanager
    def open(self, event_id: str) -> Iterator[AnswerWaiter]:
        """Listen for one event's answers until the context ends.

        The subject's end is chance: tenants that publish on the bus choose ids and headers of
        their events, and must not hit upon where somebody else's webhook waits.
        """
        plain = reply_subject(self._instance, event_id)
        subject = f"{plain}-{secrets.token_hex(CHANCE_BYTES)}"
        if not (is_reply_subject(plain) and is_reply_subject(subject)):
            raise ValueError(f"{plain!r} is no reply subject")
        waiter = AnswerWaiter(subject)
        self._waiting[subject] = waiter
        try:
            yield waiter
        finally:
            if self._waiting.get(subject) is waiter:
                del self._waiting[subject]

    async def close(self) -> None:
        """Stop listening."""
        if self._subscription is not None:
            await self._bus.unsubscribe(self._subscription)

    def _on_message(self, message: Received) -> None:
        waiter = self._waiting.get(message.subject)
        if waiter is None:
            return
        decoded = decode_answer(message.data)
        if decoded is not None:
            waiter.take(decoded)


def encode_answer(message: Answer | Ended) -> bytes:
    """Write an answer, or a 502 in place of one that is too large or no JSON."""
    if isinstance(message, Ended):
        return encode_json({"ended": {"run_id": message.run_id, "status": message.status}}, "end")
    try:
        data = _encode(message)
    except InvalidEventError:
        return _encode(_UNSENDABLE)
    return data if len(data) <= ANSWER_BYTES_MAX else _encode(_UNSENDABLE)


def decode_answer(data: bytes) -> Answer | Ended | None:
    """Read an answer off the bus; `encode_answer` is its inverse. None for anything else."""
    if len(data) > ANSWER_BYTES_MAX:
        return None
    try:
        document = decode_json(data, "answer")
    except InvalidEventError:
        return None
    match document:
        case {"ended": {"run_id": str(run_id), "status": str(status)}}:
            return Ended(run_id, status)
        case {"answer": {"status": int(status), "headers": dict(headers), "body": body}}:
            return Answer(status, _texts(headers), body)
        case _:
            return None


def _encode(answer: Answer) -> bytes:
    fields = {"status": answer.status, "headers": dict(answer.headers), "body": answer.body}
    return encode_json({"answer": fields}, "answer")


def _texts(headers: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if isinstance(value, str)}
