"""The secret store for as long as `setup` works, on whatever server the bundle uses.

In: settings and the data folder. Out: the store. A program that runs on the data folder lends its
nats-server; where none runs, one is started and stopped again.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from actors.errors import UnavailableError
from app.bootstrap.options import DATA_FOLDER
from app.bus.connection import BusSettings
from app.bus.server import EmbeddedServer
from app.bus.server_folder import Endpoint, ServerFolder
from app.cli.auditing import audit_on
from app.cli.connecting import connected
from app.cli.vault import secrets_on
from app.control.credentials import tombstone_gate
from app.control.secret_desk import SecretDesk
from app.settings.sections import Settings
from app.stores.key_source import KeySource

_CLIENT: Final = "greentic-events-setup"


def data_folder(settings: Settings, bundle: Path) -> Path:
    """Give the data folder as `start` chooses it."""
    given = settings.server.data_dir
    return (Path(given) if given else bundle / DATA_FOLDER).absolute()


@asynccontextmanager
async def open_store(settings: Settings, bundle: Path) -> AsyncIterator[SecretDesk]:
    """Give the store, each change of which is in the audit log.

    UnavailableError, BusError where there is no server to be had.
    """
    folder = data_folder(settings, bundle)
    keys = KeySource(settings.secrets, settings.env, folder)
    async with _server(settings, folder) as bus, connected(bus) as connection:
        store = await secrets_on(connection, settings.env, keys)
        async with audit_on(connection, settings.env) as audit:
            yield SecretDesk(store, audit, tombstone_gate(connection, settings.env))


@asynccontextmanager
async def _server(settings: Settings, folder: Path) -> AsyncIterator[BusSettings]:
    nats = settings.nats
    if nats.url is not None:
        password = None if nats.password is None else nats.password.get_secret_value()
        signed = None if nats.credentials is None else nats.credentials.get_secret_value()
        yield BusSettings(nats.url, nats.user, password, name=_CLIENT, credentials=signed)
        return
    server_folder = ServerFolder(folder)
    server_folder.prepare()
    lock = server_folder.take_owner_lock()
    if lock is None:
        yield _bus(_lent(server_folder))
        return
    os.close(lock)
    server = EmbeddedServer(folder)
    try:
        yield _bus(await server.start())
    finally:
        await server.stop()


def _lent(folder: ServerFolder) -> Endpoint:
    endpoint = folder.read_endpoint()
    if endpoint is None or endpoint.pid == 0:
        raise UnavailableError(f"the program on {folder.data_dir} has no nats-server yet")
    return endpoint


def _bus(endpoint: Endpoint) -> BusSettings:
    return BusSettings(endpoint.url, endpoint.user, endpoint.password, name=_CLIENT)
