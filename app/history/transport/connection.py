"""One connection to NATS and the JetStream API over it.

In: broker URLs, credentials. Out: publishing, subscribing, API questions as documents, word of
every reconnect. Refuses to start without a server (`BrokerUnreachableError`); from then on it
connects again for ever, and whoever uses it repeats what got lost. Credentials are never logged.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, TypeVar

import msgspec
from faust.auth import Credentials
from faust.types.auth import AuthProtocol
from mode import get_logger
from nats.aio.client import Client, RawCredentials
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from yarl import URL

from app.history.transport.errors import BrokerUnreachableError, StreamRefusedError

CONNECT_SECONDS: Final = 10.0
RECONNECT_WAIT_SECONDS: Final = 0.2
REQUEST_SECONDS: Final = 5.0
PENDING_BYTES_MAX: Final = 16 * 1024 * 1024
PATIENCE_SECONDS: Final = 60.0
"""Less than Faust's ``broker_request_timeout``."""
PAUSE_SECONDS: Final = 0.3
PORT: Final = 4222

LOST: Final = (NatsError, OSError, TimeoutError)
"""What a client raises when the server is away: for the caller to repeat later."""

_UNAVAILABLE: Final = 503

logger = get_logger(__name__)

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Login:
    """How to log in; `repr` shows no secret."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    signed: str | None = field(default=None, repr=False)
    """The text of a credentials file: a signed login, in place of all others."""
    scheme: str = "nats"
    """How servers are spoken to: ``nats``, ``tls``, ``ws`` or ``wss``."""

    def options(self) -> dict[str, Any]:
        """Give what the client takes."""
        named = {
            "user": self.user,
            "password": self.password,
            "token": self.token,
            "tls": self.tls,
            "user_credentials": self.signed and RawCredentials(self.signed),
        }
        return {name: value for name, value in named.items() if value is not None}


def login_of(urls: Sequence[URL], credentials: Any, tls: ssl.SSLContext | None) -> Login:
    """Choose the login: ``broker_credentials`` before the first URL that names a user."""
    if isinstance(credentials, NatsCredentials):
        return credentials.login
    tls = getattr(credentials, "ssl_context", None) or getattr(credentials, "context", None) or tls
    user = getattr(credentials, "username", None)
    if user is not None:
        return Login(user, getattr(credentials, "password", None) or "", None, tls)
    for url in urls:
        if url.user is not None and url.password is not None:
            return Login(url.user, url.password, None, tls)
        if url.user is not None:
            return Login(token=url.user, tls=tls)
    return Login(tls=tls)


class NatsCredentials(Credentials):
    """``broker_credentials`` for what a URL cannot say: a signed login, TLS, websockets."""

    protocol = AuthProtocol.SASL_PLAINTEXT

    def __init__(self, login: Login) -> None:
        self.login = login


class Connection:
    """A client that is opened once and stays open over reconnects."""

    def __init__(self, urls: Sequence[URL], login: Login, name: str) -> None:
        self._servers = [f"{login.scheme}://{_host(url)}:{url.port or PORT}" for url in urls]
        self._login = login
        self._name = name
        self._client = Client()
        self._opening = asyncio.Lock()
        self._is_open = False
        self._on_reconnect: list[Callable[[], None]] = []
        self._on_closed: list[Callable[[Exception], None]] = []
        self._last_problem = ""

    @property
    def is_connected(self) -> bool:
        """Whether there is a server at the other end now."""
        return self._client.is_connected

    @property
    def payload_bytes_max(self) -> int:
        """The largest message the server takes."""
        return self._client.max_payload

    async def open(self) -> None:
        """Connect, once; BrokerUnreachableError after `CONNECT_SECONDS`."""
        async with self._opening:
            if self._is_open:
                return
            self._client = Client()
            try:
                await asyncio.wait_for(self._connect(), CONNECT_SECONDS)
            except LOST as problem:
                why = self._last_problem or str(problem) or type(problem).__name__
                raise BrokerUnreachableError(
                    f"no NATS server at {', '.join(self._servers)}: {why}"
                ) from problem
            self._is_open = True

    async def close(self) -> None:
        """Send what is buffered, and disconnect. It may be opened again."""
        client, self._on_reconnect, self._on_closed = self._client, [], []
        if not self._is_open:
            return
        self._is_open = False
        if client.is_connected:
            try:
                await client.flush(timeout=1)
            except LOST as problem:
                logger.warning("Not all was sent to NATS before closing: %r", problem)
        await client.close()

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        """Call this after every reconnect, until the connection is closed, or `forget` is told."""
        self._on_reconnect.append(callback)

    def forget(self, callback: Callable[[], None]) -> None:
        """Do not call this any more."""
        if callback in self._on_reconnect:
            self._on_reconnect.remove(callback)

    def on_closed(self, callback: Callable[[Exception], None]) -> None:
        """Call this when the server closed the connection for good: its login is not valid now."""
        self._on_closed.append(callback)

    def new_inbox(self) -> str:
        """Give a subject that nobody else listens on."""
        return self._client.new_inbox()

    async def subscribe(
        self, subject: str, callback: Callable[[Msg], Awaitable[None]]
    ) -> Subscription:
        """Hand everything on this subject to a coroutine function, one after the other."""
        return await self._client.subscribe(subject, cb=callback, pending_bytes_limit=0)

    async def publish(
        self,
        subject: str,
        data: bytes = b"",
        *,
        reply: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send; one of `LOST` when that is not possible now."""
        await self._client.publish(
            subject, data, reply=reply, headers=dict(headers) if headers else None
        )

    async def request(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """Ask and wait for the answer; BrokerUnreachableError when none comes."""
        try:
            answer = await self._client.request(
                subject, data, timeout=REQUEST_SECONDS, headers=dict(headers) if headers else None
            )
        except NoRespondersError as problem:
            raise BrokerUnreachableError(f"nobody answers {subject}") from problem
        except LOST as problem:
            raise BrokerUnreachableError(f"no answer to {subject}: {problem!r}") from problem
        return bytes(answer.data)

    async def ask(self, verb: str, document: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask the JetStream API. StreamRefusedError: no; BrokerUnreachableError: silence."""
        body = b"" if document is None else msgspec.json.encode(document)
        answer: dict[str, Any] = msgspec.json.decode(await self.request(f"$JS.API.{verb}", body))
        error = answer.get("error")
        if error is None:
            return answer
        text = f"{verb}: {error.get('description', 'refused')}"
        if error.get("code") == _UNAVAILABLE:
            raise BrokerUnreachableError(text)
        raise StreamRefusedError(text, int(error.get("err_code", 0)))

    async def _connect(self) -> None:
        await self._client.connect(
            servers=self._servers,
            name=self._name,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            # The client divides nothing: a fraction of a second is as good as a whole one.
            reconnect_time_wait=RECONNECT_WAIT_SECONDS,  # type: ignore[arg-type]
            ping_interval=10,
            pending_size=PENDING_BYTES_MAX,
            error_cb=self._note_error,
            reconnected_cb=self._note_reconnect,
            closed_cb=self._note_closed,
            **self._login.options(),
        )

    async def _note_error(self, problem: Exception) -> None:
        text = str(problem) or type(problem).__name__
        if text != self._last_problem:  # else the server is still away, as it was 0.2 s ago
            logger.warning("NATS: %s", text)
        self._last_problem = text

    async def _note_reconnect(self) -> None:
        logger.info("Connected to NATS again")
        self._last_problem = ""
        for callback in list(self._on_reconnect):
            callback()

    async def _note_closed(self) -> None:
        problem = BrokerUnreachableError(f"NATS closed the connection: {self._last_problem}")
        for callback in list(self._on_closed):
            callback(problem)


async def patiently(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask until there is an answer; BrokerUnreachableError after `PATIENCE_SECONDS`.

    Faust takes a table whose changelog does not answer in time for an empty one: better to give up.
    """
    until = monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await ask()
        except BrokerUnreachableError:
            if monotonic() >= until:
                raise
        await asyncio.sleep(PAUSE_SECONDS)


def _host(url: URL) -> str:
    host = url.host or "127.0.0.1"
    return f"[{host}]" if ":" in host else host
