"""Outbound HTTP: one pooled client for all flows of the process.

In: an `HttpRequest`. Out: an `HttpResponse` with its body read whole. Refuses bodies over the
request's limit while they stream in, URLs that are not http(s), and redirects (a 3xx is an answer
like any other: following it is a decision of the flow, not of the client).
"""

from types import TracebackType
from typing import Final, Self

import httpx

from actors.errors import PermanentError, TransientError
from actors.ports import HttpRequest, HttpResponse

CONNECTIONS_MAX: Final = 100
CONNECTIONS_IDLE_MAX: Final = 20
CONNECT_SECONDS_MAX: Final = 10.0
HEADERS_MAX: Final = 100


class HttpxCaller:
    """`actors.ports.HttpCaller` on httpx. Use it as an async context, or call `close`."""

    def __init__(self) -> None:
        limits = httpx.Limits(
            max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_IDLE_MAX
        )
        # Proxies and credentials of the operator's environment are not the tenants' to use.
        self._client = httpx.AsyncClient(limits=limits, trust_env=False, follow_redirects=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close idle connections; calls under way fail."""
        await self._client.aclose()

    async def call(self, tenant: str, request: HttpRequest) -> HttpResponse:  # noqa: ARG002 - limits per tenant come with the guard
        """Send the request and read the answer; see `actors.ports.HttpCaller`."""
        timeout = httpx.Timeout(
            request.timeout_seconds, connect=min(CONNECT_SECONDS_MAX, request.timeout_seconds)
        )
        try:
            async with self._client.stream(
                request.method,
                request.url,
                headers=list(request.headers),
                content=request.body,
                timeout=timeout,
            ) as response:
                body = await _read(response, request.body_bytes_max)
                return HttpResponse(response.status_code, _headers(response), body)
        except httpx.TimeoutException as error:
            seconds = request.timeout_seconds
            raise TransientError(
                f"no answer within {seconds:g} s", reason="http.timeout"
            ) from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError) as error:
            raise PermanentError(
                f"the request cannot be sent: {error}", reason="http.refused"
            ) from error
        except httpx.HTTPError as error:
            raise TransientError(
                f"no connection: {type(error).__name__}", reason="http.connect"
            ) from error


async def _read(response: httpx.Response, bytes_max: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > bytes_max:
            raise PermanentError(f"the answer is larger than {bytes_max} bytes", reason="too_large")
        parts.append(part)
    return b"".join(parts)


def _headers(response: httpx.Response) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in list(response.headers.items())[:HEADERS_MAX]:
        headers[name.lower()] = value
    return headers
