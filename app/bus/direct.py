"""Reading what streams hold, many messages in one question, over one shared inbox.

In: a stream and a subject with wildcards. Out: its messages in the order stored. Refuses answers
that are larger than the asker allows; UnavailableError when nobody answers within the deadline.

A question is asked again while nobody has the stream, after a reconnect, and when an answer stopped
half-way or lost a message: each message names the one before it. On a replicated stream a question
may be answered by a follower that is a moment behind (up to one in four, right after the write).

A subscription of its own for each question would cost 0.6 ms, and 12 ms at its worst (measured).
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from actors.errors import UnavailableError
from app.bus.connection import Bus, Subscription
from app.bus.wire import Received
from app.errors import BusError

DEADLINE_SECONDS: Final = 5.0
SILENCE_SECONDS_MAX: Final = 1.0
"""A question without any answer for so long is asked again."""
PAUSE_SECONDS: Final = 0.1
QUESTIONS_MAX: Final = 256
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
RETRY_AFTER_SECONDS: Final = 1.0

_END: Final = "204"
_NOTHING: Final = "404"
_TOO_MANY: Final = "413"
_NO_RESPONDERS: Final = "503"
_SEQUENCE: Final = "Nats-Sequence"
_TIME_MS_MAX: Final = 253_402_300_799_999
"""The last one of the year 9999."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as a stream holds it; headers include those the server adds."""

    subject: str
    sequence: int
    data: bytes
    headers: Mapping[str, str]


@dataclass(slots=True)
class Batch:
    """What one question brought."""

    messages: list[StoredMessage] = field(default_factory=list)
    pending: int = 0
    """How many more there were to give."""
    up_to_sequence: int = 0
    """The stream's last sequence when the question was answered, where the server says it."""
    is_too_many: bool = False


class _Question:
    """One question under way. Its future ends with a batch, None to ask again, or an error."""

    __slots__ = ("batch", "bytes", "bytes_max", "future", "heard_at", "last_sequence")

    def __init__(self, bytes_max: int, now: float) -> None:
        self.batch = Batch()
        self.future: asyncio.Future[Batch | None] = asyncio.get_running_loop().create_future()
        self.bytes = 0
        self.bytes_max = bytes_max
        self.heard_at = now
        self.last_sequence = 0

    def hear(self, headers: Mapping[str, str], data: bytes) -> None:
        """Take one message of the answer."""
        if self.future.done():
            return
        if _SEQUENCE in headers:
            self._take(headers, data)
        else:
            self._end(headers)

    def _take(self, headers: Mapping[str, str], data: bytes) -> None:
        if int(headers.get("Nats-Last-Sequence", self.last_sequence)) != self.last_sequence:
            self.future.set_result(None)  # one got lost on its way to us
            return
        self.last_sequence = int(headers[_SEQUENCE])
        self.bytes += len(data)
        if self.bytes > self.bytes_max:
            self.future.set_exception(BusError(f"the answer has over {self.bytes_max} bytes"))
            return
        subject = headers.get("Nats-Subject", "")
        self.batch.messages.append(StoredMessage(subject, self.last_sequence, data, headers))

    def _end(self, headers: Mapping[str, str]) -> None:
        status = headers.get("Status", "")
        batch = self.batch
        if status == _END:
            if int(headers.get("Nats-Last-Sequence", self.last_sequence)) != self.last_sequence:
                self.future.set_result(None)
                return
            batch.pending = int(headers.get("Nats-Num-Pending", 0))
            batch.up_to_sequence = int(headers.get("Nats-UpTo-Sequence", 0))
        elif status == _TOO_MANY:
            batch.is_too_many = True
        elif status == _NO_RESPONDERS:
            self.future.set_result(None)
            return
        elif status != _NOTHING:
            text = f"{status} {headers.get('Description', '')}"
            self.future.set_exception(BusError(f"the stream does not answer: {text}"))
            return
        self.future.set_result(batch)


class DirectReader:
    """Reads of one process. Make one with `DirectReader.start`."""

    def __init__(self, bus: Bus, *, deadline_seconds: float) -> None:
        self._bus = bus
        self._deadline_seconds = deadline_seconds
        self._inbox = bus.new_inbox() + "."
        self._questions: dict[str, _Question] = {}
        self._asked = 0
        self._room = asyncio.Semaphore(QUESTIONS_MAX)
        self._loop = asyncio.get_running_loop()
        self._subscription: Subscription | None = None

    @classmethod
    async def start(cls, bus: Bus, *, deadline_seconds: float = DEADLINE_SECONDS) -> "DirectReader":
        """Listen for answers; each question has ``deadline_seconds`` to be answered."""
        reader = cls(bus, deadline_seconds=deadline_seconds)
        reader._subscription = await bus.subscribe(reader._inbox + "*", reader._on_answer)
        bus.on_reconnect(reader._on_reconnect)
        return reader

    @property
    def bus(self) -> Bus:
        """The connection it asks on."""
        return self._bus

    async def close(self) -> None:
        """Listen no more; questions under way end with UnavailableError."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await self._bus.unsubscribe(subscription)
        for question in self._questions.values():
            if not question.future.done():
                question.future.set_exception(self._unanswered())

    async def last_of_each(
        self, stream: str, pattern: str, *, bytes_max: int = ANSWER_BYTES_MAX
    ) -> list[StoredMessage] | None:
        """Give the last message of each subject that matches, in the order stored.

        None: more than 1,024 subjects match, and the server counts no further. BusError: the
        messages have more than ``bytes_max`` bytes together.
        """
        found: list[StoredMessage] = []
        question: dict[str, Any] = {"multi_last": [pattern]}
        while True:
            batch = await self._ask(stream, question, bytes_max)
            if batch.is_too_many:
                return None
            found += batch.messages
            if not batch.pending or not batch.messages:
                return sorted(found, key=lambda message: message.sequence)
            # The server stops at a number of bytes of its own (64 MiB, measured).
            bytes_max -= sum(len(message.data) for message in batch.messages)
            question["seq"] = batch.messages[-1].sequence + 1
            question["up_to_seq"] = batch.up_to_sequence

    async def page(
        self,
        stream: str,
        pattern: str,
        *,
        from_sequence: int = 1,
        count_max: int,
        bytes_max: int = ANSWER_BYTES_MAX,
    ) -> Batch:
        """Give the next messages that match, at most ``count_max``, in the order stored.

        20 ms where many others lie between (measured): for listings, not for hot paths.
        """
        question = {"next_by_subj": pattern, "seq": from_sequence, "batch": count_max}
        return await self._ask(stream, question, bytes_max)

    async def step(
        self, stream: str, pattern: str, *, from_sequence: int, count_max: int, bytes_cut: int
    ) -> Batch:
        """Give what `page` gives, but no more of it once it has ``bytes_cut``: one at least."""
        question = {
            "next_by_subj": pattern,
            "seq": from_sequence,
            "batch": count_max,
            "max_bytes": bytes_cut,
        }
        return await self._ask(stream, question, ANSWER_BYTES_MAX)

    async def first_since(self, stream: str, pattern: str, time_ms: int) -> StoredMessage | None:
        """Give the first message that matches and was stored at that time or later."""
        question = {"next_by_subj": pattern, "start_time": _rfc3339(time_ms), "batch": 1}
        batch = await self._ask(stream, question, ANSWER_BYTES_MAX)
        return batch.messages[0] if batch.messages else None

    async def _ask(self, stream: str, question: Mapping[str, Any], bytes_max: int) -> Batch:
        body = msgspec.json.encode(question)
        try:
            async with asyncio.timeout(self._deadline_seconds), self._room:
                while True:
                    batch = await self._ask_once(stream, body, bytes_max)
                    if batch is not None:
                        return batch
                    await asyncio.sleep(PAUSE_SECONDS)
        except TimeoutError:
            raise self._unanswered() from None

    async def _ask_once(self, stream: str, body: bytes, bytes_max: int) -> Batch | None:
        """Ask, and give None where asking again may help."""
        if self._subscription is None:
            raise self._unanswered()
        if not self._bus.is_connected:
            return None
        self._asked += 1
        token = f"{self._asked:x}"
        question = self._questions[token] = _Question(bytes_max, self._loop.time())
        try:
            self._bus.send(f"$JS.API.DIRECT.GET.{stream}", body, reply=self._inbox + token)
            while not question.future.done():
                silent = self._loop.time() - question.heard_at
                if silent >= SILENCE_SECONDS_MAX:
                    return None
                await asyncio.wait((question.future,), timeout=SILENCE_SECONDS_MAX - silent)
            return question.future.result()
        finally:
            del self._questions[token]
            question.future.cancel()

    def _on_answer(self, message: Received) -> None:
        question = self._questions.get(message.subject[len(self._inbox) :])
        if question is not None:
            question.heard_at = self._loop.time()
            question.hear(message.headers or {}, message.data)

    def _on_reconnect(self) -> None:
        for question in self._questions.values():
            if not question.future.done():
                question.future.set_result(None)

    def _unanswered(self) -> UnavailableError:
        return UnavailableError(
            "NATS did not answer in time", retry_after_seconds=RETRY_AFTER_SECONDS
        )


def _rfc3339(time_ms: int) -> str:
    time_ms = min(time_ms, _TIME_MS_MAX)
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"
