"""Connections to a mail server, kept for the next mail.

In: requests for a connection. Out: one that answered just now. Servers drop idle connections and
are restarted, so one that waited is asked (NOOP) before it is used, and is replaced where it does
not answer. Refuses nothing but use after closing; whoever finds all in use waits.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiosmtplib import SMTP
from aiosmtplib.errors import SMTPException

from actors.ports import Clock
from app.providers.email_smtp.server import MailServer

IDLE_SECONDS_MAX: Final = 60.0
"""Servers wait five minutes by the standard (RFC 5321 4.5.3.2.7) and much less in practice."""
MAILS_MAX: Final = 100
"""Mails over one connection: many servers close it then."""
QUIT_SECONDS_MAX: Final = 2.0
"""How long a good-bye may take."""
NOOP_SECONDS_MAX: Final = 5.0


@dataclass(slots=True)
class _Connection:
    client: SMTP
    mails: int = 0
    idle_since: float = 0.0


class SmtpPool:
    """At most ``size`` connections to one server; those out of use are closed as mails go by."""

    def __init__(self, server: MailServer, size: int, clock: Clock) -> None:
        self._server = server
        self._clock = clock
        self._free = asyncio.Semaphore(size)
        self._idle: deque[_Connection] = deque()
        self._is_closed = False

    @property
    def idle(self) -> int:
        """Connections that wait for a mail."""
        return len(self._idle)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[SMTP]:
        """Lend a connection that works; raises aiosmtplib's and the system's errors.

        It is kept only if its user comes back without a fault of the connection's.
        """
        async with self._free:
            found = await self._find()
            is_healthy = False
            try:
                yield found.client
                is_healthy = True
            except SMTPException:
                # A refusal is an answer: the conversation is still in step.
                is_healthy = found.client.is_connected
                raise
            finally:
                self._put_back(found, is_healthy=is_healthy)

    async def close(self) -> None:
        """Say good-bye on all connections; those in use are closed when they come back."""
        self._is_closed = True
        waiting = list(self._idle)
        self._idle.clear()
        await asyncio.gather(*(_quit(item.client) for item in waiting))

    async def _find(self) -> _Connection:
        """Give the connection used last, if it still works, or else a new one."""
        now = self._clock.monotonic()
        while self._idle and now - self._idle[0].idle_since > IDLE_SECONDS_MAX:
            await _quit(self._idle.popleft().client)
        while self._idle:
            found = self._idle.pop()
            if await _answers(found.client):
                return found
        return _Connection(await self._server.connect())

    def _put_back(self, connection: _Connection, *, is_healthy: bool) -> None:
        connection.mails += 1
        client = connection.client
        is_kept = is_healthy and client.is_connected and connection.mails < MAILS_MAX
        if not is_kept or self._is_closed:
            client.close()
            return
        connection.idle_since = self._clock.monotonic()
        self._idle.append(connection)


async def _answers(client: SMTP) -> bool:
    """Ask whether the other side is there; a connection that fails is closed."""
    is_there = False
    try:
        if client.is_connected:
            await client.noop(timeout=NOOP_SECONDS_MAX)
            is_there = True
    except (SMTPException, OSError):
        return False
    finally:
        if not is_there:
            client.close()
    return is_there


async def _quit(client: SMTP) -> None:
    try:
        if client.is_connected:
            await client.quit(timeout=QUIT_SECONDS_MAX)
    except (SMTPException, OSError):
        pass
    finally:
        client.close()
