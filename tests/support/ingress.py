"""An ingress without a bus: a door, an inbox and a client that speaks raw ASGI.

The door keeps what it accepted and fails as told, the inbox hands out the messages it was given;
both have the shapes of ``app.http.doors``. Time is virtual.
"""

import asyncio
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from actors.outcomes import Answer, Ended
from actors.ports import NormalizedEvent, PublishAck
from actors.testing.http import MemoryHttp
from app.http.asgi import AsgiApp, Message
from app.http.doors import IngressPorts, always_ready
from app.http.ingress import EventIngress
from app.http.origin import PublicUrls
from app.http.pages import build_public_pages
from app.http.public import PublicApp
from app.http.routes import RouteTable
from app.observability.requests import RequestMeter
from app.providers.catalog import build_provider, provider_specs
from app.providers.provider import Blob, Provider, ProviderContext

TENANT = "demo"
PATH = "/events/webhook/demo/order.created"
WEBHOOK_ROUTE = "/events/webhook/{tenant}/{event_type}"
Headers = Mapping[str, str] | Sequence[tuple[bytes, bytes]]
JSON_HEADERS = {"content-type": "application/json"}


class FakeDoor:
    """A tenant's door that stores in a list."""

    def __init__(self) -> None:
        self.flows = 0
        self.error: Exception | None = None
        self.ack: PublishAck | None = None
        self.accepted: list[tuple[str, NormalizedEvent, str, str | None]] = []
        self.events: list[NormalizedEvent] = []

    def answering_flows(self, event_type: str) -> int:
        """Give as many as the test set."""
        return self.flows

    async def accept(
        self, provider: str, normalized: NormalizedEvent, *, event_id: str, reply_to: str | None
    ) -> PublishAck:
        """Store it, or fail as told."""
        if self.error is not None:
            raise self.error
        self.events.append(normalized)
        self.accepted.append((provider, normalized, event_id, reply_to))
        return self.ack or PublishAck(event_id, len(self.accepted))


class FakeBlobs:
    """A store of blobs in a list."""

    def __init__(self) -> None:
        self.stored: list[tuple[str, Blob]] = []

    async def put(self, tenant: str, blob: Blob) -> None:
        """Keep it."""
        self.stored.append((tenant, blob))


class VirtualTime:
    """A clock that only the waiter below moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def now_ms(self) -> int:
        """Milliseconds."""
        return int(self.now * 1000)

    def monotonic(self) -> float:
        """Seconds."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Pass the time at once."""
        self.now += max(0.0, seconds)


class ScriptedWaiter:
    """Gives the messages of a script, then silence until the deadline, or for ever."""

    def __init__(self, reply_to: str, inbox: "ScriptedInbox") -> None:
        self.reply_to = reply_to
        self._inbox = inbox

    async def next_message(self, timeout_seconds: float) -> Answer | Ended | None:
        """Give the next one; each takes a second of virtual time."""
        if self._inbox.messages:
            self._inbox.clock.now += self._inbox.seconds_between
            return self._inbox.messages.pop(0)
        if self._inbox.is_endless:
            await asyncio.Event().wait()
        self._inbox.clock.now += timeout_seconds
        return None


class ScriptedInbox:
    """An answer inbox that knows what will come."""

    def __init__(self, clock: VirtualTime) -> None:
        self.clock = clock
        self.messages: list[Answer | Ended] = []
        self.seconds_between = 0.0
        self.is_endless = False
        self.opened: list[str] = []
        self.waiting = 0

    @contextmanager
    def open(self, event_id: str) -> Iterator[ScriptedWaiter]:
        """Count who waits."""
        self.opened.append(event_id)
        self.waiting += 1
        try:
            yield ScriptedWaiter(f"greentic.reply.x.{event_id}", self)
        finally:
            self.waiting -= 1


class CountingIds:
    """Ids that a test can foretell: E1, E2, …"""

    def __init__(self) -> None:
        self._count = 0

    def event_id(self) -> str:
        """Give the next."""
        self._count += 1
        return f"E{self._count}"


@dataclass
class Reply:
    """What the application sent."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """Give one header's value."""
        found = [value for key, value in self.headers if key == name.encode()]
        assert len(found) <= 1, f"{name} was sent twice"
        return found[0].decode() if found else None

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)


@dataclass
class Client:
    """Speaks ASGI to an application. ``parts`` of a body arrive one by one."""

    app: AsgiApp
    messages_read: int = 0
    peer: tuple[str, int] = ("192.0.2.1", 4711)

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Headers = (),
        parts: Sequence[bytes] = (b"",),
        leaves: bool = False,
        query: bytes = b"",
    ) -> Reply:
        """Send a request; with ``leaves`` the client is gone after the last part."""
        scope: MutableMapping[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "headers": _raw(headers),
            "root_path": "",
            "scheme": "http",
            "server": ("test", 80),
            "client": self.peer,
            "http_version": "1.1",
        }
        waiting = list(parts)
        reply = Reply()

        async def receive() -> Message:
            self.messages_read += 1
            if waiting:
                part = waiting.pop(0)
                more = bool(waiting) or (leaves and not part)
                return {"type": "http.request", "body": part, "more_body": more}
            if not leaves:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                assert reply.status == 0, "answered twice"
                reply.status, reply.headers = message["status"], list(message["headers"])
            else:
                reply.body += message["body"]

        await self.app(scope, receive, send)
        return reply

    async def post(
        self,
        body: bytes = b'{"id":1}',
        *,
        path: str = PATH,
        headers: Headers = JSON_HEADERS,
        query: bytes = b"",
    ) -> Reply:
        """Post a webhook."""
        return await self.request("POST", path, headers=headers, parts=[body], query=query)


def _raw(headers: Headers) -> list[tuple[bytes, bytes]]:
    if not isinstance(headers, Mapping):
        return list(headers)
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def a_context(env: str = "dev", clock: Any = None) -> ProviderContext:
    """Give a provider what it may use, with no world behind it."""
    return ProviderContext(env=env, http=MemoryHttp(), clock=clock or VirtualTime())


class Ingress:
    """The public application around the fakes."""

    def __init__(
        self,
        options: Mapping[str, Any] | None = None,
        *,
        env: str = "dev",
        requests_max: int = 100,
        urls: PublicUrls | None = None,
    ) -> None:
        self.clock = VirtualTime()
        self.context = a_context(env, self.clock)
        self.door = FakeDoor()
        self.doors = {TENANT: self.door}
        self.providers: dict[str, Provider] = {}
        self.enable("events-webhook", options or {})
        self.blobs = FakeBlobs()
        self.inbox = ScriptedInbox(self.clock)
        self.registry = CollectorRegistry()
        ports = IngressPorts(
            doors=self.doors.get,
            providers=lambda _, name: self.providers.get(name),
            answers=self.inbox,
            blobs=self.blobs,
            ids=CountingIds(),
        )
        self.app = PublicApp(
            EventIngress(RouteTable(provider_specs()), ports, self.clock, urls),
            build_public_pages(always_ready),
            RequestMeter(self.registry),
            requests_max=requests_max,
        )
        self.client = Client(self.app)

    def enable(self, name: str, options: Mapping[str, Any]) -> None:
        """Build a provider of options and put it in force."""
        self.providers[name] = build_provider(name, options, self.context)

    def counted(self, status: int, route: str = WEBHOOK_ROUTE) -> float:
        """Tell how many requests got this status."""
        labels = {"route": route, "status": str(status)}
        return self.registry.get_sample_value("greentic_http_requests_total", labels) or 0.0
