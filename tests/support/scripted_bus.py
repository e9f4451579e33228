"""A bus whose server is the test: what was sent is kept, what is received the test says.

For behaviour that a real server shows only by luck: refusals, lost answers, missed heartbeats.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from actors.errors import UnavailableError
from app.bus.servers import Doubt
from app.bus.wire import Received, build_frame


@dataclass
class Told:
    """A message as subscriptions receive it."""

    subject: str
    reply: str = ""
    data: bytes = b""
    headers: dict[str, str] | None = None


@dataclass(frozen=True)
class Sent:
    """A message as the server would read it."""

    subject: str
    reply: str
    headers: bytes
    data: bytes


@dataclass
class Interest:
    """One subscription."""

    subject: str
    callback: Callable[[Received], None]


def parse_frame(frame: bytes) -> Sent:
    """Read one publish command."""
    line, _, rest = frame.partition(b"\r\n")
    tokens = line.decode().split(" ")
    verb, subject, reply, *sizes = tokens
    assert verb == ("HPUB" if len(sizes) == 2 else "PUB")
    header_bytes = int(sizes[0]) if verb == "HPUB" else 0
    body = rest[: int(sizes[-1])]
    assert rest[int(sizes[-1]) :] == b"\r\n"
    return Sent(subject, reply, body[:header_bytes], body[header_bytes:])


class ScriptedBus:
    """Stands where a `Bus` stands; hand it over as one with `as_bus`."""

    def __init__(self) -> None:
        self.is_connected = True
        self.session = 1
        self.lone_server: str | None = "scripted"
        self.departures = 0
        self.now = 0.0
        """What the doubt takes for the time."""
        self.doubt = Doubt(lambda: self.now, self._leave)
        self.answers: dict[str, Any] = {}
        """What is answered to requests, by subject: a document; nobody answers the others."""
        self.asked: list[str] = []
        self.has_room = True
        self.payload_bytes_max = 1024 * 1024
        self.sent: list[Sent] = []
        self.interests: list[Interest] = []
        self.ended: list[tuple[str, bool]] = []
        self.reconnected: list[Callable[[], None]] = []
        self._changed = asyncio.Event()
        self._inboxes = 0

    def as_bus(self) -> Any:
        return self

    def _leave(self) -> None:
        self.departures += 1

    # ── As the bus ───────────────────────────────────────────────────────────────────────────

    def send(self, subject: str, data: bytes, *, reply: str = "", headers: bytes = b"") -> bool:
        return self.send_frame(build_frame(subject, data, reply=reply, headers=headers))

    def send_frame(self, frame: bytes) -> bool:
        if self.has_room:
            self.sent.append(parse_frame(frame))
            self._changed.set()
        return self.has_room

    async def subscribe(self, subject: str, callback: Callable[[Received], None]) -> Interest:
        await asyncio.sleep(0)  # as a real one, it lets others run
        interest = Interest(subject, callback)
        self.interests.append(interest)
        return interest

    async def unsubscribe(self, interest: Interest, *, drains: bool = False) -> None:
        self.interests.remove(interest)
        self.ended.append((interest.subject, drains))

    async def request(self, subject: str, data: bytes, **more: object) -> Told:
        self.asked.append(subject)
        await asyncio.sleep(0)
        if subject not in self.answers:
            raise UnavailableError("nobody answers")
        return Told("_INBOX.answer", data=json.dumps(self.answers[subject]).encode())

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        self.reconnected.append(callback)

    def new_inbox(self) -> str:
        self._inboxes += 1
        return f"_INBOX.test.{self._inboxes}"

    # ── As the server ────────────────────────────────────────────────────────────────────────

    def tell(
        self,
        subject: str,
        *,
        data: bytes = b"",
        reply: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        """Deliver one message to the newest subscription, whose inbox the test has."""
        self.interests[-1].callback(Told(subject, reply, data, headers))

    def lose(self) -> None:
        """Cut the connection."""
        self.is_connected = False
        self.session += 1

    def return_(self) -> None:
        """Bring the connection back."""
        self.is_connected = True
        self.session += 1
        for callback in self.reconnected:
            callback()

    async def wait_sent(self, count: int) -> Sent:
        """Wait until so many messages were sent in all, and give the last."""
        async with asyncio.timeout(10):
            while len(self.sent) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.sent[count - 1]
