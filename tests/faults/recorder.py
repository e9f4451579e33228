"""The world outside: an HTTP service and a mail server that write down whatever reaches them.

In: calls and mails. Out: one line of JSON for each in a file that is flushed to the disk before
anything is answered. A process of its own, so that no fault reaches it. Its first line of output
says where it listens.

The first segment of a path says how it answers: ``/ok/…``; ``/slow-500/…`` after 500 ms;
``/fail-2-503/…`` with that status the first two times that a key comes; ``/reset-2/…`` breaks the
connection in the middle of the answer the first two times. ``POST /_mood`` with
``{"slow_ms", "reset_share", "seed"}`` changes how all others are answered from now on.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import struct
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.faults.chance import seeded

HOSTS: Final = tuple(f"127.0.0.{number}" for number in range(1, 9))
"""Several, since a host that breaks connections is left alone for a while (its circuit opens)."""
REQUEST_BYTES_MAX: Final = 1 << 20
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: closing sends a reset instead of what is left to send."""


@dataclass
class Mood:
    """How calls are answered that name no behaviour of their own."""

    slow_ms: int = 0
    reset_share: float = 0.0
    chance: random.Random = field(default_factory=lambda: seeded(0, "mood"))

    def change(self, wanted: dict[str, Any]) -> None:
        self.slow_ms = int(wanted.get("slow_ms", 0))
        self.reset_share = float(wanted.get("reset_share", 0.0))
        self.chance = seeded(int(wanted.get("seed", 0)), "mood")


class Book:
    """The file of what came."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def write(self, **fact: Any) -> None:
        self._file.write(json.dumps(fact, separators=(",", ":")).encode() + b"\n")
        os.fdatasync(self._file.fileno())


@dataclass(frozen=True)
class Request:
    path: str
    key: str
    body: bytes


@dataclass
class World:
    """What both servers share."""

    book: Book
    mood: Mood = field(default_factory=Mood)
    calls: int = 0
    times: Counter[str] = field(default_factory=Counter)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while (request := await _read_request(reader)) is not None:
                if not await self._answer(request, writer):
                    break
        with contextlib.suppress(OSError):
            writer.close()
            await writer.wait_closed()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        if request.path == "/_mood":
            self.mood.change(json.loads(request.body))
            return await _send(writer, 200)
        self.calls += 1
        number, at_ns = self.calls, time.time_ns()
        self.book.write(call=number, key=request.key, path=request.path, at_ns=at_ns)
        status, is_reset, slow_ms = self._behaviour(request)
        if slow_ms:
            await asyncio.sleep(slow_ms / 1000)
        # Said before the answer leaves: whoever has it may be sure to find it here.
        self.book.write(end=number, status="reset" if is_reset else status, at_ns=time.time_ns())
        if is_reset:
            return await _reset(writer)
        return await _send(writer, status)

    def _behaviour(self, request: Request) -> tuple[int, bool, int]:
        """Give the status, whether the connection breaks, and the delay in ms."""
        name, *numbers = request.path.split("/")[1].split("-")
        self.times[request.key] += 1
        is_early = bool(numbers) and self.times[request.key] <= int(numbers[0])
        if name == "fail":
            return (int(numbers[1]) if is_early else 200), False, self.mood.slow_ms
        if name == "reset":
            return 200, is_early, self.mood.slow_ms
        if name == "slow":
            return 200, False, int(numbers[0])
        is_reset = self.mood.chance.random() < self.mood.reset_share
        return 200, is_reset, self.mood.slow_ms

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take a mail; the name is the library's."""
        raw = envelope.content if isinstance(envelope.content, bytes) else b""
        headers = dict(
            line.split(": ", 1)
            for line in raw.decode("utf-8", "replace").split("\r\n\r\n")[0].split("\r\n")
            if ": " in line
        )
        self.book.write(
            mail=headers.get("Message-ID", ""), subject=headers["Subject"], at_ns=time.time_ns()
        )
        if self.mood.slow_ms:
            await asyncio.sleep(self.mood.slow_ms / 1000)
        return "250 OK"


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    line = await reader.readline()
    if not line:
        return None
    path = line.split()[1].decode()
    headers: dict[str, str] = {}
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    length = min(int(headers.get("content-length", "0")), REQUEST_BYTES_MAX)
    body = await reader.readexactly(length) if length else b""
    return Request(path, headers.get("idempotency-key", ""), body)


async def _send(writer: asyncio.StreamWriter, status: int) -> bool:
    body = b'{"done":true}'
    head = (
        f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    )
    writer.write(f"{head}\r\n\r\n".encode() + body)
    await writer.drain()
    return True


async def _reset(writer: asyncio.StreamWriter) -> bool:
    writer.write(
        b"HTTP/1.1 200 Said\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"
    )
    await writer.drain()
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
    return False


async def _listen(world: World) -> dict[str, Any]:
    server = await asyncio.start_server(world.serve, HOSTS[0], 0)
    port = server.sockets[0].getsockname()[1]
    servers, hosts = [server], [HOSTS[0]]
    for host in HOSTS[1:]:
        with contextlib.suppress(OSError):  # not every system has more than one loopback address
            servers.append(await asyncio.start_server(world.serve, host, port))
            hosts.append(host)
    loop = asyncio.get_running_loop()
    mail = await loop.create_server(
        lambda: SMTP(world, hostname="sink.localhost", loop=loop), HOSTS[0], 0
    )
    world.servers = [*servers, mail]  # type: ignore[attr-defined]  # kept from the collector
    return {"port": port, "hosts": hosts, "smtp_port": mail.sockets[0].getsockname()[1]}


async def _run(path: Path) -> None:
    where = await _listen(World(Book(path)))
    print(json.dumps(where), flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("book", type=Path)
    asyncio.run(_run(parser.parse_args().book))
