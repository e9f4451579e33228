"""The one connection of a process to NATS.

In: where NATS is. Out: a `Bus` that sends, subscribes and asks, and comes back by itself after any
outage. Refuses nothing while NATS is away: what is sent waits, up to a bound; who needs to know
asks `is_connected`.

The client library gives up for ever on some server errors (an expired credential, a full server);
then a new client takes the old one's place and its subscriptions. A url may name several servers of
one cluster; one through which JetStream cannot be had is left for another (`app.bus.servers`).
"""

import asyncio
import contextlib
import functools
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import nats.errors
from nats.aio.client import Client, RawCredentials, Server
from nats.aio.subscription import Subscription as NativeSubscription

from actors.errors import UnavailableError
from actors.ports import Observer
from app.bus.asking import Question, as_unavailable, ask
from app.bus.client import QuickClient
from app.bus.observations import BusConnected, BusDisconnected, BusTroubled
from app.bus.servers import (
    BACKOFF_FIRST_SECONDS,
    BACKOFF_MAX_SECONDS,
    Doubt,
    ServerChoice,
    bound_silence,
    login_of,
    split_urls,
)
from app.bus.wire import Received, build_frame

CONNECT_TIMEOUT_SECONDS: Final = 2
PING_INTERVAL_SECONDS: Final = 10
OUTBOX_BYTES_MAX: Final = 64 * 1024 * 1024
"""What may wait to be written, together; beyond it what is sent is dropped and reported."""

_ENDLESS: Final = -1

_WRITE_ERRORS: Final = (nats.errors.Error, OSError, RuntimeError, AttributeError, AssertionError)
"""What writing raises when the library loses its socket under our hands. What was lost is sent
again by who waits for an acknowledgement; the writer itself must live on."""


@dataclass(frozen=True, slots=True)
class BusSettings:
    """Where NATS is and who we are. ``name`` is what the server shows of us."""

    url: str
    """One server, or several of one cluster, separated by commas."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    name: str = "greentic-events"
    credentials: str | None = field(default=None, repr=False)
    """The text of a credentials file: a signed login, in place of user and password."""


class Subscription:
    """Interest in a subject; it outlives the client that serves it."""

    __slots__ = ("_callback", "_forget", "_native", "subject")

    def __init__(self, subject: str, callback: Callable[[Received], None]) -> None:
        self.subject = subject
        self._callback = callback
        self._native: NativeSubscription | None = None
        self._forget: Callable[[], None] | None = None

    async def attach(self, client: Client) -> None:
        """Subscribe on this client, in place of an earlier one."""
        native = self._native = await client.subscribe(self.subject, cb=self._take)
        if isinstance(client, QuickClient):
            sid = native._id  # noqa: SLF001 - what messages are known by
            client.hand_directly(sid, self._callback)
            self._forget = functools.partial(client.forget, sid)

    async def end(self, *, drains: bool) -> None:
        """End the interest; with ``drains`` what the server sent already is still handed over."""
        native, self._native = self._native, None
        if native is None:
            return
        with contextlib.suppress(nats.errors.Error, OSError):
            if drains:
                await native.drain()  # type: ignore[no-untyped-call]
            else:
                await native.unsubscribe()
        if self._forget is not None:
            self._forget()

    async def _take(self, message: Any) -> None:
        self._callback(message)


class Bus:
    """A connection that comes back by itself. Make one with `Bus.connect`."""

    def __init__(self, settings: BusSettings, observer: Observer) -> None:
        self._settings = settings
        self._observer = observer
        self._jitter = random.Random()  # noqa: S311 - spreads reconnects, hides nothing
        self._choice = ServerChoice(self._jitter)
        self.doubt = Doubt(asyncio.get_running_loop().time, self._leave_server)
        self._inbox_prefix = f"_INBOX.{secrets.token_hex(8)}"
        self._client: Client = QuickClient()
        self._connected = asyncio.Event()
        self._is_closing = False
        self._is_replacing = False
        self._subscriptions: list[Subscription] = []
        self._reconnected: list[Callable[[], None]] = []
        self._outbox: list[bytes] = []
        self._outbox_bytes = 0
        self._outbox_filled = asyncio.Event()
        self._outbox_empty = asyncio.Event()
        self._outbox_empty.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._inboxes = 0
        self._session = 0

    @classmethod
    async def connect(
        cls, settings: BusSettings, observer: Observer, *, deadline_seconds: float | None = None
    ) -> "Bus":
        """Connect; without a deadline (seconds) for as long as it takes, else UnavailableError."""
        bus = cls(settings, observer)
        try:
            async with asyncio.timeout(deadline_seconds):
                await bus._open_client()
        except TimeoutError:
            reason = str(bus._client.last_error or "no answer")
            bus._is_closing = True
            await bus._client.close()
            raise UnavailableError(f"NATS is not reachable: {reason}") from None
        bus._spawn(bus._write_outbox())
        return bus

    # ── State ────────────────────────────────────────────────────────────────────────────────

    @property
    def is_connected(self) -> bool:
        """Whether what is sent now goes out now."""
        return self._connected.is_set() and self._client.is_connected

    @property
    def session(self) -> int:
        """Another number after each loss of the connection: what began in one is over in it."""
        return self._session

    @property
    def lone_server(self) -> str | None:
        """The name of the server we are connected to; None where it is one of a cluster."""
        # The library shows the greeting nowhere else.
        info = self._client._server_info  # noqa: SLF001
        name = info.get("server_name")
        return name if isinstance(name, str) and "cluster" not in info else None

    @property
    def payload_bytes_max(self) -> int:
        """The largest message, headers included, that the server takes."""
        return int(self._client.max_payload)

    @property
    def client(self) -> Client:
        """The library's client, for administration. Another one may stand here tomorrow."""
        return self._client

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        """Call back after each time the connection came back. The callback must not raise."""
        self._reconnected.append(callback)

    def new_inbox(self) -> str:
        """Give a subject under which nobody else receives, to be extended with tokens."""
        self._inboxes += 1
        return f"{self._inbox_prefix}.{self._inboxes}"

    # ── Sending and receiving ────────────────────────────────────────────────────────────────

    def send(self, subject: str, data: bytes, *, reply: str = "", headers: bytes = b"") -> bool:
        """Send without waiting. False: there was no room, and it will never go out."""
        return self.send_frame(build_frame(subject, data, reply=reply, headers=headers))

    def send_frame(self, frame: bytes) -> bool:
        """Send a command built with `wire.build_frame`; see `send`."""
        if self._is_closing or self._outbox_bytes + len(frame) > OUTBOX_BYTES_MAX:
            return False
        self._outbox.append(frame)
        self._outbox_bytes += len(frame)
        self._outbox_filled.set()
        self._outbox_empty.clear()
        return True

    async def subscribe(self, subject: str, callback: Callable[[Received], None]) -> Subscription:
        """Hear a subject, also after reconnects. The callback is quick and must not raise."""
        subscription = Subscription(subject, callback)
        self._subscriptions.append(subscription)
        with as_unavailable():
            await subscription.attach(self._client)
        return subscription

    async def unsubscribe(self, subscription: Subscription, *, drains: bool = False) -> None:
        """End a subscription; see `Subscription.end`."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
        await subscription.end(drains=drains)

    async def request(
        self,
        subject: str,
        data: bytes,
        *,
        timeout_seconds: float,
        headers: dict[str, str] | None = None,
    ) -> Received:
        """Ask and wait for one answer; UnavailableError when nobody is there or none came.

        Where nobody is there for a moment, it is asked again within the time: see `asking`.
        """
        question = Question(subject, data, timeout_seconds, headers)
        return await ask(self._client, question, self._is_worth_asking_again)

    def _is_worth_asking_again(self, question: Question) -> bool:
        if self.lone_server is not None:
            return question.is_administration
        self.doubt.unheard()
        return True

    async def flush(self, timeout_seconds: float) -> None:
        """Wait until the server has read all that was sent before; UnavailableError otherwise."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._outbox_empty.wait()
                with as_unavailable():
                    await self._client.flush()
        except TimeoutError:
            raise UnavailableError("NATS did not take what was sent in time") from None

    async def drain_and_close(self, timeout_seconds: float) -> None:
        """Write what waits to be written, if it can be within the time, then close for good."""
        if self._is_closing:
            return
        with contextlib.suppress(UnavailableError):
            if self._connected.is_set():
                await self.flush(timeout_seconds)
        self._is_closing = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # A server that goes in this very moment takes with it what waits to be written.
        with contextlib.suppress(OSError):
            await self._client.close()

    # ── The client ───────────────────────────────────────────────────────────────────────────

    async def _open_client(self) -> None:
        settings = self._settings
        user, password = settings.user, settings.password
        if user is None:
            user, password = login_of(settings.url)
        await self._client.connect(
            split_urls(settings.url),
            user=user,
            password=password,
            user_credentials=settings.credentials and RawCredentials(settings.credentials),
            name=settings.name,
            inbox_prefix=self._inbox_prefix,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnect,
            reconnected_cb=self._on_client_reconnect,
            closed_cb=self._on_client_closed,
            max_reconnect_attempts=_ENDLESS,
            reconnect_time_wait=1,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            ping_interval=PING_INTERVAL_SECONDS,
            reconnect_to_server_handler=self._choose_server,
        )
        self._connected.set()
        self._observer.observe(BusConnected(settings.name, is_reconnect=False))

    def _choose_server(self, servers: list[Server], _info: dict[str, Any]) -> tuple[Server, float]:
        """See `ServerChoice.choose`."""
        transport = self._client._transport  # noqa: SLF001
        if transport is not None:
            # A server that died during its greeting leaves a socket that the library forgets.
            transport.close()  # type: ignore[no-untyped-call]
        return self._choice.choose(servers)

    def _leave_server(self) -> None:
        """Go to another server of the cluster, if there is one: this one has no JetStream for us.

        The connection is broken off, since a polite end would wait for what cannot be written.
        """
        writer = self._writer()
        url = self._client.connected_url
        if writer is None or url is None or len(self._client.servers) < 2:  # noqa: PLR2004
            return
        reason = f"JetStream does not answer through {url.hostname}:{url.port}; trying another"
        self._spawn(self._on_error(UnavailableError(reason)))
        self._choice.leave(url.netloc)
        writer.transport.abort()

    def _writer(self) -> asyncio.StreamWriter | None:
        """Give the library's own end of the socket; websockets have none."""
        return getattr(self._client._transport, "_io_writer", None)  # noqa: SLF001

    def _greet(self, *, is_reconnect: bool) -> None:
        """Take note of a connection that stands."""
        writer = self._writer()
        bound_silence(None if writer is None else writer.get_extra_info("socket"))
        self.doubt.drop()
        self._connected.set()
        self._observer.observe(BusConnected(self._settings.name, is_reconnect=is_reconnect))

    async def _on_error(self, error: Exception) -> None:
        reason = str(error) or type(error).__name__
        self._observer.observe(BusTroubled(self._settings.name, reason))

    async def _on_disconnect(self) -> None:
        self._session += 1
        if self._connected.is_set():
            self._connected.clear()
            self._observer.observe(BusDisconnected(self._settings.name))

    async def _on_client_reconnect(self) -> None:
        self._announce_reconnect()

    async def _on_client_closed(self) -> None:
        self._session += 1
        self._connected.clear()
        if not self._is_closing and not self._is_replacing:
            self._spawn(self._replace_client())

    async def _replace_client(self) -> None:
        """Put a new client in the place of one that the library closed for good."""
        self._is_replacing = True
        try:
            while not await self._is_replaced():
                pass
        finally:
            self._is_replacing = False
        self._announce_reconnect()

    async def _is_replaced(self) -> bool:
        """Try once, after a pause."""
        await asyncio.sleep(self._jitter.uniform(BACKOFF_FIRST_SECONDS, BACKOFF_MAX_SECONDS))
        self._client = QuickClient()
        try:
            await self._open_client()
            for subscription in self._subscriptions:
                await subscription.attach(self._client)
        except (nats.errors.Error, OSError) as error:
            await self._on_error(error)
            await self._client.close()
            return False
        return True

    def _announce_reconnect(self) -> None:
        self._session += 1
        self._greet(is_reconnect=True)
        self._outbox_filled.set()
        for callback in self._reconnected:
            callback()

    # ── Writing ──────────────────────────────────────────────────────────────────────────────

    async def _write_outbox(self) -> None:
        """Write what was sent since the last turn of the loop in one piece."""
        while True:
            await self._outbox_filled.wait()
            await self._connected.wait()
            frames, self._outbox = self._outbox, []
            self._outbox_bytes = 0
            self._outbox_filled.clear()
            try:
                # The library's own door for finished commands; its public `publish` would build
                # each message again, in a coroutine of its own.
                await self._client._send_command(b"".join(frames))  # noqa: SLF001
                await self._client._flush_pending()  # noqa: SLF001
            except _WRITE_ERRORS as error:
                await self._on_error(error)
            if not self._outbox:
                self._outbox_empty.set()

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
