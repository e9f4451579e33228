"""What the operator, and a tenant, allow beyond the table of addresses, and below it.

In: settings. Out: yes or no for a host, an address and a port. Own ports are never allowed: behind
the loopback address stands everything that trusts the machine, NATS first of all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from app.outbound.addresses import Address, Network, find_rule, normalize

Endpoint = tuple[Address, int]
INSIDE_SUFFIXES: Final = (".localhost", ".internal", ".local", ".svc")


@dataclass(frozen=True, slots=True)
class PrivateGrants:
    """Private networks, and single endpoints in them, that calls may be connected to."""

    networks: tuple[Network, ...] = ()
    endpoints: frozenset[Endpoint] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether nothing private is granted."""
        return not self.networks and not self.endpoints

    def cover(self, address: Address, port: int) -> bool:
        """Tell whether an address is granted at a port."""
        if (address, port) in self.endpoints:
            return True
        return any(
            address.version == network.version and address in network for network in self.networks
        )


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """Decides about single connections."""

    private: PrivateGrants = PrivateGrants()
    own_ports: frozenset[int] = frozenset()
    """Ports that this process listens on; no grant of a network opens them."""
    allowed_hosts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Patterns like ``*.example.com`` by tenant; a tenant that has some may call no other host."""

    def refuse_host(self, tenant: str, host: str) -> str | None:
        """Say why a tenant may not call a host, or None. The host is in lower case.

        Names that mean something inside only are refused before anybody is asked about them,
        unless private addresses are granted: then it is their addresses that decide.
        """
        is_inside = host == "localhost" or host.endswith(INSIDE_SUFFIXES)
        if is_inside and self.private.is_empty:
            return "the name means something on this machine or its network only"
        patterns = self.allowed_hosts.get(tenant)
        if patterns is None or any(fnmatchcase(host, pattern.lower()) for pattern in patterns):
            return None
        return "the tenant's list of allowed hosts does not have it"

    def refuse_address(self, address: Address, port: int, *, is_own: bool = False) -> str | None:
        """Say why nobody may be connected to an address at a port, or None.

        ``is_own`` tells that it is one of this machine's own: then it is as private as loopback,
        since whatever listens on all addresses can be reached through it past any firewall.
        """
        plain = normalize(address)
        rule = find_rule(plain) or ("this machine" if is_own else None)
        if rule is None:
            return None
        if (plain, port) in self.private.endpoints:
            return None
        if port in self.own_ports:
            return "it is one of our own ports"
        return None if self.private.cover(plain, port) else rule
