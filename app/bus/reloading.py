"""Asking servers to read their configuration again, and hearing what became of it.

In: where the servers are, and the login of their own account. Out: all of them have read it.
Refuses with BusError, in the server's words, what one did not take; UnavailableError when one does
not answer.

A request, not SIGHUP: the signal tells nobody whether the file was any good, nor when it is in
force, and needs the process to be ours and on our machine.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Final, Protocol

from actors.errors import UnavailableError
from actors.ports import Observer
from app.bus.connection import Bus, BusSettings
from app.bus.wire import Received
from app.errors import BusError

RELOAD_SECONDS: Final = 10.0
"""1,000 accounts take a server 0.4 s."""
CONNECT_SECONDS: Final = 5.0
ROLL_CALL_SECONDS: Final = 0.5
"""For how long servers of a cluster are heard that say that they are there."""
CLOSE_SECONDS: Final = 1.0

_PING: Final = "$SYS.REQ.SERVER.PING"


class Reload(Protocol):
    """How a server is made to read its configuration."""

    async def reload(self) -> None:
        """Return once it is in force. BusError, UnavailableError."""
        ...


@dataclass(frozen=True, slots=True)
class SystemReload:
    """Reloads all servers that one connection to their own account reaches."""

    settings: BusSettings
    observer: Observer

    async def reload(self) -> None:
        """See `Reload`."""
        bus = await Bus.connect(self.settings, self.observer, deadline_seconds=CONNECT_SECONDS)
        try:
            for server in await _roll_call(bus):
                await _reload(bus, server)
        finally:
            await bus.drain_and_close(CLOSE_SECONDS)


async def _roll_call(bus: Bus) -> tuple[str, ...]:
    """Give the ids of the servers."""
    servers: dict[str, None] = {}
    heard = asyncio.Event()

    def take(message: Received) -> None:
        servers[_document(message.data)["server"]["id"]] = None
        heard.set()

    inbox = bus.new_inbox()
    subscription = await bus.subscribe(inbox, take)
    bus.send(_PING, b"", reply=inbox)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await heard.wait()
    except TimeoutError:
        raise UnavailableError("no nats-server answers to its own account") from None
    if bus.lone_server is None:
        await asyncio.sleep(ROLL_CALL_SECONDS)
    await bus.unsubscribe(subscription)
    return tuple(servers)


async def _reload(bus: Bus, server: str) -> None:
    subject = f"$SYS.REQ.SERVER.{server}.RELOAD"
    answer = await bus.request(subject, b"", timeout_seconds=RELOAD_SECONDS)
    error = _document(answer.data).get("error")
    if error is not None:
        raise BusError(f"nats-server did not take its configuration: {error['description']}")


def _document(data: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(data)
    return document
