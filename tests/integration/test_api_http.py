"""The API on a real socket: who is heard, who is cut off, and what goes over the wire."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.routing import Mount

from app.http.api import ROOT, build_api
from app.http.api_access import ApiAccess
from app.http.api_models import BodyModel, Text
from app.http.api_route import BODY_BYTES_MAX, Operation, Resource
from app.http.body import DISCARD_BYTES_MAX
from app.http.pages import build_admin_app
from app.http.server import HttpServer
from app.identity.authentication import Authenticator
from app.identity.lock_out import LockOut
from app.identity.principal import Principal
from tests.support.bus import DeafObserver

PATH = f"{ROOT}/tenants/acme/things"
GOOD = b'{"name": "x"}'


class Keys:
    """A ring of one key."""

    def find(self, token: str) -> Principal | None:
        return Principal.of("k", "k", "acme", ["tenant-admin"]) if token == "key" else None


class Wanted(BodyModel):
    name: Text


async def add(wanted: Wanted) -> dict[str, str]:
    """Add one."""
    return {"name": wanted.name}


async def get() -> dict[str, str]:
    """Give one."""
    return {"name": "x"}


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    observer = DeafObserver()
    access = ApiAccess(Authenticator(Keys(), LockOut(lambda: 0.0), observer), observer)
    things = Resource("things", access)
    things.add("POST", "/tenants/{tenant}/things", add, Operation("tenant-admin"))
    things.add("GET", "/tenants/{tenant}/things", get, Operation("tenant-admin"))
    routes = [Mount(ROOT, build_api([things], access))]
    server = HttpServer(
        build_admin_app(lambda: (), lambda: (b"", "text/plain"), routes), "127.0.0.1", 0
    )
    await server.start()
    yield server
    await server.stop(0)


class Connection:
    """A client that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def send(self, method: str, *headers: str, key: str = "key", body: bytes = b"") -> None:
        lines = [f"{method} {PATH} HTTP/1.1", "Host: x", f"Authorization: Bearer {key}", *headers]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        async with asyncio.timeout(5):
            text = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = text.strip().split("\r\n")
        return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines)

    async def body(self, headers: dict[str, str]) -> bytes:
        return await self._reader.readexactly(int(headers["content-length"]))

    async def ends(self) -> bool:
        async with asyncio.timeout(5):
            return await self._reader.read() == b""


@pytest.fixture
async def client(server: HttpServer) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    yield Connection(reader, writer)
    writer.close()


async def test_one_connection_serves_many_requests_also_refused_ones(client: Connection) -> None:
    for key, body, expected in (
        ("key", GOOD, 200), ("no", GOOD, 401), ("key", b"{", 400), ("no", b"x" * 500_000, 401),
        ("key", b"x" * (BODY_BYTES_MAX + 1), 413), ("key", GOOD, 200),
    ):  # fmt: skip
        client.send("POST", f"Content-Length: {len(body)}", key=key, body=body)
        status, headers = await client.head()
        assert status == expected
        await client.body(headers)
        assert "connection" not in headers


@pytest.mark.parametrize(("key", "expected"), [("no", 401), ("key", 413)])
async def test_who_announces_too_much_is_told_and_cut_off(
    client: Connection, key: str, expected: int
) -> None:
    client.send("POST", f"Content-Length: {DISCARD_BYTES_MAX + 1}", key=key, body=b"x" * 1000)
    status, headers = await client.head()
    assert (status, headers["connection"]) == (expected, "close")
    await client.body(headers)
    assert await client.ends()


@pytest.mark.parametrize("key", ["no", "key"])
async def test_who_never_stops_sending_is_cut_off(client: Connection, key: str) -> None:
    client.send("POST", "Transfer-Encoding: chunked", key=key)
    chunk = b"%x\r\n" % 65536 + b"x" * 65536 + b"\r\n"
    sent = 0
    with pytest.raises((ConnectionError, TimeoutError)):  # noqa: PT012 - how much got through
        async with asyncio.timeout(10):
            while True:
                client.writer.write(chunk)
                await client.writer.drain()
                sent += len(chunk)
    assert sent < 64 * 1024 * 1024


async def test_who_asks_first_is_refused_before_it_sends(client: Connection) -> None:
    client.send("POST", "Content-Length: 10", "Expect: 100-continue", key="no")
    status, headers = await client.head()
    assert (status, headers["connection"]) == (401, "close")


async def test_head_and_nothing_after_it(client: Connection) -> None:
    client.send("HEAD")
    client.send("GET")
    first, of_head = await client.head()
    second, of_get = await client.head()
    assert (first, second) == (200, 200)
    assert of_head["content-length"] == of_get["content-length"] == "12"
    assert await client.body(of_get) == b'{"name":"x"}'
