"""Names to addresses.

In: a host name. Out: its addresses, in the order to try them. Refuses nothing: what an address may
be used for is decided elsewhere, and for each connection anew.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from ipaddress import ip_address
from typing import Final, Protocol

from app.outbound.addresses import Address
from app.outbound.lanes import Lanes

LOOKUPS_AT_ONCE_MAX: Final = 32

CALLING_TENANT: Final[ContextVar[str]] = ContextVar("calling_tenant", default="")
"""Whose call it is; the connection pool between caller and resolver does not pass it on."""

LookUp = Callable[[str, int], Sequence[str]]


class Resolver(Protocol):
    """Looks names up."""

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Give the addresses of a name; OSError where there are none."""
        ...


def look_up(host: str, port: int) -> Sequence[str]:
    """Ask the machine's resolver, and wait for it."""
    return [str(item[4][0]) for item in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class SystemResolver:
    """The machine's own resolver, in threads of its own.

    The loop's threads are four (libuv's) and everybody's: a tenant whose name servers are silent
    would stop every look-up of the process for as long as the resolver waits, the bus's included. A
    thread cannot be ended from outside, so one that nobody waits for any more still takes a place,
    and the places are shared between tenants.
    """

    def __init__(self, ask: LookUp = look_up) -> None:
        self._ask = ask
        self._lanes = Lanes(LOOKUPS_AT_ONCE_MAX)

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Ask it; duplicates are left out."""
        tenant = CALLING_TENANT.get()
        await self._lanes.take(tenant)
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Sequence[str]] = loop.create_future()

        def end(texts: Sequence[str], error: Exception | None) -> None:
            self._lanes.give_back(tenant)
            if found.done():
                return
            if error is None:
                found.set_result(texts)
            else:
                found.set_exception(error)

        def run() -> None:
            texts: Sequence[str] = ()
            failure: Exception | None = None
            try:
                texts = self._ask(host, port)
            except (OSError, UnicodeError) as error:
                failure = error
            # A look-up may outlive the program's loop.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(end, texts, failure)

        try:
            threading.Thread(target=run, name="look-up", daemon=True).start()
        except RuntimeError as error:
            self._lanes.give_back(tenant)
            raise OSError("no thread for a look-up") from error
        # A scope (%eth0) makes no address of a name better.
        texts = [text.partition("%")[0] for text in await found]
        return [ip_address(text) for text in dict.fromkeys(texts)]
