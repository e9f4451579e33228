"""Which addresses a tenant's call may be connected to: one table, no judgement elsewhere.

In: an address. Out: the rule that forbids it, or None. The table follows IANA's special-purpose
registries (RFC 6890 and its successors), and forbids besides: every IPv6 form that carries an IPv4
address (a translator on the way would connect to that one), and the clouds' metadata services that
have public addresses. `ipaddress.is_global` is no help here: it calls NAT64 to 10.0.0.1, 6to4,
multicast and 168.63.129.16 global (measured).
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_RULES: Final = {
    "this host": ("0.0.0.0/8", "::/128"),
    "loopback": ("127.0.0.0/8", "::1/128"),
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"),
    "shared by a provider": ("100.64.0.0/10",),
    "link-local": ("169.254.0.0/16", "fe80::/10"),
    "metadata service": ("168.63.129.16/32",),
    "protocol assignment": ("192.0.0.0/24", "2001::/23"),
    "documentation": (
        "192.0.2.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "2001:db8::/32",
        "3fff::/20",
    ),
    "benchmarks": ("198.18.0.0/15",),
    "former 6to4 relay": ("192.88.99.0/24",),
    "multicast": ("224.0.0.0/4", "ff00::/8"),
    "reserved": ("240.0.0.0/4",),
    "IPv4 inside IPv6": ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16"),
    "discard": ("100::/64", "100:0:0:1::/64"),
    "segment routing": ("5f00::/16",),
}
_TABLE: Final = tuple(
    (ip_network(network), rule) for rule, networks in _RULES.items() for network in networks
)
_ISATAP: Final = (0x0000_5EFE, 0x0200_5EFE)
"""The upper half of an interface identifier that has an IPv4 address in its lower (RFC 5214)."""

_LOW_32: Final = 0xFFFF_FFFF


def normalize(address: Address) -> Address:
    """Give the IPv4 address of one that is only written as IPv6, ``::ffff:10.0.0.1``."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def find_rule(address: Address) -> str | None:
    """Name the rule that forbids an address; None for one that anybody may be connected to."""
    plain = normalize(address)
    for network, rule in _TABLE:
        if plain.version == network.version and plain in network:
            return rule
    if plain.version == 6 and (int(plain) >> 32) & _LOW_32 in _ISATAP:  # noqa: PLR2004
        return "IPv4 inside IPv6"
    return None
