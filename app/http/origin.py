"""The URL of a request as its sender knows it: what signatures over URLs cover (PROTOCOLS, Twilio).

In: a raw ASGI request. Out: a URL, query and all. Behind a proxy that is `public_base_url`, or what
the proxy's forwarded headers say; those are believed from `trusted_proxies` alone, since anybody
can send them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.http.client_address import Network, is_trusted


@dataclass(frozen=True, slots=True)
class PublicUrls:
    """Tells URLs by the options in force."""

    base_url: Callable[[str], str | None] = lambda _: None
    """Gives a tenant's `public_base_url`, without a slash at the end."""
    trusted_proxies: Sequence[Network] = ()

    def url_of(self, tenant: str, scope: Mapping[str, Any], headers: Mapping[str, str]) -> str:
        """Give the public URL of a request to a tenant."""
        target: str = scope["raw_path"].decode("latin-1")
        if scope["query_string"]:
            target = f"{target}?{scope['query_string'].decode('latin-1')}"
        return f"{self.base_url(tenant) or self._origin(scope, headers)}{target}"

    def _origin(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> str:
        scheme, host = scope["scheme"], headers.get("host", "")
        if self._is_trusted(scope.get("client")):
            # The last proxy's word counts: what stands before it came from further away.
            scheme = _last(headers.get("x-forwarded-proto")) or scheme
            host = _last(headers.get("x-forwarded-host")) or host
        return f"{scheme}://{host}"

    def _is_trusted(self, client: Sequence[Any] | None) -> bool:
        return client is not None and is_trusted(str(client[0]), self.trusted_proxies)


def _last(value: str | None) -> str:
    return "" if value is None else value.rpartition(",")[2].strip()
