"""Deliveries as Faust's messages, and headers there and back."""

from typing import Any

import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.msg import Msg

from app.history.transport import wire
from app.history.transport.errors import InvalidNameError

PLAIN = "$JS.ACK.S.C.3.70.9.1700000000500000000.12"
WITH_DOMAIN = "$JS.ACK.hub.account.S.C.3.70.9.1700000000500000000.12.token"


def delivered(reply: str = PLAIN, headers: dict[str, str] | None = None) -> Msg:
    client: Any = None
    return Msg(client, subject="a.b", reply=reply, data=b"{}", headers=headers)


@pytest.mark.parametrize("reply", [PLAIN, WITH_DOMAIN])
def test_a_reply_subject_tells_where_a_delivery_stands(reply: str) -> None:
    record = wire.read_record(delivered(reply))
    assert record is not None
    assert (record.delivered, record.stream_sequence, record.consumer_sequence) == (3, 70, 9)
    assert (record.timestamp, record.pending) == (1_700_000_000.5, 12)


def test_a_status_of_the_server_is_no_delivery() -> None:
    assert wire.read_record(delivered("", {"Status": "408"})) is None


def test_a_message_says_where_it_came_from_beside_its_own_headers() -> None:
    headers = {"Mine": "x", "Nats-Msg-Id": "1", wire.KEY: "a2V5", wire.TIMESTAMP: "7.5"}
    record = wire.read_record(delivered(headers=headers))
    assert record is not None
    message = wire.to_message(TP("t", 0), 4, record, generation=2, now=1.0)
    assert message.headers == {
        "Mine": b"x",
        "Nats-Subject": b"a.b",
        "Nats-Sequence": b"70",
        "Nats-Delivered": b"3",
    }
    assert (message.key, message.value, message.timestamp) == (b"key", b"{}", 7.5)
    assert (message.offset, message.generation_id) == (4, 2)


def test_nothing_is_not_the_empty_value() -> None:
    record = wire.read_record(delivered(headers={wire.NULL: "1"}))
    assert record is not None
    assert wire.to_message(TP("t", 0), 1, record, generation=1, now=0.0).value is None


NAMES = st.from_regex(r"X-[A-Za-z0-9-]{1,10}", fullmatch=True)


@given(st.dictionaries(NAMES, st.binary(max_size=40), max_size=5))
def test_headers_of_any_bytes_come_back_as_they_were(headers: dict[str, bytes]) -> None:
    block = wire.write_headers(headers)
    assert all(value.isprintable() and value == value.strip() for value in block.values())
    assert wire.read_headers(block) == headers
    assert wire.write_headers(list(headers.items())) == block


def test_what_means_something_to_the_server_is_not_passed_on() -> None:
    own = {"Nats-Msg-Id": b"1", "nats-ttl": b"1s", "Faust-Null": b"1", "Faust-Base64-X": b"1"}
    assert wire.write_headers({**own, "Faust-Ag-ReplyTo": b"r"}) == {"Faust-Ag-ReplyTo": "r"}


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "ü"])
def test_a_name_that_cannot_be_a_headers_is_refused(name: str) -> None:
    with pytest.raises(InvalidNameError):
        wire.write_headers({name: b"x"})
