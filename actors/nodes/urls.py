"""Addresses of outbound calls: put together and encoded.

In: a rendered url and a map of query values. Out: the absolute address. Refuses, as PermanentError,
what is no http or https address or could smuggle something past a reader of it.
"""

import re
from typing import Any, Final

from actors.errors import PermanentError
from actors.nodes.rendering import text_of

URL_CHARS_MAX: Final = 8_192

_PARTS: Final = re.compile(
    r"(?P<base>https?://(?P<host>[^/?#]+)[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?", re.IGNORECASE
)
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f\\]")
_UNRESERVED: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)


def build_url(url: Any, query: Any) -> str:
    """Give the absolute address with ``query`` behind what the url has itself, no fragment."""
    text = text_of(url).strip()
    if len(text) > URL_CHARS_MAX or _FORBIDDEN.search(text):
        raise _refusal("the url has blanks or control characters, or is too long")
    parts = _PARTS.fullmatch(text)
    if parts is None:
        raise _refusal("the url is no absolute http or https address")
    pairs = [part for part in (parts["query"], encode_pairs(query, "query")) if part]
    return parts["base"] + ("?" + "&".join(pairs) if pairs else "")


def host_of(url: str) -> str:
    """Give the host, with port and login if there are any, of an address that `build_url` made."""
    parts = _PARTS.fullmatch(url)
    return "" if parts is None else parts["host"]


def shown_url(url: str) -> str:
    """Give of an address that `build_url` made what anybody may see: no login and no query."""
    base = url.partition("?")[0]
    scheme, slashes, rest = base.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"


def encode_pairs(pairs: Any, what: str) -> str:
    """Encode a map as ``a=1&b=2``; lists repeat their key, nulls are left out."""
    if pairs is None:
        return ""
    if not isinstance(pairs, dict):
        raise _refusal(f"the {what} must be a map")
    return "&".join(
        f"{percent_encode(key)}={percent_encode(text_of(item))}"
        for key, value in pairs.items()
        for item in (value if isinstance(value, list) else [value])
        if item is not None
    )


def percent_encode(text: str) -> str:
    """Encode everything but the unreserved characters of RFC 3986, section 2.3."""
    data = text.encode("utf-8", "replace")
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in data)


def _refusal(message: str) -> PermanentError:
    return PermanentError(message, reason="http.bad_request")
