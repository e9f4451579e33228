"""Names to addresses.

In: a host name. Out: its addresses, in the order to try them. Refuses nothing: what an address may
be used for is decided elsewhere, and for each connection anew.
"""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Protocol

from app.outbound.addresses import Address


class Resolver(Protocol):
    """Looks names up."""

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Give the addresses of a name; OSError where there are none."""
        ...


class SystemResolver:
    """The machine's own resolver, in a thread."""

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Ask it; duplicates are left out."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # A scope (%eth0) makes no address of a name better.
        texts = [str(item[4][0]).partition("%")[0] for item in found]
        return [ip_address(text) for text in dict.fromkeys(texts)]
