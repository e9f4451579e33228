"""What `tenant key …` and `platform key …` have in common: API keys made, shown, rotated, revoked.

In: whose keys, and where they are kept. Out: a new key's text, once; afterwards what is known of
it. Refuses scopes that there are not, and lengths of time that are none.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from app.bus.connection import Bus
from app.cli.auditing import audit_on, cli_who
from app.cli.connecting import connected
from app.cli.output import print_json, say, warn
from app.cli.vault import Whereabouts, find_whereabouts
from app.control import names
from app.control.credentials import ensure_credential_buckets, tombstone_gate
from app.control.keys import OVERLAP_MS_DEFAULT, KeyDesk, Rotation
from app.dead_letters.moments import span_ms
from app.errors import CommandError
from app.stores.api_key import PLATFORM, ApiKey, KeyText, check_key_owner
from app.stores.api_keys import KvApiKeys, NewKey
from app.stores.key_uses import KeyUses
from app.stores.kv import KvBucket
from app.system import SystemClock

LIFETIME_MS_MAX: Final = 3650 * 86_400_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Whose keys, and where they are kept."""

    owner: str
    """A tenant, or `PLATFORM`."""
    data: Path | None
    nats_url: str | None
    env: str | None

    def at_desk(self, work: Callable[[KeyDesk], Awaitable[T]]) -> tuple[Whereabouts, T]:
        """Do some work at the desk; gives where that was, too."""
        check_key_owner(self.owner)
        where = find_whereabouts(self.nats_url, self.data, self.env, os.environ)

        async def run() -> T:
            async with connected(where.bus) as bus, key_desk_on(bus, where.env) as desk:
                return await work(desk)

        return where, asyncio.run(run())

    @property
    def owner_name(self) -> str:
        """The owner, for people."""
        return "the platform" if self.owner == PLATFORM else self.owner


@asynccontextmanager
async def key_desk_on(bus: Bus, env: str) -> AsyncIterator[KeyDesk]:
    """Give the desk on an open connection."""
    await ensure_credential_buckets(bus, env)
    clock = SystemClock()
    store = KvApiKeys(KvBucket(bus, names.api_keys_bucket(env)), clock)
    uses = KeyUses(KvBucket(bus, names.key_uses_bucket(env)), clock)
    async with audit_on(bus, env) as audit:
        yield KeyDesk(store, uses, audit, clock, tombstone_gate(bus, env))


def add_key(
    place: KeyPlace, name: str, scopes: Sequence[str], expires: str | None, *, as_json: bool
) -> None:
    """Make a key and print it."""
    expires_ms = None
    if expires is not None:
        expires_ms = SystemClock().now_ms() + span_of(expires, "--expires")
    wanted = NewKey(place.owner, name, scopes, expires_ms)
    where, (key, text) = place.at_desk(lambda desk: desk.add(cli_who(), wanted))
    _show_new(place, where, key, text, as_json=as_json)


def list_keys(place: KeyPlace, *, with_revoked: bool, as_json: bool) -> None:
    """Print what is known of keys."""
    where, found = place.at_desk(lambda desk: desk.list(place.owner, with_revoked=with_revoked))
    if as_json:
        documents: list[dict[str, Any]] = [key.as_mapping() for key in found]
        print_json({"tenant": place.owner, "env": where.env, "keys": documents})
        return
    now_ms = SystemClock().now_ms()
    for key in found:
        say(_line(key, now_ms))
    if not found:
        warn(f"{place.owner_name} has no API keys in env {where.env}")


def rotate_key(
    place: KeyPlace, prefix: str, overlap: str | None, expires: str | None, *, as_json: bool
) -> None:
    """Make a key's successor and print it."""
    rotation = Rotation(
        OVERLAP_MS_DEFAULT if overlap is None else span_of(overlap, "--overlap"),
        None if expires is None else span_of(expires, "--expires"),
    )
    where, (key, text, old) = place.at_desk(
        lambda desk: desk.rotate(cli_who(), place.owner, prefix, rotation)
    )
    _show_new(place, where, key, text, as_json=as_json, old=old)


def revoke_key(place: KeyPlace, prefix: str, *, as_json: bool) -> None:
    """End a key."""
    where, key = place.at_desk(lambda desk: desk.revoke(cli_who(), place.owner, prefix))
    if as_json:
        print_json({"tenant": place.owner, "prefix": key.prefix, "env": where.env})
    else:
        say(f"revoked {key.prefix} of {place.owner_name} in env {where.env}")


def span_of(text: str, option: str) -> int:
    """Read a length of time, in milliseconds."""
    try:
        milliseconds = span_ms(text)
    except ValueError as error:
        raise CommandError(f"{option}: {error}") from None
    if milliseconds > LIFETIME_MS_MAX:
        raise CommandError(f"{option}: at most 3650d")
    return milliseconds


def _show_new(
    place: KeyPlace,
    where: Whereabouts,
    key: ApiKey,
    text: KeyText,
    *,
    as_json: bool,
    old: ApiKey | None = None,
) -> None:
    if as_json:
        more = {} if old is None else {"old": old.as_mapping()}
        print_json({**key.as_mapping(), "env": where.env, "key": str(text), **more})
        return
    if old is not None:
        warn(f"key {old.prefix} ends {_minute(old.expires_ms or 0)}")
    warn(f"key {key.prefix} of {place.owner_name} in env {where.env}; keep it,")
    warn("it is not shown again:")
    say(str(text))


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
