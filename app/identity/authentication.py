"""Authentication: from what a request says to a `Principal`.

In: the values of a request's ``Authorization`` headers and the address it came from. Out: whoever
has that key. Refuses with ApiKeyError (401), in the same words, no key, one of another form, one
that is unknown, expired or revoked; with LockedOutError (429) whoever has guessed too often; and
with UnavailableError (503) everybody, once the keys have not been read for a while: a revoked key
must not live as long as an outage lasts.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from actors.ports import Observer
from app.errors import ApiKeyError, LockedOutError
from app.identity.lock_out import LockOut, counted_address
from app.identity.observations import GuessingLocked, KeyRefused
from app.identity.principal import Principal
from app.identity.scopes import current

KEY_MARK: Final = "gte_"
TOKEN_CHARS_MAX: Final = 256
"""Longer ones are no keys, whatever stands in them."""

_BEARER: Final = "bearer "
_PREFIX: Final = slice(4, 12)
_REFUSAL: Final = "send 'Authorization: Bearer KEY' with an API key that is in force"


class KeyRing(Protocol):
    """The keys in force, as last read from their store."""

    def find(self, token: str) -> Principal | None:
        """Give whose key this is; None for everything else, after the same work. Never waits.

        UnavailableError: the keys have not been read for too long.
        """
        ...


class Authenticator:
    """Judges keys for one process. ``on_locked`` hears of lock-outs, from any thread."""

    def __init__(
        self,
        ring: KeyRing,
        lock_out: LockOut,
        observer: Observer,
        *,
        on_locked: Callable[[GuessingLocked], None] = lambda _: None,
    ) -> None:
        self._ring = ring
        self._lock_out = lock_out
        self._observer = observer
        self.on_locked = on_locked

    def authenticate(self, authorization: Sequence[str], address: str) -> Principal:
        """Give who sent these headers. ApiKeyError, LockedOutError, UnavailableError."""
        token = bearer_token(authorization)
        if not token:
            raise ApiKeyError(_REFUSAL)
        principal = self._judge(token, address)
        if principal is None:
            raise ApiKeyError(_REFUSAL)
        return principal

    def find_tenant(self, token: str, scope: str, address: str = "") -> str | None:
        """Give the tenant whose key with this scope it is: `app.providers.provider.ApiKeys`.

        Platform keys belong to no tenant, and open no tenant's ways in. LockedOutError,
        UnavailableError; what has not a key's form is somebody else's affair and counts nowhere.
        """
        if not token.startswith(KEY_MARK):
            return None
        principal = self._judge(token, address)
        if principal is None or current(scope) not in principal.scopes:
            return None
        return principal.tenant

    def _judge(self, token: str, address: str) -> Principal | None:
        where, prefix = counted_address(address), _claimed(token)
        left = self._lock_out.seconds_left(where, prefix)
        if left > 0:
            self._observer.observe(KeyRefused("locked"))
            raise LockedOutError("too many wrong API keys: wait", retry_after_seconds=left)
        principal = self._ring.find(token)
        if principal is not None:
            self._lock_out.succeeded(where, principal.prefix)
            return principal
        self._observer.observe(KeyRefused("unknown"))
        for locked in self._lock_out.failed(where, prefix):
            self._observer.observe(locked)
            self.on_locked(locked)
        return None


def bearer_token(authorization: Sequence[str]) -> str:
    """Give the token of a request's one ``Authorization: Bearer …``; else an empty text.

    Two such headers are none: whoever stands between us and the sender may have read the other.
    """
    if len(authorization) != 1:
        return ""
    (value,) = authorization
    if value[: len(_BEARER)].lower() != _BEARER:
        return ""
    token = value[len(_BEARER) :].strip(" \t")
    # What is too long stays a wrong token, and counts as one.
    return token[: TOKEN_CHARS_MAX + 1]


def _claimed(token: str) -> str | None:
    """Give the prefix that a token claims to have, if it looks like a key at all."""
    prefix = token[_PREFIX]
    is_key_like = token.startswith(KEY_MARK) and token[12:13] == "_"
    return prefix if is_key_like and prefix.isascii() and prefix.isalnum() else None
