"""Which headers and query fields carry credentials: those never reach an event (SPEC 1).

In: a name. Out: yes or no. Errs towards yes for headers, whose names say what they are for; query
fields are the sender's own words, so only exact names count there.
"""

from functools import lru_cache
from typing import Final

_HEADER_NAMES: Final = frozenset(
    {"authorization", "cookie", "cookie2", "set-cookie", "x-amzn-oidc-data", "x-client-cert"}
)
_HEADER_PARTS: Final = (
    "api-key",
    "apikey",
    "assertion",
    "authorization",
    "client-cert",
    "credential",
    "password",
    "secret",
    "session",
    "token",
)
_QUERY_NAMES: Final = frozenset(
    {"access_token", "api_key", "apikey", "client_secret", "password", "secret", "token"}
)


@lru_cache(maxsize=1024)
def is_credential_header(name: str) -> bool:
    """Tell whether a lower-case header name is one that carries credentials."""
    return name in _HEADER_NAMES or any(part in name for part in _HEADER_PARTS)


def is_credential_field(name: str) -> bool:
    """Tell whether a query field's name, in any case, is one that carries credentials."""
    return name.lower() in _QUERY_NAMES
