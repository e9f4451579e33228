"""Bodies. In: bytes in any pieces. Out: the body, or why it is none."""

import gzip
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import NodeError
from app.outbound.reading import CODING_BYTES_MAX, read_body

GZIP = {"content-encoding": "gzip"}
EMPTY_BLOCK = b"\x00\x00\x00\xff\xff"


async def parts_of(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def read(data: bytes, *, size: int = 7, bytes_max: int = 1000, coding: str = "gzip") -> bytes:
    return await read_body(parts_of(data, size), {"content-encoding": coding}, bytes_max)


async def reason_of(
    data: bytes, *, size: int = 7, bytes_max: int = 1000, coding: str = "gzip"
) -> str:
    with pytest.raises(NodeError) as caught:
        await read(data, size=size, bytes_max=bytes_max, coding=coding)
    return caught.value.reason


@given(
    st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.integers(1, 40), st.integers(0, 3)
)
async def test_members_and_padding_are_read_in_any_pieces(
    members: Sequence[bytes], size: int, padding: int
) -> None:
    whole = b"".join(map(gzip.compress, members)) + b"\0" * padding
    assert await read(whole, size=size, bytes_max=1200) == b"".join(members)


@pytest.mark.parametrize("size", [1, 3, 100_000])
@pytest.mark.parametrize("length", [0, 1, 999, 1000])
async def test_a_body_may_fill_the_limit(length: int, size: int) -> None:
    body = b"x" * length
    assert await read(gzip.compress(body), size=size) == body
    assert await read(body, size=size, coding="identity") == body


@pytest.mark.parametrize("size", [1, 3, 100_000])
async def test_one_byte_more_is_too_large(size: int) -> None:
    body = b"x" * 1001
    assert await reason_of(gzip.compress(body), size=size) == "too_large"
    assert await reason_of(body, size=size, coding="") == "too_large"
    halves = gzip.compress(body[:500]) + gzip.compress(body[500:])
    assert await reason_of(halves, size=size) == "too_large"


async def test_bytes_that_unpack_to_nothing_are_counted() -> None:
    began = gzip.compress(b"")[:10]
    blocks = CODING_BYTES_MAX // len(EMPTY_BLOCK) + 1000
    assert await reason_of(began + EMPTY_BLOCK * blocks, size=4096) == "too_large"
    nothing = gzip.compress(b"") * (CODING_BYTES_MAX // 20 + 100)
    assert await reason_of(nothing, size=4096) == "too_large"


async def test_what_is_no_gzip_or_breaks_off() -> None:
    assert await reason_of(b"plain text") == "http.broken"
    assert await reason_of(gzip.compress(b"fine")[:-1]) == "http.broken"
    assert await reason_of(gzip.compress(b"fine") + b"rubbish of some length") == "http.broken"
    assert await reason_of(gzip.compress(b"fine") + gzip.compress(b"more")[:-3]) == "http.broken"


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "deflate", "zstd", "gzip,"])
async def test_a_coding_that_was_not_asked_for(coding: str) -> None:
    assert await reason_of(b"", coding=coding) == "http.coding"


async def test_an_empty_body_may_claim_a_coding() -> None:
    """The answer to HEAD, and a 304, have none."""
    assert await read_body(parts_of(b"", 1), GZIP, 10) == b""
