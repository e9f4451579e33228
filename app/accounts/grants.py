"""What a tenant's account on NATS may do: the one place that says so, for every form of it.

In: env and tenant. Out: the account's name, what it imports, what its logins may publish and hear.
Refuses env and tenant that are no tokens.

A tenant publishes event types of its own: no ``.result`` and none that only a provider may publish
(SPEC 1). Subjects have no pattern for "ends in", so both lists go by the number of tokens, and a
type with more tokens than SPEC 1 allows is not among those that may be published.
"""

from dataclasses import dataclass
from typing import Final

from actors.events import EVENT_TYPE_TOKENS_MAX, RESERVED_PREFIXES
from actors.subjects import EVENTS_ROOT, RESULT_SUFFIX, check_token
from app.accounts.login import BusLogin

INBOXES: Final = "_INBOX.>"
"""Within the tenant's own account, where nobody else's inboxes are."""
CONNECTIONS_MAX: Final = 100
SUBSCRIPTIONS_MAX: Final = 10_000
"""Of all connections of a tenant's account to one server, together."""


@dataclass(frozen=True, slots=True)
class TenantAccount:
    """A tenant's account, who may log in to it, and who might if that were not revoked."""

    env: str
    tenant: str
    logins: tuple[BusLogin, ...]
    revoked: tuple[BusLogin, ...] = ()

    def __post_init__(self) -> None:
        check_token(self.env, "env")
        check_token(self.tenant, "tenant")

    @property
    def name(self) -> str:
        """The account's name: upper-case separators occur in no token, so it is of one tenant."""
        return f"TENANT-{self.env}-T-{self.tenant}"

    @property
    def imported(self) -> str:
        """What it imports from the platform, to publish and to hear."""
        return f"{self._prefix}.>"

    @property
    def publish_allowed(self) -> tuple[str, ...]:
        """Event types of every length that SPEC 1 allows."""
        return tuple(
            f"{self._prefix}{'.*' * tokens}" for tokens in range(1, EVENT_TYPE_TOKENS_MAX + 1)
        )

    @property
    def publish_denied(self) -> tuple[str, ...]:
        """Results, and what only providers publish."""
        results = (
            f"{self._prefix}{'.*' * tokens}{RESULT_SUFFIX}"
            for tokens in range(1, EVENT_TYPE_TOKENS_MAX)
        )
        reserved = (f"{self._prefix}.{prefix}>" for prefix in RESERVED_PREFIXES)
        return (*results, *reserved)

    @property
    def subscribe_allowed(self) -> tuple[str, ...]:
        """Its events and results, and the answers to its own publishing."""
        return (self.imported, INBOXES)

    @property
    def _prefix(self) -> str:
        return f"{EVENTS_ROOT}.{self.env}.{self.tenant}"
