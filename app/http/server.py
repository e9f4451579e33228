"""An HTTP server inside our own event loop.

In: an ASGI application and an address; port 0 takes any free one. Out: a listening server whose
real address can be read, and an end that is bounded. Refuses an address it cannot listen on, with
SettingsError. Signals stay the program's: uvicorn's handlers are never installed.
"""

import asyncio
import contextlib
import functools
import logging
import socket
from collections.abc import Callable
from typing import Any, Final, cast

import uvicorn

from app.errors import SettingsError
from app.http.asgi import AsgiApp
from app.http.protocol import ConnectionLimits, LimitedHttpProtocol

BACKLOG: Final = 2048
KEEP_ALIVE_SECONDS: Final = 20
PORT_MAX: Final = 65_535
_FLUSH_POLL_SECONDS: Final = 0.01


class HttpServer:
    """Serves one application on one address, from `start` to `stop`."""

    def __init__(
        self, app: AsgiApp, host: str, port: int, *, limits: ConnectionLimits | None = None
    ) -> None:
        self._host = host
        self._port = port
        self._server = uvicorn.Server(_build_config(app, limits or ConnectionLimits()))
        self._socket: socket.socket | None = None
        self._ticking: asyncio.Task[None] | None = None

    @property
    def host(self) -> str:
        """The host as configured."""
        return self._host

    @property
    def port(self) -> int:
        """The port that clients connect to: the real one once started, even if 0 was asked."""
        return self._port if self._socket is None else int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """Where the server is reached, without a slash at the end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Listen. SettingsError where the address is taken, unknown or not allowed."""
        listening = self._socket = await _listen(self._host, self._port)
        config = self._server.config
        config.load()
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup(sockets=[listening])
        self._ticking = asyncio.create_task(self._server.main_loop(), name="http.date_header")

    async def stop(self, timeout_seconds: float) -> None:
        """Stop accepting, let requests finish within the time, then close what is left.

        A request that is cut off has had no 2xx. Stopping twice, or before the start, does nothing.
        """
        if self._ticking is None:
            return
        ticking, self._ticking = self._ticking, None
        for listener in self._server.servers:
            listener.close()
        for connection in list(self._server.server_state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._wait_idle()
        await self._cut_off()
        ticking.cancel()
        await asyncio.wait({ticking})

    async def _wait_idle(self) -> None:
        """Wait until every request is answered and every answer has left."""
        state = self._server.server_state
        while state.tasks:
            await asyncio.wait(set(state.tasks))
        while state.connections:  # noqa: ASYNC110 - uvicorn tells nobody when one has closed
            await asyncio.sleep(_FLUSH_POLL_SECONDS)

    async def _cut_off(self) -> None:
        state = self._server.server_state
        for connection in list(state.connections):
            connection.transport.abort()
        tasks = set(state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def _build_config(app: AsgiApp, limits: ConnectionLimits) -> uvicorn.Config:
    protocol = functools.partial(LimitedHttpProtocol, limits=limits)
    return uvicorn.Config(
        cast("Callable[..., Any]", app),
        http=cast("type[asyncio.Protocol]", protocol),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level=logging.ERROR,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )


async def _listen(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    if not 0 <= port <= PORT_MAX:  # getaddrinfo would wrap it round
        raise SettingsError([f"cannot listen on {host}:{port}: there is no such port"])
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listening = socket.create_server(
            cast("tuple[str, int]", address), family=family, backlog=BACKLOG
        )
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingsError([f"cannot listen on {host}:{port}: {reason}"]) from None
    listening.setblocking(False)
    return listening
