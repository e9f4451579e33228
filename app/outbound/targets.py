"""Where a request leads: its URL, read once and by the parser that connects.

In: a URL as a flow wrote it. Out: a `Target`. Refuses other schemes than http and https,
credentials, and odd forms of hosts that parsers read differently. What a host leads to is decided
when it is connected (`app.outbound.backend`).
"""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

import httpx

from actors.errors import PermanentError

REFUSED: Final = "http.refused"
URL_CHARS_MAX: Final = 8192
_PORTS: Final = {"http": 80, "https": 443}
_PORT_MAX: Final = 65_535
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")
_NUMERIC_LABEL = re.compile(r"(?:0[xX][0-9A-Fa-f]*|[0-9]+)")
_ODD: Final = frozenset("\\ \t\r\n")


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be tried. ``host`` is in lower case and without a dot at the end."""

    url: httpx.URL
    host: str
    port: int

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what credentials belong to."""
        return self.url.scheme, self.host, self.port


def read_target(text: str) -> Target:
    """Read a URL; PermanentError (`http.refused`) without repeating what may be secret in it."""
    if len(text) > URL_CHARS_MAX or not _ODD.isdisjoint(text):
        raise _refused("the URL is too long, or has spaces or backslashes in it")
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise _refused("the URL cannot be read") from error
    if url.scheme not in _PORTS:
        raise _refused("only http and https are called")
    if url.userinfo:
        raise _refused("credentials do not belong in a URL: use 'auth'")
    port = url.port if url.port is not None else _PORTS[url.scheme]
    if not 0 < port <= _PORT_MAX:
        raise _refused("the port is none")
    host = _read_host(url)
    # The dot at the end of a name would make another origin of the same host.
    return Target(url.copy_with(host=host), host, port)


def _read_host(url: httpx.URL) -> str:
    host = url.raw_host.decode("ascii").lower().removesuffix(".")
    if ":" in host:
        return _read_ipv6(host)
    if not _HOST.fullmatch(host):
        raise _refused("the host is none")
    labels = host.split(".")
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        # Decimal, octal, hexadecimal and short forms: resolvers disagree about them.
        return _read_ipv4(host)
    return host


def _read_ipv4(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        raise _refused("an address is written as four decimal numbers") from None


def _read_ipv6(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        raise _refused("the host is no address") from None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise _refused("an address with a zone leads nowhere from here")
    return str(address)


def _refused(message: str) -> PermanentError:
    return PermanentError(message, reason=REFUSED)
