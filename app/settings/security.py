"""``[security]``: where the calls of flows and providers may lead.

In: plain values. Out: networks and single endpoints. Refuses what is no address, names among them:
a name may mean another address tomorrow.
"""

import re
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Annotated, Final

from pydantic import Field, field_validator

from app.settings.section import Section

GRANTS_MAX: Final = 100
PATTERNS_MAX: Final = 1000
_PORT_MAX: Final = 65_535
_ENDPOINT = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[0-9.]+)):(?P<port>[0-9]{1,5})")
_PATTERN = re.compile(r"(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")

Endpoint = tuple[IPv4Address | IPv6Address, int]
Network = IPv4Network | IPv6Network


class SecuritySection(Section):
    """``[security]``: where the calls of flows and providers may lead."""

    allow_private: Annotated[tuple[str, ...], Field(strict=False, max_length=GRANTS_MAX)] = ()
    """Private addresses that may be called, as `10.1.0.0/16`, `10.1.2.3` or `127.0.0.1:8000`;
    none in env `prod`."""

    egress_allow: dict[str, Annotated[tuple[str, ...], Field(strict=False)]] = Field(
        default_factory=dict
    )
    """Hosts by tenant, as `api.example.com` or `*.example.com`: a tenant that is named here may
    call no others."""

    @field_validator("allow_private")
    @classmethod
    def _check_private(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            read_grant(text)
        return value

    @field_validator("egress_allow")
    @classmethod
    def _check_hosts(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for tenant, patterns in value.items():
            if len(patterns) > PATTERNS_MAX:
                raise ValueError(f"{tenant} has more than {PATTERNS_MAX} patterns")
            for pattern in patterns:
                if not _PATTERN.fullmatch(pattern):
                    raise ValueError(f"{pattern!r} is no host like api.example.com, *.example.com")
        return value


def read_grant(text: str) -> Network | Endpoint:
    """Read one private grant; ValueError says what it may look like."""
    found = _ENDPOINT.fullmatch(text)
    try:
        if found is None:
            return ip_network(text)
        address, port = ip_address(found["v6"] or found["v4"]), int(found["port"])
    except ValueError:
        raise ValueError(f"{text!r} is no 10.1.0.0/16, 10.1.2.3 or 127.0.0.1:8000") from None
    if not 0 < port <= _PORT_MAX:
        raise ValueError(f"{text!r} has no port between 1 and {_PORT_MAX}")
    return address, port
