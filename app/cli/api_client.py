"""How commands speak to the API of a running program (docs/api.md).

In: the address, an API key, a question. Out: what the answer's JSON says. Refuses (CommandError) to
send a key over plain HTTP to another machine, and names that would lead to another place; a refusal
of the API is the error that it is on the other way (`app.cli.api_errors`). UnavailableError: nobody
answers, or something that is not this program.

Only questions are asked again: whether a change was made is not known when its answer is lost. No
redirection is followed, and no proxy is asked: the key goes where it was told to go.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, quote, urlsplit

import httpx
import msgspec

from actors.errors import UnavailableError
from app.cli.api_errors import error_of
from app.errors import CommandError, StoreError, ValueRefusedError

ADMIN_DEFAULT: Final = "http://127.0.0.1:8081"
ROOT: Final = "/api/v1"
"""`app.http.api.ROOT`, whose module is slow to import."""
CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 30.0
"""For an answer that has nothing to wait for."""
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
PAUSES_SECONDS: Final = (0.2, 1.0)
"""Before a question is asked again, once each."""
PAGE_MAX: Final = 1000
KEY_CHARS_MAX: Final = 200
HINT: Final = "name the admin address of greentic-events, of this version, with --url"

_ERRORS_FROM: Final = 400
_REDIRECTS_FROM: Final = 300
_AWAY: Final = frozenset({502, 503, 504})
_NO_NAMES: Final = frozenset({"", ".", ".."})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ApiAddress:
    """Where the API is, and the key that is shown there."""

    url: str
    """Without a slash at its end."""
    key: str = field(repr=False)

    @classmethod
    def of(cls, url: str, key: str, *, is_insecure: bool = False) -> "ApiAddress":
        """Check an address and a key. CommandError, which repeats neither."""
        parts = _split(url)
        if parts.scheme == "http" and not (is_insecure or _is_loopback(parts.hostname or "")):
            raise CommandError(
                f"over plain HTTP to {parts.hostname} anybody on the way can read the API key",
                hint="use https://, or say --insecure if the network is yours",
            )
        if not (0 < len(key) <= KEY_CHARS_MAX and key.isascii() and key.isprintable()):
            raise CommandError("what was given as API key is none", hint="keys begin with gte_")
        return cls(url.rstrip("/"), key)


class ApiClient:
    """Asks one program; see `opened`."""

    def __init__(self, address: ApiAddress, client: httpx.AsyncClient) -> None:
        self._address = address
        self._client = client

    async def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """Ask, and again if nobody answers."""
        for pause in PAUSES_SECONDS:
            try:
                return await self._ask("GET", path, {"params": _params(query)})
            except UnavailableError:
                await asyncio.sleep(pause)
        return await self._ask("GET", path, {"params": _params(query)})

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        revision: int | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> Any:
        """Change something, once. ``body``: an archive's bytes, or what becomes JSON.

        ``revision``: only if it is still of this one. ``seconds``: how long the answer may take.
        """
        headers = {} if revision is None else {"if-match": f'"{revision}"'}
        options: dict[str, Any] = {"params": _params(query), "timeout": _timeout(seconds)}
        if isinstance(body, bytes):
            options["content"] = body
            headers["content-type"] = "application/zip"
        elif body is not None:
            options["content"] = json.dumps(body).encode()
            headers["content-type"] = "application/json"
        return await self._ask(method, path, {**options, "headers": headers})

    async def walk(
        self, path: str, query: Mapping[str, Any] | None = None, *, limit: int = PAGE_MAX
    ) -> AsyncIterator[dict[str, Any]]:
        """Give page after page, to the last."""
        after: Any = None
        while True:
            asked = {**(query or {}), "limit": limit, "after": after}
            page = await self.get(path, asked)
            yield page
            further = page.get("next_after")
            if further is None:
                return
            if further == after:
                raise self._another("its pages have no end")
            after = further

    def read(self, document: Any, kind: type[T]) -> T:
        """Read a value out of an answer; fields that are not known here are let be."""
        try:
            return msgspec.convert(document, kind)
        except (msgspec.ValidationError, StoreError, ValueRefusedError) as error:
            raise self._another(str(error)) from None

    async def _ask(self, method: str, path: str, options: Mapping[str, Any]) -> Any:
        try:
            async with self._client.stream(method, f"{self._url}{path}", **options) as answer:
                content = await self._content(answer)
        except httpx.TransportError as error:
            raise UnavailableError(self._lost(method, error)) from None
        if _REDIRECTS_FROM <= answer.status_code < _ERRORS_FROM:
            raise self._another("it leads elsewhere, and the key does not go there")
        document = self._document(answer, content)
        if answer.status_code < _ERRORS_FROM:
            return document
        raise error_of(answer.status_code, document, answer.headers, _tenant_of(path))

    async def _content(self, answer: httpx.Response) -> bytes:
        content = bytearray()
        async for part in answer.aiter_bytes():
            content += part
            if len(content) > ANSWER_BYTES_MAX:
                raise self._another(f"its answer is longer than {ANSWER_BYTES_MAX} bytes")
        return bytes(content)

    def _document(self, answer: httpx.Response, content: bytes) -> dict[str, Any]:
        if not content and answer.status_code < _ERRORS_FROM:
            return {}
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            document = None
        if isinstance(document, dict):
            return document
        if answer.status_code in _AWAY:
            raise UnavailableError(f"{self._address.url} answered {answer.status_code}")
        raise self._another(f"it answered {answer.status_code}, and no JSON")

    @property
    def _url(self) -> str:
        return f"{self._address.url}{ROOT}"

    def _lost(self, method: str, error: httpx.TransportError) -> str:
        text = f"{self._address.url} does not answer ({type(error).__name__})"
        is_unheard = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        return (
            text if method == "GET" or is_unheard else f"{text}; it may have done it all the same"
        )

    def _another(self, why: str) -> CommandError:
        return CommandError(f"at {self._address.url} is another program: {why}", hint=HINT)


@asynccontextmanager
async def opened(address: ApiAddress) -> AsyncIterator[ApiClient]:
    """Give a client for a while."""
    # The system's authorities, and those of SSL_CERT_FILE; nothing else of the environment.
    trusted = ssl.create_default_context() if address.url.startswith("https:") else False
    async with httpx.AsyncClient(
        verify=trusted,
        trust_env=False,
        follow_redirects=False,
        timeout=_timeout(ANSWER_SECONDS),
        headers={"authorization": f"Bearer {address.key}", "accept": "application/json"},
    ) as client:
        yield ApiClient(address, client)


def at_api(address: ApiAddress, work: Callable[[ApiClient], Awaitable[T]]) -> T:
    """Do some work with a client."""

    async def run() -> T:
        async with opened(address) as client:
            return await work(client)

    return asyncio.run(run())


def below(*names: str) -> str:
    """Give the path of what has these names, one below the other. CommandError."""
    if not _NO_NAMES.isdisjoint(names):
        # A dot alone would be taken for a way up, and the change for one of what is there.
        raise CommandError("a name that is empty, '.' or '..' is no name")
    return "".join(f"/{quote(name, safe='')}" for name in names)


def moment_text(time_ms: int | None) -> str | None:
    """Write a moment as the API reads it; None stays None."""
    return None if time_ms is None else datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()


def _tenant_of(path: str) -> str:
    parts = path.split("/")
    return parts[2] if len(parts) > 2 and parts[1] == "tenants" else ""  # noqa: PLR2004 - /tenants/X


def _split(url: str) -> SplitResult:
    hint = f"like {ADMIN_DEFAULT}"
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        is_address = False
    if not is_address or not url.isprintable():
        raise CommandError("what was given as the API's address is none", hint=hint)
    if parts.username is not None or parts.query or parts.fragment:
        raise CommandError("the API's address has no user, no query and no fragment", hint=hint)
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _timeout(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(seconds, connect=CONNECT_SECONDS)


def _params(query: Mapping[str, Any] | None) -> dict[str, str]:
    """Write parameters; what is None is left out."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in (query or {}).items()
        if value is not None
    }
