"""Connections to addresses that were looked at: the one place that opens a socket for a tenant.

In: a host and a port. Out: a stream to the very address that was classified, so a name that changes
its answer in between gains nothing; the peer of the stream is looked at once more. Refuses with
`RefusedAddressError`. TLS is begun above this, with the host's name: certificates are checked
against what was asked for, not against the address.
"""

import asyncio
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Any, Final

import httpcore

from app.outbound.addresses import Address, normalize
from app.outbound.policy import EgressPolicy
from app.outbound.resolver import Resolver

ADDRESSES_TRIED_MAX: Final = 4
SocketOption = (
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
)


class RefusedAddressError(Exception):
    """The host leads to an address that may not be called. Stays inside this package."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves, classifies, connects, and looks at the peer."""

    def __init__(
        self,
        policy: EgressPolicy,
        resolver: Resolver,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self.policy = policy
        self._resolver = resolver
        self._network = network or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that may be called and answers."""
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._find_addresses(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("the name is not resolved in time") from error
        failure: Exception | None = None
        for address in addresses[:ADDRESSES_TRIED_MAX]:
            try:
                stream = await self._network.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            await self._check_peer(stream, port)
            return stream
        raise failure or httpcore.ConnectError("the name has no address")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: no tenant's call leads to a socket in the file system."""
        del path, timeout, socket_options
        raise RefusedAddressError("a socket of the file system")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._network.sleep(seconds)

    async def _find_addresses(self, host: str, port: int) -> Sequence[Address]:
        """Give all addresses of a host; one that may not be called condemns the host.

        A name with a public and a private address is no honest one, and which of the two is tried
        first would be up to whoever answers for it.
        """
        addresses = await self._resolve(host, port)
        for address in addresses:
            rule = self.policy.refuse_address(address, port)
            if rule is not None:
                raise RefusedAddressError(rule)
        return addresses

    async def _resolve(self, host: str, port: int) -> Sequence[Address]:
        try:
            return [ip_address(host)]
        except ValueError:
            pass
        try:
            return await self._resolver.resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the name cannot be resolved") from error

    async def _check_peer(self, stream: httpcore.AsyncNetworkStream, port: int) -> None:
        """Look at both ends: a connection whose ends have one address leads back to this machine.

        Nothing has been sent yet.
        """
        peer = _read_end(stream, "server_addr")
        if peer is None:
            await stream.aclose()
            raise httpcore.ConnectError("the connection is gone already")
        is_own = peer == _read_end(stream, "client_addr")
        rule = self.policy.refuse_address(peer, port, is_own=is_own)
        if rule is not None:
            await stream.aclose()
            raise RefusedAddressError(rule)


def _read_end(stream: httpcore.AsyncNetworkStream, name: str) -> Address | None:
    end: Any = stream.get_extra_info(name)
    return normalize(ip_address(str(end[0]).partition("%")[0])) if end else None
