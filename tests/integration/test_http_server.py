"""The HTTP server on real sockets: its limits, its real port, its bounded end.

Bytes are written by hand: a client library would not send what these tests need.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from app.errors import SettingsError
from app.http.protocol import ConnectionLimits
from app.http.server import HttpServer
from tests.support.ingress import PATH, Ingress

HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
DRAIN_SECONDS = 10.0

Start = Callable[..., Awaitable[HttpServer]]


def post(body: bytes = b"{}") -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.fixture
def ingress() -> Ingress:
    return Ingress()


@pytest.fixture
async def start(ingress: Ingress) -> AsyncIterator[Start]:
    started: list[HttpServer] = []

    async def start_one(**limits: float) -> HttpServer:
        server = HttpServer(
            ingress.app,
            "127.0.0.1",
            0,
            limits=ConnectionLimits(**limits),  # type: ignore[arg-type]
        )
        await server.start()
        started.append(server)
        return server

    yield start_one
    for server in started:
        await server.stop(0)


async def connect(server: HttpServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port)


async def read_response(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    return int(head[9:12]), await reader.readexactly(int(lines[b"content-length"])), head


async def exchange(server: HttpServer, data: bytes) -> tuple[int, bytes, bytes]:
    """Send bytes on a connection of their own, read to the end, and give the first response."""
    reader, writer = await connect(server)
    writer.write(data)
    response = await read_response(reader)
    writer.close()
    return response


async def test_port_zero_is_a_real_port_afterwards(start: Start) -> None:
    server = await start()
    assert server.port > 0
    assert server.url == f"http://127.0.0.1:{server.port}"
    status, body, head = await exchange(server, post())
    assert (status, body) == (202, b'{"event_id":"E1"}')
    assert b"\r\nserver:" not in head.lower(), "who serves is nobody's business"


async def test_connection_serves_many_requests_and_pipelined_ones(start: Start) -> None:
    reader, writer = await connect(await start())
    for number in (1, 2):
        writer.write(post())
        assert (await read_response(reader))[1] == b'{"event_id":"E%d"}' % number
    writer.write(post() + post())
    assert (await read_response(reader))[1] == b'{"event_id":"E3"}'
    assert (await read_response(reader))[1] == b'{"event_id":"E4"}'
    writer.close()


async def test_chunked_body_is_read(start: Start, ingress: Ingress) -> None:
    data = HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\n{} \r\n0\r\n\r\n"
    assert (await exchange(await start(), data))[0] == 202
    assert ingress.door.events[0].payload == {}


async def test_body_over_the_limit_is_413_before_it_is_sent(start: Start) -> None:
    data = HEAD + b"Content-Length: 800000000\r\nExpect: 100-continue\r\n\r\n"
    reader, writer = await connect(await start())
    writer.write(data)
    assert (await read_response(reader))[0] == 413
    assert await reader.read() == b"", "the connection ends: the body is not wanted"
    writer.close()


@pytest.mark.parametrize("end", [b"0\r\n\r\n", b""], ids=["whole", "paused"])
async def test_unannounced_body_over_the_limit_is_413(end: bytes, start: Start) -> None:
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    reader, writer = await connect(await start())
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 13 + end)
    assert (await read_response(reader))[0] == 413
    if end:
        writer.write(post())
        assert (await read_response(reader))[0] == 202, "the connection is still good"
    writer.close()


@pytest.mark.parametrize(
    "data",
    [b"nonsense\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01", b"GET / HTTP/9.9\r\n\r\n",
     HEAD + b"Content-Length: x\r\n\r\n", HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n",
     HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", HEAD + b"X: a\x00b\r\n\r\n",
     b"POST /\xff HTTP/1.1\r\n\r\n"],
)  # fmt: skip
async def test_malformed_request_is_400_and_ends_the_connection(data: bytes, start: Start) -> None:
    reader, writer = await connect(await start())
    writer.write(data)
    status, body, _ = await read_response(reader)
    assert status == 400
    assert b"urn:greentic:problem" in body
    assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize(
    "data",
    [HEAD + b"X: " + b"a" * 3000 + b"\r\n\r\n", HEAD + b"X: a\r\n" * 30 + b"\r\n",
     b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\n\r\n", HEAD + b"X: " + b"a" * 3000,
     b"\r\n" * 2000],
    ids=["one header", "many headers", "long target", "no end", "no beginning"],
)  # fmt: skip
async def test_head_over_the_limit_is_431(data: bytes, start: Start) -> None:
    reader, writer = await connect(await start(head_bytes_max=2000, headers_max=20))
    writer.write(data)
    assert (await read_response(reader))[0] == 431
    assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize(
    "data", [b"", b"POST ", HEAD, HEAD + b"Content-Length: 5\r\n\r\n{"],
    ids=["silence", "half a line", "half a head", "half a body"],
)  # fmt: skip
async def test_request_that_does_not_come_to_its_end_is_408(
    data: bytes, start: Start, ingress: Ingress
) -> None:
    reader, writer = await connect(await start(request_seconds_max=0.05))
    writer.write(data)
    assert (await read_response(reader))[0] == 408
    assert await reader.read() == b""
    assert ingress.door.accepted == []
    writer.close()


async def test_slow_second_request_does_not_cost_the_first_its_answer(
    start: Start, ingress: Ingress
) -> None:
    server = await start(request_seconds_max=0.05)
    ingress.door.flows = 1
    ingress.inbox.is_endless = True
    reader, writer = await connect(server)
    writer.write(post() + b"POST ")
    await until(lambda: ingress.inbox.waiting == 1)
    await asyncio.sleep(0.1)  # the slow timer must have fired meanwhile
    assert not reader.at_eof()
    assert ingress.inbox.waiting == 1
    writer.close()
    await until(lambda: ingress.inbox.waiting == 0)


async def test_more_connections_than_allowed_are_503(start: Start) -> None:
    server = await start(connections_max=1)
    reader, writer = await connect(server)
    writer.write(post())
    assert (await read_response(reader))[0] == 202
    status, _, head = await exchange(server, b"")
    assert status == 503
    assert b"retry-after: 1" in head
    writer.close()


async def test_client_that_leaves_while_waiting_is_noticed(start: Start, ingress: Ingress) -> None:
    server = await start()
    ingress.door.flows = 1
    ingress.inbox.is_endless = True
    _, writer = await connect(server)
    writer.write(post())
    await until(lambda: ingress.inbox.waiting == 1)
    writer.close()
    await until(lambda: ingress.inbox.waiting == 0)
    assert ingress.counted(499) == 1


async def test_stop_lets_a_request_finish_and_takes_no_new_ones(
    start: Start, ingress: Ingress
) -> None:
    server = await start()
    may_finish = asyncio.Event()
    accept = ingress.door.accept

    async def accept_late(*args: object, **options: object) -> object:
        await may_finish.wait()
        return await accept(*args, **options)  # type: ignore[arg-type]

    ingress.door.accept = accept_late  # type: ignore[method-assign,assignment]
    idle_reader, idle_writer = await connect(server)
    reader, writer = await connect(server)
    writer.write(post())
    await until(lambda: ingress.app.in_flight == 1)
    stopping = asyncio.ensure_future(server.stop(DRAIN_SECONDS))
    assert await idle_reader.read() == b"", "an idle connection is closed at once"
    with pytest.raises(OSError):
        await connect(server)
    assert not stopping.done()
    may_finish.set()
    status, _, head = await read_response(reader)
    assert status == 202
    assert b"connection: close" in head
    await stopping
    await server.stop(DRAIN_SECONDS)
    writer.close()
    idle_writer.close()


async def test_stop_is_bounded_and_what_it_cuts_off_got_no_2xx(
    start: Start, ingress: Ingress
) -> None:
    server = await start()
    ingress.door.flows = 1
    ingress.inbox.is_endless = True
    reader, writer = await connect(server)
    writer.write(post())
    await until(lambda: ingress.inbox.waiting == 1)
    await server.stop(0.05)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await read_response(reader)
    assert ingress.inbox.waiting == 0
    writer.close()


async def test_address_in_use_is_a_settings_error(start: Start, ingress: Ingress) -> None:
    server = await start()
    with pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1:{server.port}"):
        await HttpServer(ingress.app, "127.0.0.1", server.port).start()


@pytest.mark.parametrize(("host", "port"), [("no.such.host.invalid", 0), ("127.0.0.1", 99999)])
async def test_impossible_address_is_a_settings_error(
    host: str, port: int, ingress: Ingress
) -> None:
    with pytest.raises(SettingsError, match="cannot listen"):
        await HttpServer(ingress.app, host, port).start()


async def test_ipv6_address_has_brackets_in_its_url(ingress: Ingress) -> None:
    assert HttpServer(ingress.app, "::1", 80).url == "http://[::1]:80"


async def test_signals_stay_the_programs(start: Start) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    await start()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that other tasks bring about; the test run's own limit bounds it."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)
