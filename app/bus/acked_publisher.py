"""Publishing with acknowledgement, many at a time, over one shared inbox.

In: subject, data, headers. Out: a future of the stream's acknowledgement. Refuses more messages or
bytes in flight than its limits, and messages larger than the server takes.

A publish is repeated within its deadline while nobody has the stream (a dying leader answers
nobody for seconds), while the cluster says that it cannot now, after a reconnect, and when no
answer came: every message of ours carries a ``Nats-Msg-Id``, or its subject is written once, so the
stream keeps one. After the deadline UnavailableError says that nothing is known to be stored.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from actors.errors import UnavailableError
from app.bus.connection import Bus
from app.bus.wire import Received, build_frame
from app.errors import BusError

IN_FLIGHT_MAX: Final = 8192
IN_FLIGHT_BYTES_MAX: Final = 48 * 1024 * 1024
DEADLINE_SECONDS: Final = 5.0
"""For senders that wait: the election of a leader (4 to 7 s) may take longer, and they repeat."""
PATIENT_SECONDS: Final = 15.0
"""For what workers store: two elections, and half of the consumers' ack_wait."""
RETRY_AFTER_SECONDS: Final = 1.0
RESEND_SECONDS: Final = 1.0
"""An unanswered publish is sent again after this: its leader may have died with the question."""
BACKOFF_FIRST_SECONDS: Final = 0.05
BACKOFF_MAX_SECONDS: Final = 0.5
TICK_SECONDS: Final = 0.05

DUPLICATE_IN_PROCESS: Final = 10158
"""The same message id is being stored at this moment: ask again for the first one's sequence."""
STORE_FAILED: Final = 10077
STORAGE_EXCEEDED: Final = 10047
NOT_ASSIGNED: Final = 10007
NOT_LEADER: Final = 10009
STREAM_OFFLINE: Final = 10118
TEMPORARY: Final = frozenset({DUPLICATE_IN_PROCESS, NOT_ASSIGNED, NOT_LEADER, STREAM_OFFLINE})
"""What a cluster says while a leader changes, besides all that it calls unavailable (503)."""
FULL: Final = frozenset({STORE_FAILED, STORAGE_EXCEEDED})
"""Called unavailable too, but who asks again at once hears it again."""

_SERVICE_UNAVAILABLE: Final = 503
_NO_RESPONDERS: Final = "503"


@dataclass(frozen=True, slots=True)
class PubAck:
    """The stream's acknowledgement: where the message is, or where the first of its id is."""

    stream: str
    sequence: int
    duplicate: bool
    sends: int = 1
    """How often we sent it: a duplicate after two sends may be our own first."""


class PublishRefusedError(BusError):
    """The stream refused a message and will refuse it again."""

    code = "bus.publish_refused"


class StoreFailedError(UnavailableError):
    """The stream could not store a message now; ``server_code`` is the server's ``err_code``.

    10077 stands for a full disk, a full stream and, where a subject is written once, for the
    second write.
    """

    def __init__(self, description: str, *, server_code: int) -> None:
        text = f"the stream does not store: {description}"
        super().__init__(text, retry_after_seconds=RETRY_AFTER_SECONDS)
        self.server_code = server_code


Outcome = PubAck | UnavailableError | PublishRefusedError
Done = Callable[[Outcome], None]


class _ErrorDocument(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _AckDocument(msgspec.Struct):
    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: _ErrorDocument | None = None


class _Pending:
    """One publish on its way."""

    __slots__ = ("bytes", "deadline", "done", "frame", "refusal", "refusals", "send_at", "sends")

    def __init__(self, frame: bytes, done: Done, deadline: float) -> None:
        self.frame = frame
        self.done = done
        self.deadline = deadline
        self.bytes = len(frame)
        self.sends = 0
        self.send_at = 0.0
        self.refusals = 0
        self.refusal = ""
        """What the cluster said last."""


class AckedPublisher:
    """Publishes of one process. Make one with `AckedPublisher.start`."""

    def __init__(self, bus: Bus, *, deadline_seconds: float, in_flight_max: int) -> None:
        self._bus = bus
        self._deadline_seconds = deadline_seconds
        self._in_flight_max = in_flight_max
        self._inbox = bus.new_inbox() + "."
        self._pending: dict[str, _Pending] = {}
        self._pending_bytes = 0
        self._sent = 0
        self._room = asyncio.Event()
        self._room.set()
        self._tick_handle: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._decoder = msgspec.json.Decoder(_AckDocument)
        self._jitter = random.Random()  # noqa: S311 - spreads repeats, hides nothing
        self._is_closed = False

    @classmethod
    async def start(
        cls,
        bus: Bus,
        *,
        deadline_seconds: float = DEADLINE_SECONDS,
        in_flight_max: int = IN_FLIGHT_MAX,
    ) -> "AckedPublisher":
        """Listen for acknowledgements; each publish has ``deadline_seconds`` to be stored."""
        publisher = cls(bus, deadline_seconds=deadline_seconds, in_flight_max=in_flight_max)
        await bus.subscribe(publisher._inbox + "*", publisher._on_answer)
        bus.on_reconnect(publisher._on_reconnect)
        return publisher

    @property
    def bus(self) -> Bus:
        """The connection it publishes on."""
        return self._bus

    @property
    def in_flight(self) -> int:
        """Publishes not yet acknowledged."""
        return len(self._pending)

    def publish(self, subject: str, data: bytes, headers: bytes) -> "asyncio.Future[PubAck]":
        """Send at once; the future fails with UnavailableError or PublishRefusedError."""
        future: asyncio.Future[PubAck] = self._loop.create_future()

        def settle(outcome: Outcome) -> None:
            if future.done():
                return
            if isinstance(outcome, PubAck):
                future.set_result(outcome)
            else:
                future.set_exception(outcome)

        self.publish_then(subject, data, headers, settle)
        return future

    async def publish_when_room(
        self, subject: str, data: bytes, headers: bytes
    ) -> "asyncio.Future[PubAck]":
        """Wait for room among the publishes in flight, then send; see `publish`."""
        while not self._has_room(len(data)) and not self._is_closed:
            self._room.clear()
            await self._room.wait()
        return self.publish(subject, data, headers)

    def publish_then(self, subject: str, data: bytes, headers: bytes, done: Done) -> None:
        """Send at once and call ``done`` with what became of it, perhaps before returning."""
        if len(data) + len(headers) > self._bus.payload_bytes_max:
            limit = self._bus.payload_bytes_max
            done(PublishRefusedError(f"the message is larger than {limit} bytes"))
            return
        if self._is_closed or not self._has_room(len(data)):
            done(
                UnavailableError(
                    "too many messages are on their way to NATS",
                    retry_after_seconds=RETRY_AFTER_SECONDS,
                )
            )
            return
        self._sent += 1
        token = f"{self._sent:x}"
        frame = build_frame(subject, data, reply=self._inbox + token, headers=headers)
        now = self._loop.time()
        pending = _Pending(frame, done, now + self._deadline_seconds)
        self._pending[token] = pending
        self._pending_bytes += pending.bytes
        self._send(pending, now)
        if self._tick_handle is None:
            self._tick_handle = self._loop.call_later(TICK_SECONDS, self._tick)

    def close(self) -> None:
        """Fail what is still on its way; later publishes are refused."""
        self._is_closed = True
        if self._tick_handle is not None:
            self._tick_handle.cancel()
        for token in list(self._pending):
            self._finish(token, _unanswered(self._pending[token]))
        self._room.set()

    def _has_room(self, data_bytes: int) -> bool:
        if len(self._pending) >= self._in_flight_max:
            return False
        return self._pending_bytes + data_bytes <= IN_FLIGHT_BYTES_MAX

    def _send(self, pending: _Pending, now: float) -> None:
        """Write it if the bus is there; `_on_reconnect` or the tick sends it otherwise."""
        if self._bus.is_connected and self._bus.send_frame(pending.frame):
            pending.sends += 1
        pending.send_at = now + RESEND_SECONDS

    def _on_answer(self, message: Received) -> None:
        token = message.subject[len(self._inbox) :]
        pending = self._pending.get(token)
        if pending is None:
            return  # answered already, or its deadline is over
        if not message.data:
            if (message.headers or {}).get("Status") == _NO_RESPONDERS:
                self._bus.doubt.unheard()
                self._put_off(pending, "nobody has the stream")
            return
        try:
            document = self._decoder.decode(message.data)
        except msgspec.DecodeError:
            self._finish(token, PublishRefusedError("the acknowledgement is not readable"))
            return
        if document.error is None:
            if self._bus.doubt.is_raised:
                self._bus.doubt.heard()
            ack = PubAck(document.stream, document.seq, document.duplicate, pending.sends)
            self._finish(token, ack)
        else:
            self._on_error(token, pending, document.error)

    def _on_error(self, token: str, pending: _Pending, error: _ErrorDocument) -> None:
        is_unavailable = error.code == _SERVICE_UNAVAILABLE
        is_full = error.err_code in FULL
        if error.err_code in TEMPORARY or (is_unavailable and not is_full):
            self._put_off(pending, error.description)
        elif is_unavailable or is_full:
            # The stream is full or its store fails: the caller decides whether to try again.
            failure = StoreFailedError(error.description, server_code=error.err_code)
            self._finish(token, failure)
        else:
            refusal = PublishRefusedError(error.description, server_code=error.err_code)
            self._finish(token, refusal)

    def _put_off(self, pending: _Pending, refusal: str) -> None:
        """Let the tick send it again, after a pause that grows."""
        pause = min(BACKOFF_FIRST_SECONDS * 2 ** min(pending.refusals, 6), BACKOFF_MAX_SECONDS)
        pending.refusal = refusal
        pending.refusals += 1
        pending.send_at = self._loop.time() + pause * self._jitter.uniform(0.5, 1.5)

    def _on_reconnect(self) -> None:
        now = self._loop.time()
        for pending in self._pending.values():
            self._send(pending, now)

    def _tick(self) -> None:
        now = self._loop.time()
        is_connected = self._bus.is_connected
        for token, pending in list(self._pending.items()):
            if pending.deadline <= now:
                self._finish(token, _unanswered(pending))
            elif pending.send_at <= now and is_connected:
                if pending.sends > pending.refusals:
                    self._bus.doubt.unheard()
                self._send(pending, now)
        self._tick_handle = None
        if self._pending:
            self._tick_handle = self._loop.call_later(TICK_SECONDS, self._tick)

    def _finish(self, token: str, outcome: Outcome) -> None:
        pending = self._pending.pop(token)
        self._pending_bytes -= pending.bytes
        if not self._room.is_set():
            self._room.set()
        pending.done(outcome)


def _unanswered(pending: _Pending) -> UnavailableError:
    why = f": {pending.refusal}" if pending.refusal else ""
    return UnavailableError(
        f"NATS did not acknowledge in time{why}", retry_after_seconds=RETRY_AFTER_SECONDS
    )
