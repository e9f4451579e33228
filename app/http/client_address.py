"""Where a request came from, told by whom we trust.

In: a raw ASGI request and the networks of trusted proxies. Out: an address as text. Refuses to
believe ``X-Forwarded-For`` from anybody else, since anybody can send it; of a trusted proxy's word
only what that proxy, or one it trusts, has added: the list is read from its end.
"""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

Network = IPv4Network | IPv6Network

HOPS_MAX: Final = 20
"""Proxies in a row that are believed."""


def client_address(
    scope: Mapping[str, Any], headers: Mapping[str, str], trusted: Sequence[Network]
) -> str:
    """Give the address of the sender, or of the last proxy that can be believed; or nothing."""
    client = scope.get("client")
    address = str(client[0]) if client else ""
    if not trusted or not is_trusted(address, trusted):
        return address
    hops = headers.get("x-forwarded-for", "").split(",")[-HOPS_MAX:]
    for hop in reversed(hops):
        further = _parse(hop.strip())
        if further is None:
            return address
        address = str(further)
        if not is_trusted(address, trusted):
            return address
    return address


def is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    """Tell whether an address is one of the proxies'."""
    parsed = _parse(address) if trusted else None
    return parsed is not None and any(parsed in network for network in trusted)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
