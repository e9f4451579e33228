"""One login to a tenant's account: its key pair, and the record that is kept of it.

In: chance, or a stored record. Out: a seed, shown once and stored nowhere; a record with the public
key. Refuses records that are none of this version.
"""

import json
import os
import re
from dataclasses import dataclass, field
from typing import Any, Final

import nkeys

from actors.errors import InvalidSubjectError
from actors.subjects import check_token
from app.errors import StoreError

NAME_CHARS_MAX: Final = 100
SEED_BYTES: Final = 32

_VERSION: Final = 1
_ID: Final = re.compile(r"[a-z0-9]{8}")
_PUBLIC_KEY: Final = re.compile(r"U[A-Z2-7]{55}")


@dataclass(frozen=True, slots=True)
class UserKey:
    """A key pair of a NATS user. Who has ``seed`` can log in."""

    public_key: str
    seed: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BusLogin:
    """What is kept of a login. Times are milliseconds since the epoch, None is never."""

    id: str
    tenant: str
    name: str
    public_key: str
    created_ms: int
    expires_ms: int | None = None
    revoked_ms: int | None = None

    @property
    def place(self) -> str:
        """Its key in the bucket."""
        return f"{self.tenant}.{self.id}"

    def is_live(self, now_ms: int) -> bool:
        """Tell whether it may be used now."""
        return self.revoked_ms is None and (self.expires_ms is None or now_ms < self.expires_ms)

    def as_mapping(self) -> dict[str, Any]:
        """Give what people may see of it: everything, since nothing of it is secret."""
        return {
            "id": self.id,
            "tenant": self.tenant,
            "name": self.name,
            "public_key": self.public_key,
            "created_ms": self.created_ms,
            "expires_ms": self.expires_ms,
            "revoked_ms": self.revoked_ms,
        }

    def as_bytes(self) -> bytes:
        """Write the record; `read_login` is its inverse."""
        return json.dumps({**self.as_mapping(), "v": _VERSION}, separators=(",", ":")).encode()


def new_user_key() -> UserKey:
    """Make a key pair of fresh chance."""
    seed = bytes(nkeys.encode_seed(os.urandom(SEED_BYTES), nkeys.PREFIX_BYTE_USER)).decode("ascii")
    return UserKey(public_key_of(seed), seed)


def public_key_of(seed: str) -> str:
    """Give the public key that belongs to a seed; StoreError for what is no user's seed."""
    try:
        pair = nkeys.from_seed(bytearray(seed.strip().encode("ascii")))
        public_key = bytes(pair.public_key).decode("ascii")
        pair.wipe()
    except (nkeys.NkeysError, ValueError, IndexError) as error:
        raise StoreError("this is no seed of a NATS user") from error
    if not is_user_key(public_key):
        raise StoreError("this is no seed of a NATS user")
    return public_key


def is_user_key(text: str) -> bool:
    """Tell whether this can be the public key of a NATS user."""
    return _PUBLIC_KEY.fullmatch(text) is not None


def read_login(data: bytes) -> BusLogin:
    """Read a record; StoreError for whatever is none of this version, and so is no login."""
    try:
        document = json.loads(data)
        login = BusLogin(
            id=str(document["id"]),
            tenant=check_token(document["tenant"], "tenant"),
            name=str(document["name"]),
            public_key=str(document["public_key"]),
            created_ms=int(document["created_ms"]),
            expires_ms=_time(document["expires_ms"]),
            revoked_ms=_time(document["revoked_ms"]),
        )
        is_ours = document["v"] == _VERSION
    except (ValueError, TypeError, KeyError, RecursionError, InvalidSubjectError) as error:
        raise StoreError("this is no record of a login") from error
    if not (is_ours and _ID.fullmatch(login.id) and is_user_key(login.public_key)):
        raise StoreError("this is no record of a login")
    return login


def _time(value: Any) -> int | None:
    return None if value is None else int(value)
