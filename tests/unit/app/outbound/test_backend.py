"""Opening connections. In: names and what they resolve to. Out: streams, or refusals."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

import httpcore
import pytest

from app.outbound.addresses import Address
from app.outbound.backend import ADDRESSES_TRIED_MAX, GuardedBackend, RefusedAddressError
from app.outbound.policy import EgressPolicy, PrivateGrants
from app.outbound.resolver import CALLING_TENANT, LOOKUPS_AT_ONCE_MAX, SystemResolver

PUBLIC, PUBLIC_TOO = "8.8.8.8", "2606:4700::1"


class Stream(httpcore.AsyncNetworkStream):
    def __init__(self, ends: dict[str, Any]) -> None:
        self.ends = ends
        self.is_closed = False

    async def aclose(self) -> None:
        self.is_closed = True

    def get_extra_info(self, info: str) -> Any:
        return self.ends.get(info)


@dataclass
class Network(httpcore.AsyncNetworkBackend):
    """Connects to whom it is told, or, as a broken or hostile network would, to ``peer``."""

    peer: str | None = ""
    local: str = "192.168.7.7"
    dead: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)

    async def connect_tcp(
        self, host: str, port: int, *args: Any, **named: Any
    ) -> httpcore.AsyncNetworkStream:
        self.asked.append(host)
        if host in self.dead:
            raise httpcore.ConnectError
        ends: dict[str, Any] = {"client_addr": (self.local, 50_000)}
        if self.peer is not None:
            ends["server_addr"] = (self.peer or host, port)
        self.streams.append(Stream(ends))
        return self.streams[-1]


@dataclass
class Fixed:
    addresses: Sequence[str]
    seconds: float = 0.0

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        await asyncio.sleep(self.seconds)
        return [ip_address(text) for text in self.addresses]


def backend(
    network: Network, *addresses: str, policy: EgressPolicy | None = None
) -> GuardedBackend:
    return GuardedBackend(policy or EgressPolicy(), Fixed(addresses), network)


async def test_the_next_address_is_tried() -> None:
    network = Network(dead=frozenset({PUBLIC}))
    await backend(network, PUBLIC, PUBLIC_TOO).connect_tcp("a.example", 443)
    assert network.asked == [PUBLIC, PUBLIC_TOO]


async def test_only_so_many_addresses_are_tried() -> None:
    many = [f"8.8.8.{number}" for number in range(20)]
    network = Network(dead=frozenset(many))
    with pytest.raises(httpcore.ConnectError):
        await backend(network, *many).connect_tcp("a.example", 443)
    assert len(network.asked) == ADDRESSES_TRIED_MAX


@pytest.mark.parametrize("addresses", [("10.0.0.1",), (PUBLIC, "10.0.0.1"), (PUBLIC, "::1")])
async def test_a_forbidden_address_is_not_connected_to_and_no_other_of_its_host(
    addresses: tuple[str, ...],
) -> None:
    network = Network()
    with pytest.raises(RefusedAddressError):
        await backend(network, *addresses).connect_tcp("a.example", 443)
    assert network.asked == []


async def test_a_name_without_addresses_is_no_connection() -> None:
    with pytest.raises(httpcore.ConnectError):
        await backend(Network()).connect_tcp("a.example", 443)


@pytest.mark.parametrize(
    "peer", ["127.0.0.1", "::ffff:10.0.0.1", "169.254.169.254", "fe80::1%eth0"]
)
async def test_the_peer_is_looked_at_again(peer: str) -> None:
    network = Network(peer=peer)
    with pytest.raises(RefusedAddressError):
        await backend(network, PUBLIC).connect_tcp("a.example", 443)
    assert network.streams[0].is_closed


async def test_a_connection_that_is_gone_already_may_be_tried_again() -> None:
    network = Network(peer=None)
    with pytest.raises(httpcore.ConnectError):
        await backend(network, PUBLIC).connect_tcp("a.example", 443)
    assert network.streams[0].is_closed


async def test_an_own_public_address_is_as_private_as_loopback() -> None:
    network = Network(local=PUBLIC)
    with pytest.raises(RefusedAddressError) as caught:
        await backend(network, PUBLIC).connect_tcp("me.example", 8081)
    assert caught.value.rule == "this machine"
    assert network.streams[0].is_closed
    granted = EgressPolicy(PrivateGrants((ip_network(f"{PUBLIC}/32"),)), frozenset({8081}))
    await backend(network, PUBLIC, policy=granted).connect_tcp("me.example", 80)
    with pytest.raises(RefusedAddressError, match="own ports"):
        await backend(network, PUBLIC, policy=granted).connect_tcp("me.example", 8081)


async def test_a_socket_of_the_file_system_is_refused() -> None:
    with pytest.raises(RefusedAddressError):
        await backend(Network()).connect_unix_socket("/run/docker.sock")


async def test_looking_up_counts_against_the_time_to_connect() -> None:
    guarded = GuardedBackend(EgressPolicy(), Fixed([PUBLIC], seconds=30), Network())
    with pytest.raises(httpcore.ConnectTimeout):
        await guarded.connect_tcp("slow.example", 443, timeout=0.02)


# ── Look-ups ─────────────────────────────────────────────────────────────────────────────────


async def test_silent_name_servers_of_one_tenant_hold_nobody_else_up() -> None:
    """And a look-up that is given up keeps its place until its thread ends."""
    gate = threading.Event()
    begun: list[str] = []

    def ask(host: str, _: int) -> Sequence[str]:
        begun.append(host)
        if host == "silent.example":
            gate.wait(10)
        return [PUBLIC, PUBLIC, f"{PUBLIC_TOO}%eth0"]

    resolver = SystemResolver(ask)

    async def resolve(tenant: str, host: str) -> Sequence[Address]:
        CALLING_TENANT.set(tenant)
        return await resolver.resolve(host, 443)

    greedy = [
        asyncio.create_task(resolve("greedy", "silent.example"))
        for _ in range(LOOKUPS_AT_ONCE_MAX * 2)
    ]
    await asyncio.sleep(0.05)
    for task in greedy:
        task.cancel()
    await asyncio.gather(*greedy, return_exceptions=True)
    async with asyncio.timeout(5):
        found = await asyncio.create_task(resolve("modest", "quick.example"))
    assert list(map(str, found)) == [PUBLIC, PUBLIC_TOO]
    assert begun.count("silent.example") == LOOKUPS_AT_ONCE_MAX // 2
    gate.set()


async def test_a_name_that_is_none_is_an_error_of_the_system() -> None:
    def ask(host: str, _: int) -> Sequence[str]:
        host.encode("idna")
        raise OSError

    for host in ("nobody.invalid", "a" * 70 + ".example"):
        with pytest.raises(httpcore.ConnectError):
            await GuardedBackend(EgressPolicy(), SystemResolver(ask)).connect_tcp(host, 443)


async def test_the_machine_knows_itself() -> None:
    assert ip_address("127.0.0.1") in await SystemResolver().resolve("localhost", 80)
