"""What an API key may do, as scopes that imply one another.

In: the names that a key's record holds. Out: all that they come to. Refuses nothing: a name that is
none gives no rights, and is refused where keys are made (`app.stores.api_keys`).

    platform-admin    everything, in every tenant, and what belongs to none; of platform keys alone
    tenant-admin      keys, secrets, deployments and the audit log of its tenant
    tenant-operator   dead letters, runs, timers, payloads included
    tenant-publish    hands events in
    tenant-read       sees what there is

Each implies those below it, but for the last two, which are apart. ``publish`` and ``dead_letters``
are the names of earlier versions.
"""

from collections.abc import Iterable, Mapping
from typing import Final

PLATFORM_ADMIN: Final = "platform-admin"
TENANT_ADMIN: Final = "tenant-admin"
TENANT_OPERATOR: Final = "tenant-operator"
TENANT_PUBLISH: Final = "tenant-publish"
TENANT_READ: Final = "tenant-read"

PUBLISH: Final = "publish"
"""What `TENANT_PUBLISH` was called before."""
DEAD_LETTERS: Final = "dead_letters"
"""What opened the API of dead letters before: `TENANT_OPERATOR` now."""

TENANT_SCOPES: Final = (TENANT_ADMIN, TENANT_OPERATOR, TENANT_PUBLISH, TENANT_READ)
SCOPES: Final = (PLATFORM_ADMIN, *TENANT_SCOPES, PUBLISH, DEAD_LETTERS)
"""Every name that a record may hold."""

_EARLIER: Final[Mapping[str, str]] = {PUBLISH: TENANT_PUBLISH, DEAD_LETTERS: TENANT_OPERATOR}
_OPERATING: Final = frozenset({TENANT_OPERATOR, TENANT_PUBLISH, TENANT_READ})
_IMPLIED: Final[Mapping[str, frozenset[str]]] = {
    PLATFORM_ADMIN: _OPERATING | {TENANT_ADMIN, PLATFORM_ADMIN},
    TENANT_ADMIN: _OPERATING | {TENANT_ADMIN},
    TENANT_OPERATOR: _OPERATING,
    TENANT_PUBLISH: frozenset({TENANT_PUBLISH}),
    TENANT_READ: frozenset({TENANT_READ}),
}


def implied(names: Iterable[str]) -> frozenset[str]:
    """Give all scopes that these come to, by their names of today."""
    return frozenset[str]().union(*(_IMPLIED.get(current(name), frozenset()) for name in names))


def current(name: str) -> str:
    """Give a scope's name of today."""
    return _EARLIER.get(name, name)


def refusals(names: Iterable[str], *, is_platform: bool) -> list[str]:
    """Say what is wrong with a new key's scopes, a sentence each; nothing: they are well."""
    wanted = list(names)
    unknown = sorted(set(wanted) - set(SCOPES))
    if unknown or not wanted:
        text = f"{unknown[0][:40] if unknown else ''!r} is no scope"
        return [f"{text}; there are: {', '.join(SCOPES)}"]
    if PLATFORM_ADMIN in wanted and not is_platform:
        return [f"{PLATFORM_ADMIN} is for platform keys, and this one would belong to a tenant"]
    return []
