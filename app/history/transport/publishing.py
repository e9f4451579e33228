"""Publishing with acknowledgement, many at a time.

In: subject, data, headers. Out: a future of Faust's metadata, its offset the sequence that the
stream gave it. Refuses
(`ProducerSendError` in the future) what the stream refuses for good: too large, not allowed, a
stream that is not there. Whatever is not answered is sent again until it is, with the same message
id, so that the stream keeps one within its duplicate window.

Of a keyed subject one message is under way at a time, since the stream keeps the last one that
comes: a newer one waits for the answer to the older, and replaces one that waits already. Else an
older value that is sent again would overwrite a newer one.
"""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import Any, Final

import msgspec
from faust.exceptions import ProducerSendError
from faust.types import TP, RecordMetadata
from mode import get_logger
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from app.history.transport.connection import LOST, Connection
from app.history.transport.errors import LeaseLostError
from app.history.transport.wire import MESSAGE_ID

IN_FLIGHT_MAX: Final = 4_096
"""Messages under way; more make the sender wait."""
IN_FLIGHT_BYTES_MAX: Final = 32 * 1024 * 1024
RESEND_SECONDS: Final = 2.0
TICK_SECONDS: Final = 0.25
NO_STREAM_SECONDS_MAX: Final = 20.0
"""A stream that nobody leads for so long is taken for gone: the producer makes it again."""

_TEMPORARY: Final = frozenset({10158, 10007, 10009, 10118})
"""Said while a leader changes, or the same id is being stored."""
_UNAVAILABLE: Final = 503
_NO_RESPONDERS: Final = "503"

logger = get_logger(__name__)

Guard = Callable[[], bool]


class Stored(asyncio.Future[RecordMetadata]):
    """The future of one message.

    Faust copies its failure into another future, which nobody can reach who sent the message: that
    one counts as looked at, else asyncio complains of each when it is collected.
    """

    copy: asyncio.Future[Any] | None = None

    def add_done_callback(self, fn: Callable[..., object], *, context: Any = None) -> None:
        """Add a callback; Faust's own tells where it copies to."""
        if isinstance(fn, partial):
            self.copy = fn.keywords.get("message", self.copy)
        super().add_done_callback(fn, context=context)

    def look(self) -> None:
        """Count a failure as looked at."""
        for future in (self, self.copy):
            if future is not None and future.done() and not future.cancelled():
                future.exception()


class Outgoing:
    """One message until it is stored. ``futures``: of it, and of those it replaced."""

    __slots__ = (
        "began_at", "data", "futures", "guard", "headers", "is_keyed", "next_at", "subject", "tp",
    )  # fmt: skip

    def __init__(
        self, tp: TP, subject: str, data: bytes, headers: dict[str, str], guard: Guard | None
    ) -> None:
        self.tp = tp
        self.subject = subject
        self.data = data
        self.headers = headers
        self.guard = guard
        self.is_keyed = False
        self.futures: list[Stored] = []
        self.began_at = self.next_at = 0.0


class Publisher:
    """All messages one connection has under way."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._nonce = uuid.uuid4().hex[:16]
        self._sent = 0
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._under_way: dict[str, Outgoing] = {}
        self._bytes = 0
        self._waiting: dict[str, Outgoing] = {}
        """By subject: the newest of a keyed subject whose older one is under way."""
        self._busy: dict[str, str] = {}
        """By keyed subject: the id of what is under way."""
        self._open: set[asyncio.Future[RecordMetadata]] = set()
        self._failure: ProducerSendError | None = None
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._upkeep: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen for acknowledgements."""
        self._inbox = self._connection.new_inbox()
        self._subscription = await self._connection.subscribe(self._inbox + ".*", self._on_answer)
        self._connection.on_reconnect(self._on_reconnect)
        self._upkeep = asyncio.get_running_loop().create_task(self._look_after())

    async def stop(self) -> None:
        """Stop. What is still under way fails."""
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.gather(self._upkeep, return_exceptions=True)
        left = [*self._under_way.values(), *self._waiting.values()]
        self._under_way.clear()
        self._waiting.clear()
        self._busy.clear()
        for outgoing in left:
            _fail(outgoing, ProducerSendError("the producer stopped before it was stored"))

    async def publish(
        self,
        tp: TP,
        subject: str,
        data: bytes,
        headers: Mapping[str, str],
        *,
        is_keyed: bool = False,
        guard: Guard | None = None,
    ) -> asyncio.Future[RecordMetadata]:
        """Send, and give the future of its place; waits while too much is under way.

        ``guard``: asked before every sending; if it says no, nothing is stored (LeaseLostError).
        """
        await self._has_room.wait()
        outgoing = Outgoing(tp, subject, data, dict(headers), guard)
        outgoing.is_keyed = is_keyed
        future = Stored()
        outgoing.futures.append(future)
        self._open.add(future)
        future.add_done_callback(self._note_end)
        if is_keyed and subject in self._busy:
            replaced = self._waiting.get(subject)
            if replaced is not None:
                replaced.futures.append(future)
                outgoing.futures = replaced.futures
            self._waiting[subject] = outgoing
        else:
            await self._begin(outgoing)
        return future

    async def flush(self) -> None:
        """Wait until all that was given so far is stored, however long the server is away.

        Raises the `ProducerSendError` of a message that will never be, once.
        """
        if self._open:
            await asyncio.wait(list(self._open))
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    async def _begin(self, outgoing: Outgoing) -> None:
        self._sent += 1
        number = f"{self._sent:x}"
        outgoing.headers[MESSAGE_ID] = f"{self._nonce}.{number}"
        outgoing.began_at = monotonic()
        self._under_way[number] = outgoing
        self._bytes += len(outgoing.data)
        if outgoing.is_keyed:
            self._busy[outgoing.subject] = number
        if len(self._under_way) >= IN_FLIGHT_MAX or self._bytes >= IN_FLIGHT_BYTES_MAX:
            self._has_room.clear()
        await self._send(number, outgoing)

    async def _send(self, number: str, outgoing: Outgoing) -> None:
        outgoing.next_at = monotonic() + RESEND_SECONDS
        if outgoing.guard is not None and not outgoing.guard():
            self._end(number)
            _fail(outgoing, LeaseLostError(f"{outgoing.subject} has another owner now"))
            return
        if len(outgoing.data) > self._connection.payload_bytes_max:
            self._end(number)
            _fail(outgoing, ProducerSendError(_too_large(outgoing, self._connection)))
            return
        if not self._connection.is_connected:
            return  # the reconnect sends it, in its turn
        try:
            await self._connection.publish(
                outgoing.subject,
                outgoing.data,
                reply=f"{self._inbox}.{number}",
                headers=outgoing.headers,
            )
        except LOST as problem:
            logger.debug("Sent again later: %r", problem)

    async def _on_answer(self, message: Msg) -> None:
        number = message.subject.rpartition(".")[2]
        outgoing = self._under_way.get(number)
        if outgoing is None:
            return  # the answer to a repetition
        if not message.data:
            if (message.headers or {}).get("Status") == _NO_RESPONDERS:
                self._on_nobody(number, outgoing)
            return
        answer = msgspec.json.decode(message.data)
        error = answer.get("error")
        if error is None:
            self._end(number)
            for future in outgoing.futures:
                if not future.done():
                    future.set_result(_metadata(outgoing.tp, int(answer["seq"])))
        elif error.get("err_code") in _TEMPORARY or _is_unavailable(error):
            outgoing.next_at = monotonic() + TICK_SECONDS
        else:
            self._end(number)
            _fail(outgoing, ProducerSendError(f"{outgoing.subject}: {error.get('description')}"))

    def _on_nobody(self, number: str, outgoing: Outgoing) -> None:
        now = monotonic()
        if now - outgoing.began_at < NO_STREAM_SECONDS_MAX:
            outgoing.next_at = now + TICK_SECONDS
            return
        self._end(number)
        _fail(outgoing, ProducerSendError(f"no stream takes {outgoing.subject}"))

    def _end(self, number: str) -> None:
        """Take a message out, and let the newer one of its key go."""
        outgoing = self._under_way.pop(number)
        self._bytes -= len(outgoing.data)
        if len(self._under_way) < IN_FLIGHT_MAX and self._bytes < IN_FLIGHT_BYTES_MAX:
            self._has_room.set()
        if not outgoing.is_keyed:
            return
        self._busy.pop(outgoing.subject, None)
        newer = self._waiting.pop(outgoing.subject, None)
        if newer is not None:
            # Its subject stays taken from this moment on, so that none overtakes it.
            self._busy[newer.subject] = ""
            task = asyncio.get_running_loop().create_task(self._begin(newer))
            task.add_done_callback(_note_failure)

    def _note_end(self, future: asyncio.Future[RecordMetadata]) -> None:
        self._open.discard(future)
        problem = None if future.cancelled() else future.exception()
        if isinstance(problem, ProducerSendError):
            self._failure = problem

    def _on_reconnect(self) -> None:
        now = monotonic()
        for outgoing in self._under_way.values():
            outgoing.next_at = outgoing.began_at = now

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if not self._connection.is_connected:
                continue
            now = monotonic()
            for number, outgoing in list(self._under_way.items()):
                if now >= outgoing.next_at and number in self._under_way:
                    await self._send(number, outgoing)


def _fail(outgoing: Outgoing, problem: Exception) -> None:
    loop = asyncio.get_running_loop()
    for future in outgoing.futures:
        if not future.done():
            future.set_exception(problem)
            loop.call_soon(future.look)  # after the callbacks


def _metadata(tp: TP, sequence: int) -> RecordMetadata:
    return RecordMetadata(tp.topic, tp.partition, tp, sequence)


def _is_unavailable(error: Mapping[str, object]) -> bool:
    return error.get("code") == _UNAVAILABLE and error.get("err_code") not in {10077, 10047}


def _too_large(outgoing: Outgoing, connection: Connection) -> str:
    return (
        f"{outgoing.subject}: {len(outgoing.data)} bytes; "
        f"the server takes {connection.payload_bytes_max}"
    )


def _note_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error("A message could not be sent: %r", task.exception())
