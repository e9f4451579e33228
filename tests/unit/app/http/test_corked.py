import asyncio

from app.http.corked import WAITING_BYTES_MAX, CorkedTransport


class Wire:
    """Remembers what a transport was told."""

    def __init__(self) -> None:
        self.sent: list[bytes | str] = []
        self.is_shut = False

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def close(self) -> None:
        self.sent.append("closed")
        self.is_shut = True

    def abort(self) -> None:
        self.sent.append("aborted")
        self.is_shut = True

    def is_closing(self) -> bool:
        return self.is_shut


def corked() -> tuple[CorkedTransport, Wire]:
    wire = Wire()
    return CorkedTransport(wire, asyncio.get_running_loop()), wire  # type: ignore[arg-type]  # a transport's part


async def test_writes_of_one_turn_leave_together_in_their_order() -> None:
    transport, wire = corked()
    transport.write(b"head ")
    transport.write(b"")
    transport.write(b"body")
    assert wire.sent == []
    await asyncio.sleep(0)
    transport.write(b"next")
    await asyncio.sleep(0)
    assert wire.sent == [b"head body", b"next"]


async def test_large_writes_do_not_wait() -> None:
    transport, wire = corked()
    transport.write(b"head")
    transport.write(b"x" * WAITING_BYTES_MAX)
    assert wire.sent == [b"head" + b"x" * WAITING_BYTES_MAX]
    await asyncio.sleep(0)
    assert len(wire.sent) == 1


async def test_closing_sends_what_waits_and_aborting_does_not() -> None:
    transport, wire = corked()
    transport.write(b"bye")
    transport.close()
    assert wire.sent == [b"bye", "closed"]
    other, cut = corked()
    other.write(b"lost")
    other.abort()
    await asyncio.sleep(0)
    assert cut.sent == ["aborted"]


async def test_transport_that_closed_meanwhile_gets_nothing() -> None:
    transport, wire = corked()
    transport.write(b"late")
    wire.is_shut = True
    await asyncio.sleep(0)
    assert wire.sent == []
    assert transport.is_closing() is True
