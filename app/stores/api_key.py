"""One API key: its text, and the record that is kept of it.

In: chance, or a text somebody sent. Out: ``gte_<8 characters>_<43 characters>``; a record without
the secret. Refuses texts of any other form before anything is looked up.

The record keeps a plain SHA-256 of the secret. Slow, salted hashes protect passwords, which people
choose and others guess; this secret is 256 random bits, and no number of guesses finds those.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from actors.errors import InvalidSubjectError
from actors.subjects import check_token
from app.errors import StoreError

PUBLISH: Final = "publish"
"""May hand events in for its tenant."""
DEAD_LETTERS: Final = "dead_letters"
"""May read its tenant's dead letters, payloads included, redrive and discard them."""
SCOPES: Final = (PUBLISH, DEAD_LETTERS)

PREFIX_CHARS: Final = 8
SECRET_BYTES: Final = 32
NAME_CHARS_MAX: Final = 100

_VERSION: Final = 1
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_TEXT: Final = re.compile(r"gte_([a-z0-9]{8})_([A-Za-z0-9_-]{43})")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_NO_DIGEST: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class KeyText:
    """What the owner of a key sends: shown once, when it is made, and stored nowhere."""

    prefix: str
    secret: str = field(repr=False)

    def __str__(self) -> str:
        return f"gte_{self.prefix}_{self.secret}"

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the secret."""
        return hashlib.sha256(self.secret.encode("ascii")).digest()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key. Times are milliseconds since the epoch."""

    prefix: str
    tenant: str
    name: str
    scopes: tuple[str, ...]
    created_ms: int
    expires_ms: int | None
    """None: never."""
    digest: bytes = field(repr=False)

    def allows(self, scope: str, now_ms: int) -> bool:
        """Tell whether it may still be used for this."""
        return scope in self.scopes and (self.expires_ms is None or now_ms < self.expires_ms)

    def as_bytes(self) -> bytes:
        """Write the record."""
        document = {**self.as_mapping(), "v": _VERSION, "sha256": self.digest.hex()}
        return json.dumps(document, separators=(",", ":")).encode()

    def as_mapping(self) -> dict[str, Any]:
        """Give what people may see of it."""
        return {
            "prefix": self.prefix,
            "tenant": self.tenant,
            "name": self.name,
            "scopes": list(self.scopes),
            "created_ms": self.created_ms,
            "expires_ms": self.expires_ms,
        }


def new_text() -> KeyText:
    """Make a key of fresh chance."""
    prefix = "".join(secrets.choice(_ALPHABET) for _ in range(PREFIX_CHARS))
    return KeyText(prefix, secrets.token_urlsafe(SECRET_BYTES))


def parse_text(text: str) -> KeyText | None:
    """Read what somebody sent; None for whatever is not of a key's form."""
    match = _TEXT.fullmatch(text)
    return None if match is None else KeyText(match[1], match[2])


def matches(text: KeyText, candidates: Sequence[ApiKey]) -> ApiKey | None:
    """Give the candidate that has the text's secret.

    In constant time for each, and no faster where there is no candidate at all.
    """
    found = None
    for candidate in candidates:
        if hmac.compare_digest(candidate.digest, text.digest):
            found = candidate
    if not candidates:
        hmac.compare_digest(_NO_DIGEST, text.digest)
    return found


def read_record(data: bytes) -> ApiKey:
    """Read a record; StoreError for whatever is none of this version, and so is no key."""
    try:
        document = json.loads(data)
        if document["v"] != _VERSION or not _DIGEST.fullmatch(document["sha256"]):
            raise StoreError("this is no record of an API key")
        expires_ms = document["expires_ms"]
        return ApiKey(
            prefix=str(document["prefix"]),
            tenant=check_token(document["tenant"], "tenant"),
            name=str(document["name"]),
            scopes=tuple(str(scope) for scope in document["scopes"]),
            created_ms=int(document["created_ms"]),
            expires_ms=None if expires_ms is None else int(expires_ms),
            digest=bytes.fromhex(document["sha256"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError, InvalidSubjectError) as error:
        raise StoreError("this is no record of an API key") from error
