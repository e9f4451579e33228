"""Our reading of headers agrees with the library's wherever ours are concerned."""

import pytest
from nats.aio.client import Client

from app.bus.client import QuickClient
from app.bus.wire import Received


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        b"Nats-Msg-Id: m1\r\nGreentic-Hops: 4\r\n\r\n",
        b"a:b\r\nc:\td \r\nno colon\r\nurl: http://x:1/y\r\n\r\n",
        b"a: 1\r\na: 2\r\n\r\n",
        "a: ü😀\r\nb: ".encode() + b"\xff\xfe\r\n\r\n",
        b"empty:\r\n\r\n",
    ],
)
def test_headers_read_as_the_library_reads_them(raw: bytes) -> None:
    assert QuickClient._parse_header_lines(raw) == Client._parse_header_lines(raw)


def native(subject: str) -> tuple[int, bytes, bytes, bytes, bytes]:
    return 7, subject.encode(), b"_INBOX.r", b"data", b""


async def test_messages_are_handed_over_as_they_come_until_forgotten() -> None:
    client = QuickClient()
    taken: list[Received] = []
    client.hand_directly(7, taken.append)
    await client._process_msg(*native("a.b"))
    await client._process_msg(7, b"c", b"", b"", b"NATS/1.0\r\nGreentic-Hops: 4\r\n\r\n")
    assert [(m.subject, m.reply, m.data, m.headers) for m in taken] == [
        ("a.b", "_INBOX.r", b"data", None),
        ("c", "", b"", {"Greentic-Hops": "4"}),
    ]
    assert client.stats["in_msgs"] == 2
    client.forget(7)
    client.forget(7)
    await client._process_msg(*native("a.b"))
    assert len(taken) == 2


async def test_callback_that_raises_does_not_stop_the_reader() -> None:
    client = QuickClient()
    heard: list[Exception] = []

    async def hear(error: Exception) -> None:
        heard.append(error)

    def refuse(_: object) -> None:
        raise ValueError("no")

    client._error_cb = hear
    client.hand_directly(7, refuse)
    await client._process_msg(*native("a.b"))
    assert [str(error) for error in heard] == ["no"]
