"""A nats-server's key-value buckets in memory, on a clock that a test moves.

It answers what `KvBucket` asks, forgets what has expired by the virtual clock, and lets writes be
heard. It can be made deaf, as a server that is away. `tests/contracts/test_fleet.py` runs on it and
on a real server alike.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from actors.errors import UnavailableError
from actors.testing.clock import VirtualClock
from app.bus.wire import Received
from tests.support.scripted_bus import Told

_WRITE = "$KV."
_READ = "$JS.API.STREAM.MSG.GET.KV_"
_DIRECT = "$JS.API.DIRECT.GET.KV_"
_INFO = "$JS.API.STREAM.INFO.KV_"


@dataclass
class Stored:
    """The last message of a key."""

    sequence: int
    data: bytes
    headers: dict[str, str]
    ends_at: float


@dataclass
class Answered:
    """An answer."""

    data: bytes
    headers: dict[str, str] | None = None


@dataclass
class TwinServer:
    """`app.stores.kv.Requester`, and what can be heard of it."""

    clock: VirtualClock
    lone_server: str | None = "twin"
    is_away: bool = False
    is_mute: bool = False
    """Writes are stored, and nobody hears of them."""
    writes: list[tuple[float, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    _stored: dict[str, Stored] = field(default_factory=dict)
    _calls: list[tuple[str, Callable[[Received], None]]] = field(default_factory=list)
    _sequence: int = 0

    async def subscribe(self, subject: str, callback: Callable[[Received], None]) -> object:
        """Hear what is written below a pattern that ends in ``>``."""
        self._calls.append((subject.removesuffix(">"), callback))
        return None

    async def request(
        self,
        subject: str,
        data: bytes,
        *,
        timeout_seconds: float,
        headers: dict[str, str] | None = None,
    ) -> Answered:
        """Answer as a server."""
        self.asked.append(subject)
        if self.is_away:
            raise UnavailableError(f"away, for {timeout_seconds:g} s and longer")
        self._expire()
        if subject.startswith(_WRITE):
            return self._write(subject, data, headers or {})
        if subject.startswith(_INFO):
            return self._info(json.loads(data) if data else {})
        if subject.startswith(_READ):
            return self._read(json.loads(data)["last_by_subj"])
        assert subject.startswith(_DIRECT), subject
        return self._direct(subject[len(_DIRECT) :].partition(".")[2])

    def lose(self, key_end: str) -> None:
        """Lose what lies under the keys that end so."""
        self._stored = {
            subject: stored
            for subject, stored in self._stored.items()
            if not subject.endswith(key_end)
        }

    def _write(self, subject: str, data: bytes, headers: dict[str, str]) -> Answered:
        ttl = headers.get("Nats-TTL", "")
        unit = {"s": 1, "h": 3600}[ttl[-1]] if ttl else 0
        seconds = int(ttl[:-1]) * unit if ttl else float("inf")
        self._sequence += 1
        now = self.clock.monotonic()
        self._stored[subject] = Stored(self._sequence, data, headers, now + seconds)
        self.writes.append((now, subject))
        for prefix, call in self._calls:
            if subject.startswith(prefix) and not self.is_mute:
                call(Told(subject, data=data, headers=headers or None))
        return _json({"stream": "KV", "seq": self._sequence})

    def _info(self, wanted: dict[str, Any]) -> Answered:
        prefix = wanted.get("subjects_filter", ">").removesuffix(">")
        subjects = {one: 1 for one in self._stored if one.startswith(prefix)}
        page = subjects if not wanted.get("offset") else {}
        state = {"last_seq": self._sequence, "subjects": page}
        return _json({"state": state, "total": len(subjects)})

    def _read(self, subject: str) -> Answered:
        stored = self._stored.get(subject)
        if stored is None:
            return _json({"error": {"code": 404, "err_code": 10037}})
        lines = "".join(f"{name}: {value}\r\n" for name, value in stored.headers.items())
        message = {
            "subject": subject,
            "seq": stored.sequence,
            "data": base64.b64encode(stored.data).decode(),
            "hdrs": base64.b64encode(f"NATS/1.0\r\n{lines}\r\n".encode()).decode(),
        }
        return _json({"message": message})

    def _direct(self, subject: str) -> Answered:
        stored = self._stored.get(subject)
        if stored is None:
            return Answered(b"", {"Status": "404"})
        return Answered(stored.data, stored.headers | {"Nats-Sequence": str(stored.sequence)})

    def _expire(self) -> None:
        now = self.clock.monotonic()
        self._stored = {
            subject: stored for subject, stored in self._stored.items() if stored.ends_at > now
        }


def _json(document: dict[str, Any]) -> Answered:
    return Answered(json.dumps(document).encode())
