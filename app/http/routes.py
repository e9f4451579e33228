"""The public routes of all providers, and which of them a path is.

In: the catalogue's specs, a raw path. Out: a `RouteMatch`. Refuses, when it is built, routes that
two providers claim. A path is not percent-decoded: no tenant and no event type needs escapes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from app.errors import SettingsError
from app.providers.provider import InboundRoute, ProviderSpec

EVENTS_PREFIX: Final = "/events/"
TENANT: Final = "{tenant}"
PATHS_REMEMBERED_MAX: Final = 4096
PATH_CHARS_REMEMBERED: Final = 256
"""Longer than any path with a tenant and an event type in it."""
EVENT_TYPE: Final = "{event_type}"


class RouteMatch(NamedTuple):
    """What a path says: whose route it is, and the names in it."""

    provider: str
    route: InboundRoute
    tenant: str
    event_type: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """A route with its path cut at the tenant: a literal head, and the segments that follow."""

    provider: str
    route: InboundRoute
    head: str
    tail: tuple[str, ...]

    def match(self, path: str) -> RouteMatch | None:
        tenant, *rest = path[len(self.head) :].split("/")
        if len(rest) != len(self.tail) or not tenant:
            return None
        event_type = ""
        for wanted, given in zip(self.tail, rest, strict=True):
            if wanted == EVENT_TYPE and given:
                event_type = given
            elif wanted != given:
                return None
        return RouteMatch(self.provider, self.route, tenant, event_type)


class RouteTable:
    """Looks paths up. Longer heads come first, so that the most specific route wins."""

    def __init__(self, specs: Iterable[ProviderSpec]) -> None:
        entries = [_entry(spec.name, route) for spec in specs for route in spec.routes]
        claimed: dict[str, str] = {}
        for entry in entries:
            other = claimed.setdefault(entry.route.path, entry.provider)
            if other != entry.provider:
                path = entry.route.path
                raise SettingsError([f"{other} and {entry.provider} both claim the route {path}"])
        self._entries = tuple(sorted(entries, key=lambda entry: -len(entry.head)))
        self._remembered: dict[str, RouteMatch] = {}

    def find(self, path: str) -> RouteMatch | None:
        """Give what the path is, or None. Paths come again and again: they are remembered."""
        found = self._remembered.get(path)
        if found is None:
            found = self._search(path)
            if found is not None and len(path) <= PATH_CHARS_REMEMBERED:
                if len(self._remembered) >= PATHS_REMEMBERED_MAX:
                    self._remembered.clear()
                self._remembered[path] = found
        return found

    def _search(self, path: str) -> RouteMatch | None:
        for entry in self._entries:
            if path.startswith(entry.head):
                found = entry.match(path)
                if found is not None:
                    return found
        return None

    def forms(self) -> tuple[str, ...]:
        """Give the paths there are, for a message to somebody who missed them."""
        return tuple(sorted(entry.route.path for entry in self._entries))


def _entry(provider: str, route: InboundRoute) -> _Entry:
    head, found, tail = route.path.partition(TENANT)
    if not found or not head.startswith(EVENTS_PREFIX) or (tail and not tail.startswith("/")):
        raise SettingsError(
            [f"{provider}: the route {route.path} must be /events/…/{{tenant}}[/…]"]
        )
    return _Entry(provider, route, head, tuple(tail.split("/")[1:]))
