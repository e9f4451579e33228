"""A service that keeps what it is asked and gives it back in every way it can think of."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

HEAD_BYTES_MAX = 256 * 1024
TLS_HANDSHAKE = b"\x16"


@dataclass
class EchoServer:
    """What it heard, raw, and where it is."""

    places: list[str] = field(default_factory=list)
    """Its addresses, `127.0.0.1:8000`: a way to fail can have one of its own."""
    heard: list[bytes] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def urls(self) -> list[str]:
        return [f"http://{place}" for place in self.places]

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readexactly(1)
            if head == TLS_HANDSHAKE:
                writer.write(b"this is no TLS\r\n")
                return
            head += await reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
            length = int({k.lower(): v for k, v in headers.items()}.get("content-length", 0))
            body = await reader.readexactly(length)
            self.heard.append(head + body)
            method, target, _ = lines[0].split(" ", 2)
            await self._say(writer, f"{method} {target}", headers, body)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError):
            pass  # it was no HTTP
        finally:
            writer.close()

    async def _say(
        self, writer: asyncio.StreamWriter, line: str, headers: dict[str, str], body: bytes
    ) -> None:
        path = urlsplit(line.split(" ", 1)[1]).path
        if path.startswith("/drop"):
            return
        if path.startswith("/slow"):
            await self.ended.wait()
        if path.startswith("/noise"):
            writer.write(b"NOISE " + line.encode("latin-1") + b"\r\n" + body + b"\r\n\r\n")
        else:
            writer.write(_answer(path, line, headers, body))
        await writer.drain()


def _answer(path: str, line: str, headers: dict[str, str], body: bytes) -> bytes:
    target = line.split(" ", 1)[1]
    text = body.decode("utf-8", "replace")
    seen = {
        "line": line,
        "decoded": unquote(target),
        "args": parse_qs(urlsplit(target).query),
        "headers": headers,
        "data": text,
        "within": f"you sent <{text}> to {target}",
    }
    try:
        seen["json"] = json.loads(text)
    except ValueError:
        seen["lines"] = text.splitlines()
    status, more = "200 OK", ""
    content, media = json.dumps(seen), "application/json"
    if path.startswith("/fail"):
        status, media = "500 Oops", "text/plain"
    elif path.startswith("/busy"):
        status, more = "503 Busy", "Retry-After: 0\r\n"
    elif path.startswith("/moved"):
        status, more = "302 Found", f"Location: http://127.0.0.1:1{target}\r\n"
    copied = "".join(
        f"X-Echo-{name}: {value}\r\n" for name, value in headers.items() if len(value) < 2000
    )
    raw = content.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {media}\r\n{more}{copied}"
        f"Content-Length: {len(raw)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("latin-1", "replace") + raw


@asynccontextmanager
async def an_echo_server(places: int) -> AsyncIterator[EchoServer]:
    echo, servers = EchoServer(), []
    for _ in range(places):
        server = await asyncio.start_server(echo.answer, "127.0.0.1", 0, limit=HEAD_BYTES_MAX)
        echo.places.append(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        servers.append(server)
    try:
        yield echo
    finally:
        echo.ended.set()
        for server in servers:
            server.close()
        await asyncio.sleep(0)
