"""The spellings under which Twilio may have signed one URL.

In: the public URL, as it is configured and asked for. Out: distinct spellings of it, the given one
first: with the port and without, with the query as it is and as an older encoder writes it. Twilio
says of its own back end that it is not consistent here, so any of them will do; all of them name
the same place, on the same host. Never raises: what is no URL is its own only spelling.

Source: twilio.com/docs/usage/security, and the order of attempts of its server libraries.
"""

from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlsplit, urlunsplit

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_UNRESERVED: Final = "!'()*-._~"
"""What the older encoder leaves as it is, beside letters and digits."""


def url_spellings(url: str) -> tuple[str, ...]:
    """Give the spellings to try, each once."""
    ports = (url, *_with_and_without_port(url))
    return tuple(dict.fromkeys([*ports, *(_with_older_query(item) for item in ports)]))


def query_value(url: str, name: str) -> str | None:
    """Give a query parameter's first value, decoded; None where there is none."""
    wanted = name.encode()
    for key, value in split_form(_query(url).encode("utf-8", "surrogatepass")):
        if key == wanted:
            return value.decode("latin-1")
    return None


def split_form(data: bytes) -> list[tuple[bytes, bytes]]:
    """Read ``application/x-www-form-urlencoded`` as bytes: exact, blank values kept, no error."""
    pairs = []
    for part in data.split(b"&"):
        if part:
            key, _, value = part.partition(b"=")
            pairs.append((_unquote(key), _unquote(value)))
    return pairs


def _unquote(data: bytes) -> bytes:
    return unquote_to_bytes(data.replace(b"+", b" "))


def _query(url: str) -> str:
    return url.partition("#")[0].partition("?")[2]


def _with_and_without_port(url: str) -> tuple[str, ...]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ()
    user, at, host_and_port = parts.netloc.rpartition("@")
    if port is None:
        host = host_and_port.removesuffix(":")
        default = _DEFAULT_PORTS.get(parts.scheme)
        if not host or default is None:
            return ()
        return (urlunsplit(parts._replace(netloc=f"{user}{at}{host}:{default}")),)
    host = host_and_port.rpartition(":")[0]
    return (urlunsplit(parts._replace(netloc=f"{user}{at}{host}")),)


def _with_older_query(url: str) -> str:
    """Take the query apart and write it anew, the values of a repeated name side by side."""
    query = _query(url)
    if not query:
        return url
    values: dict[bytes, list[bytes]] = {}
    for key, value in split_form(query.encode("utf-8", "surrogatepass")):
        values.setdefault(key, []).append(value)
    written = "&".join(
        f"{_quote(key)}={_quote(value)}" for key, found in values.items() for value in found
    )
    before, _, fragment = url.partition("#")
    path = before.partition("?")[0]
    return f"{path}?{written}#{fragment}" if fragment else f"{path}?{written}"


def _quote(data: bytes) -> str:
    return quote_from_bytes(data, safe=_UNRESERVED)
