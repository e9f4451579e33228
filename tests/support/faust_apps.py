"""Faust apps on a real nats-server, for tests of the transport.

``nats_url``: an endpoint as a broker URL. ``an_app``: an app that is not started. ``running``: it
runs while the block does. ``eventually``: wait for a condition, and say what it was when it fails.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import monotonic
from typing import Any

import faust
import nats
from nats.aio.client import Client

from app.bus.server_folder import Endpoint

WAIT_SECONDS = 10.0


def nats_url(endpoint: Endpoint, options: str = "lease_seconds=2&ack_wait_seconds=2") -> str:
    return endpoint.url.replace("//", f"//{endpoint.user}:{endpoint.password}@") + f"?{options}"


def an_app(name: str, broker: str, folder: Path, **settings: Any) -> faust.App:
    app = faust.App(name, broker=broker, web_enabled=False, datadir=str(folder / name), **settings)
    # Faust sleeps a second there, for agents of an app that is still being imported.
    app.tables.sleep = lambda _seconds: asyncio.sleep(0)  # type: ignore[attr-defined]
    return app


@contextlib.asynccontextmanager
async def running(*apps: faust.App) -> AsyncIterator[None]:
    """Start the apps; stop them in the end, unless they were stopped already."""
    try:
        for app in apps:
            await app.start()
        yield
    finally:
        for app in apps:
            if app.started:  # stops once, a crashed one too
                await app.stop()


async def eventually(
    condition: Callable[[], bool], seconds: float = WAIT_SECONDS, what: object = None
) -> None:
    until = monotonic() + seconds
    while not condition():
        if monotonic() > until:
            raise AssertionError(f"did not come about in {seconds} s: {what or condition}")
        await asyncio.sleep(0.02)


async def abandon(app: faust.App) -> None:
    """Leave an app as a killed process would: nothing acknowledged, nothing given back."""
    consumer: Any = app.consumer
    for connection in (consumer._nats.connection, app.producer._nats.connection):  # type: ignore[attr-defined]
        await connection._client.close()
    with contextlib.suppress(Exception):
        await asyncio.wait_for(app.stop(), 20)


@contextlib.asynccontextmanager
async def client(endpoint: Endpoint) -> AsyncIterator[Client]:
    connection = await nats.connect(endpoint.url, user=endpoint.user, password=endpoint.password)
    try:
        yield connection
    finally:
        await connection.close()
