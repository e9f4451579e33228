"""What calls out of this process may reach: settings and own ports as one policy.

In: the settings' grants, the addresses that the process listens on. Out: an `EgressPolicy`.
"""

from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import urlsplit

from app.outbound import EgressPolicy, GuardedCaller
from app.outbound.policy import PrivateGrants
from app.settings.security import Endpoint, Network, SecuritySection, read_grant


def build_policy(section: SecuritySection) -> EgressPolicy:
    """Make the policy of a ``[security]`` section, with no ports of our own yet."""
    networks: list[Network] = []
    endpoints: set[Endpoint] = set()
    for grant in map(read_grant, section.allow_private):
        if isinstance(grant, tuple):
            endpoints.add(grant)
        else:
            networks.append(grant)
    return EgressPolicy(
        private=PrivateGrants(tuple(networks), frozenset(endpoints)),
        allowed_hosts=section.egress_allow,
    )


def guard_ports(http: GuardedCaller, urls: Iterable[str]) -> None:
    """Keep tenants' calls away from what this process listens on."""
    http.policy = replace(http.policy, own_ports=ports_of(urls))


def ports_of(urls: Iterable[str]) -> frozenset[int]:
    """Give the ports of our own addresses."""
    ports = (urlsplit(url).port for url in urls)
    return frozenset(port for port in ports if port is not None)
