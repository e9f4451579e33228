"""Our reading of headers agrees with the library's wherever ours are concerned."""

import pytest
from nats.aio.client import Client

from app.bus.client import QuickClient


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
