"""One API key: its text, and the record that is kept of it.

In: chance, or a text somebody sent. Out: ``gte_<8 characters>_<43 characters>``; a record without
the secret. Refuses texts of any other form, after the same work as for those of it.

The record keeps a plain SHA-256 of the secret. Slow, salted hashes protect passwords, which people
choose and others guess; this secret is 256 random bits, and no number of guesses finds those.

Records grow by fields that may be absent. One that was revoked keeps no digest: programs of earlier
versions, which do not know what revoked means, find no key that fits it.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from actors.errors import InvalidSubjectError
from actors.subjects import check_token
from app.errors import StoreError
from app.identity.principal import Principal

PLATFORM: Final = "*"
"""Stands where a tenant does in the record of a platform key."""
PLATFORM_PLACE: Final = "PLATFORM"
"""And in the bucket's key; upper case, so no tenant's."""

PREFIX_CHARS: Final = 8
SECRET_BYTES: Final = 32
NAME_CHARS_MAX: Final = 100
MAKER_CHARS_MAX: Final = 200

_VERSION: Final = 1
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_TEXT: Final = re.compile(r"gte_([a-z0-9]{8})_([A-Za-z0-9_-]{43})")
_PREFIX: Final = re.compile(r"[a-z0-9]{8}")
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
    """What is kept of a key. Times are milliseconds since the epoch, None: never."""

    prefix: str
    tenant: str
    """Or `PLATFORM`."""
    name: str
    scopes: tuple[str, ...]
    created_ms: int
    expires_ms: int | None
    digest: bytes = field(repr=False)
    created_by: str = ""
    """Who made it, as the audit log names people; empty in records of earlier versions."""
    rotated_from: str | None = None
    """The prefix of the key that it took the place of."""
    revoked_ms: int | None = None
    last_used_ms: int | None = None
    """As last noted (`app.stores.key_uses`): no part of the record."""

    @property
    def is_platform(self) -> bool:
        """Tell whether it stands above all tenants."""
        return self.tenant == PLATFORM

    @property
    def place(self) -> str:
        """Its key in the bucket."""
        return f"{place_of(self.tenant)}.{self.prefix}"

    def is_in_force(self, now_ms: int) -> bool:
        """Tell whether it may be used."""
        return self.revoked_ms is None and (self.expires_ms is None or now_ms < self.expires_ms)

    def as_principal(self) -> Principal:
        """Give who shows it."""
        tenant = None if self.is_platform else self.tenant
        return Principal.of(self.prefix, self.name, tenant, self.scopes)

    def revoked(self, now_ms: int) -> "ApiKey":
        """Give its record once it is revoked: what it was, without its digest."""
        return replace(self, revoked_ms=now_ms, digest=_NO_DIGEST)

    def as_bytes(self) -> bytes:
        """Write the record."""
        document = {**self.as_mapping(), "v": _VERSION, "sha256": self.digest.hex()}
        del document["last_used_ms"]
        return json.dumps(document, separators=(",", ":")).encode()

    def as_mapping(self) -> dict[str, Any]:
        """Give what people may see of it."""
        return {
            "prefix": self.prefix,
            "tenant": self.tenant,
            "name": self.name,
            "scopes": list(self.scopes),
            "created_ms": self.created_ms,
            "created_by": self.created_by,
            "expires_ms": self.expires_ms,
            "last_used_ms": self.last_used_ms,
            "rotated_from": self.rotated_from,
            "revoked_ms": self.revoked_ms,
        }


def check_key_owner(tenant: str) -> str:
    """Give a tenant's id, or `PLATFORM`, back; InvalidSubjectError."""
    return tenant if tenant == PLATFORM else check_token(tenant, "tenant")


def place_of(tenant: str) -> str:
    """Give the first token of the owner's keys in the bucket."""
    return PLATFORM_PLACE if tenant == PLATFORM else check_token(tenant, "tenant")


def bare_prefix(text: str) -> str:
    """Give the prefix that somebody means, who may have given a whole key."""
    whole = parse_text(text)
    return whole.prefix if whole is not None else text.removeprefix("gte_")


def is_prefix(text: str) -> bool:
    """Tell whether a key can have this prefix."""
    return _PREFIX.fullmatch(text) is not None


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
    found, digest = None, text.digest
    for candidate in candidates:
        if hmac.compare_digest(candidate.digest, digest) and candidate.digest != _NO_DIGEST:
            found = candidate
    if not candidates:
        hmac.compare_digest(_NO_DIGEST, digest)
    return found


def read_record(data: bytes) -> ApiKey:
    """Read a record; StoreError for whatever is none of this version, and so is no key."""
    try:
        document = json.loads(data)
        if document["v"] != _VERSION or not _DIGEST.fullmatch(document["sha256"]):
            raise StoreError("this is no record of an API key")
        return ApiKey(
            prefix=str(document["prefix"]),
            tenant=check_key_owner(document["tenant"]),
            name=str(document["name"]),
            scopes=tuple(str(scope) for scope in document["scopes"]),
            created_ms=int(document["created_ms"]),
            expires_ms=_moment(document["expires_ms"]),
            digest=bytes.fromhex(document["sha256"]),
            created_by=str(document.get("created_by", "")),
            rotated_from=_text(document.get("rotated_from")),
            revoked_ms=_moment(document.get("revoked_ms")),
        )
    except (ValueError, TypeError, KeyError, RecursionError, InvalidSubjectError) as error:
        raise StoreError("this is no record of an API key") from error


def _moment(value: Any) -> int | None:
    return None if value is None else int(value)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
