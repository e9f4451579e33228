"""What `tenant key …` and `platform key …` have in common: API keys made, shown, rotated, revoked.

In: whose keys, and where they are kept. Out: a new key's text, once; afterwards what is known of
it. Refuses scopes that there are not, and lengths of time that are none.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from app.cli.key_desk import Keys, Lifetimes, MadeKey, at_keys
from app.cli.output import print_json, say, warn
from app.cli.reach import Reach
from app.dead_letters.moments import span_ms
from app.errors import CommandError
from app.stores.api_key import PLATFORM, ApiKey, check_key_owner
from app.system import SystemClock

LIFETIME_MS_MAX: Final = 3650 * 86_400_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Whose keys, and where they are kept."""

    owner: str
    """A tenant, or `PLATFORM`."""
    reach: Reach

    def at_desk(self, work: Callable[[Keys], Awaitable[T]]) -> T:
        """Do some work with the keys."""
        return at_keys(self.reach, check_key_owner(self.owner), work)

    @property
    def owner_name(self) -> str:
        """The owner, for people."""
        return "the platform" if self.owner == PLATFORM else self.owner


def add_key(
    place: KeyPlace, name: str, scopes: Sequence[str], expires: str | None, *, as_json: bool
) -> None:
    """Make a key and print it."""
    lifetimes = Lifetimes(_checked(expires, "--expires"))
    made = place.at_desk(lambda keys: keys.add(name, scopes, lifetimes))
    _show_new(place, made, as_json=as_json)


def list_keys(place: KeyPlace, *, with_revoked: bool, as_json: bool) -> None:
    """Print what is known of keys."""
    found = place.at_desk(lambda keys: keys.list(with_revoked=with_revoked))
    if as_json:
        documents: list[dict[str, Any]] = [key.as_mapping() for key in found]
        print_json({"tenant": place.owner, "env": place.reach.env_name, "keys": documents})
        return
    now_ms = SystemClock().now_ms()
    for key in found:
        say(_line(key, now_ms))
    if not found:
        warn(f"{place.owner_name} has no API keys {place.reach.place}")


def rotate_key(
    place: KeyPlace, prefix: str, overlap: str | None, expires: str | None, *, as_json: bool
) -> None:
    """Make a key's successor and print it."""
    lifetimes = Lifetimes(_checked(expires, "--expires"), _checked(overlap, "--overlap"))
    made = place.at_desk(lambda keys: keys.rotate(prefix, lifetimes))
    _show_new(place, made, as_json=as_json)


def revoke_key(place: KeyPlace, prefix: str, *, as_json: bool) -> None:
    """End a key."""
    ended = place.at_desk(lambda keys: keys.revoke(prefix))
    if as_json:
        print_json({"tenant": place.owner, "prefix": ended, "env": place.reach.env_name})
    else:
        say(f"revoked {ended} of {place.owner_name} {place.reach.place}")


def _checked(text: str | None, option: str) -> str | None:
    """Refuse what is no length of time."""
    if text is None:
        return None
    try:
        milliseconds = span_ms(text)
    except ValueError as error:
        raise CommandError(f"{option}: {error}") from None
    if milliseconds > LIFETIME_MS_MAX:
        raise CommandError(f"{option}: at most 3650d")
    return text


def _show_new(place: KeyPlace, made: MadeKey, *, as_json: bool) -> None:
    key, old = made.key, made.old
    if as_json:
        more = {} if old is None else {"old": old.as_mapping()}
        print_json({**key.as_mapping(), "env": place.reach.env_name, "key": made.text, **more})
        return
    if old is not None:
        warn(f"key {old.prefix} ends {_minute(old.expires_ms or 0)}")
    warn(f"key {key.prefix} of {place.owner_name} {place.reach.place}; keep it,")
    warn("it is not shown again:")
    say(made.text)


def _line(key: ApiKey, now_ms: int) -> str:
    end = "never ends"
    if key.revoked_ms is not None:
        end = f"revoked {_minute(key.revoked_ms)}"
    elif key.expires_ms is not None:
        end = f"{'ended' if key.expires_ms <= now_ms else 'ends'} {_minute(key.expires_ms)}"
    used = "never used" if key.last_used_ms is None else f"used {_minute(key.last_used_ms)}"
    made = f"made {_minute(key.created_ms)}{f' by {key.created_by}' if key.created_by else ''}"
    successor = f", in place of {key.rotated_from}" if key.rotated_from else ""
    return f"{key.prefix}  {','.join(key.scopes)}  {end}, {used}, {made}{successor}  {key.name}"


def _minute(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%MZ")
