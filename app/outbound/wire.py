"""One request over the wire, on pooled connections that the guard has opened.

In: a request whose target was read. Out: the answer, read whole. Connections belong to a host and
its address: a pooled one leads where it was looked at. There is no cookie jar: what one tenant is
given another must not send. Nor is a connection that a header has authenticated given to the next
call. Raises `NoAnswerError`, which knows whether anything was sent. Refuses what would contradict
the way a message is framed and addressed.
"""

import re
import ssl
from collections.abc import Mapping
from typing import Final

import certifi
import httpcore

from actors.errors import PermanentError
from actors.nodes.http_headers import FRAMING_HEADERS
from actors.ports import HttpRequest, HttpResponse
from app.outbound.backend import GuardedBackend
from app.outbound.reading import ACCEPTED_CODING, read_body
from app.outbound.targets import REFUSED, Target

CONNECTIONS_MAX: Final = 100
CONNECTIONS_IDLE_MAX: Final = 20
IDLE_SECONDS: Final = 15.0
CONNECT_SECONDS_MAX: Final = 10.0
HEADERS_MAX: Final = 100
USER_AGENT: Final = "greentic-events"

_METHOD = re.compile(r"(?!CONNECT\Z)[A-Z]{1,20}")
"""CONNECT asks for a tunnel, and what comes through one is no answer."""
_BINDS_CONNECTION: Final = frozenset({"negotiate", "ntlm", "kerberos"})
"""Schemes of `Authorization` that vouch for all that follows on the connection (RFC 4559, 6)."""

NOT_CONNECTED: Final = "http.connect"
"""No connection: nothing was sent."""

BROKEN: Final = "http.broken"
"""The connection broke, or the answer is none: the request may have been heard."""

TIMED_OUT: Final = "http.timeout"

_SENT_NOTHING: Final = (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout)


class NoAnswerError(Exception):
    """No answer came. Stays inside this package."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason

    @property
    def sent_nothing(self) -> bool:
        """Whether the service can have heard nothing of the request."""
        return self.reason == NOT_CONNECTED


class Wire:
    """The connection pool of a process."""

    def __init__(self, backend: GuardedBackend, ssl_context: ssl.SSLContext | None = None) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or _trusting_context(),
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=CONNECTIONS_IDLE_MAX,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=backend,
        )

    async def close(self) -> None:
        """Close idle connections; calls under way fail."""
        await self._pool.aclose()

    async def send(self, target: Target, request: HttpRequest) -> HttpResponse:
        """Send and read; `NoAnswerError`, or PermanentError for what HTTP cannot carry."""
        seconds = request.timeout_seconds
        timeouts = {
            "connect": min(CONNECT_SECONDS_MAX, seconds),
            "read": seconds,
            "write": seconds,
            "pool": seconds,
        }
        try:
            async with self._pool.stream(
                _method(request),
                _core_url(target),
                headers=_headers(target, request),
                content=request.body,
                extensions={"timeout": timeouts},
            ) as response:
                headers = _read_headers(response)
                parts = response.aiter_stream()
                body = await read_body(parts, headers, request.body_bytes_max)
                return HttpResponse(response.status, headers, body)
        except (httpcore.LocalProtocolError, httpcore.UnsupportedProtocol) as error:
            raise PermanentError(
                "the request is none that HTTP can carry", reason=REFUSED
            ) from error
        except _SENT_NOTHING as error:
            raise NoAnswerError(_describe(error), reason=NOT_CONNECTED) from error
        except httpcore.TimeoutException as error:
            raise NoAnswerError(f"no answer within {seconds:g} s", reason=TIMED_OUT) from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise NoAnswerError(_describe(error), reason=BROKEN) from error


def _trusting_context() -> ssl.SSLContext:
    """Trust what the machine trusts; a machine without a store trusts what Mozilla does."""
    paths = ssl.get_default_verify_paths()
    has_store = bool(paths.cafile or paths.capath)
    return ssl.create_default_context(cafile=None if has_store else certifi.where())


def _method(request: HttpRequest) -> str:
    if not _METHOD.fullmatch(request.method):
        raise PermanentError("the method is none that is called with", reason=REFUSED)
    return request.method


def _core_url(target: Target) -> httpcore.URL:
    url = target.url
    return httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path or b"/"
    )


def _headers(target: Target, request: HttpRequest) -> list[tuple[bytes, bytes]]:
    ours = {
        "user-agent": USER_AGENT,
        "accept": "*/*",
        "accept-encoding": ACCEPTED_CODING,
    }
    given = {name.lower() for name, _ in request.headers}
    pairs = [("host", target.url.netloc.decode("ascii"))]
    pairs += [(name, value) for name, value in ours.items() if name not in given]
    pairs += [pair for pair in request.headers if pair[0].lower() not in FRAMING_HEADERS]
    if request.body is not None or request.method in ("POST", "PUT", "PATCH"):
        pairs.append(("content-length", str(len(request.body or b""))))
    if any(_binds_connection(name, value) for name, value in request.headers):
        pairs.append(("connection", "close"))
    try:
        return [(name.encode("ascii"), value.encode("latin-1")) for name, value in pairs]
    except UnicodeEncodeError as error:
        raise PermanentError("a header has characters that HTTP lacks", reason=REFUSED) from error


def _binds_connection(name: str, value: str) -> bool:
    scheme = value.strip().partition(" ")[0]
    return name.lower() == "authorization" and scheme.lower() in _BINDS_CONNECTION


def _read_headers(response: httpcore.Response) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    for name, value in response.headers[:HEADERS_MAX]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _describe(error: Exception) -> str:
    """Say what broke without what a library may have put into its text: hosts, addresses."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate is refused: {cause.verify_message}"
    if isinstance(error, _SENT_NOTHING):
        return "no connection"
    return f"the connection broke: {type(error).__name__}"
