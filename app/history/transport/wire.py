"""Messages of JetStream as messages of Faust, and back.

In: what a pull brings, with its ``$JS.ACK`` reply; keys, values and headers of what Faust sends.
Out: `Record`s and Faust's `ConsumerMessage`s; header blocks. Refuses header names that HTTP would
refuse. A header's value may be any bytes: what is no plain text travels as base64.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Final

from faust.types import TP, ConsumerMessage, HeadersArg
from nats.aio.msg import Msg

from app.history.transport.errors import InvalidNameError
from app.history.transport.names import key_of

KEY: Final = "Faust-Key"
NULL: Final = "Faust-Null"
TIMESTAMP: Final = "Faust-Timestamp"
BASE64: Final = "Faust-Base64-"
MESSAGE_ID: Final = "Nats-Msg-Id"
TTL: Final = "Nats-TTL"
SUBJECT: Final = "Nats-Subject"
SEQUENCE: Final = "Nats-Sequence"
DELIVERED: Final = "Nats-Delivered"

_OWN: Final = ("nats-", "faust-key", "faust-null", "faust-timestamp", "faust-base64-")
"""Prefixes of headers that mean something to the server or to us: a user's are not passed on."""
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TEXT: Final = re.compile(rb"[!-~](?:[ -~]*[!-~])?")
_NANOSECONDS: Final = 1_000_000_000
_ACK_TOKENS: Final = 9
_DOMAIN_TOKENS: Final = 2
_ACK_PREFIX: Final = "$JS.ACK."
_TIMESTAMP_IS_CREATION: Final = 0


class Record:
    """One delivery, with what its reply subject tells."""

    __slots__ = (
        "consumer_sequence", "data", "delivered", "headers", "pending", "reply",
        "stream_sequence", "subject", "timestamp",
    )  # fmt: skip

    def __init__(self, message: Msg, tokens: list[str]) -> None:
        self.subject = message.subject
        self.reply = message.reply
        self.data = message.data
        self.headers = message.headers
        self.delivered = int(tokens[0])
        self.stream_sequence = int(tokens[1])
        self.consumer_sequence = int(tokens[2])
        self.timestamp = int(tokens[3]) / _NANOSECONDS
        self.pending = int(tokens[4])


def read_record(message: Msg) -> Record | None:
    """Read a delivery; None for a status of the server, which no acknowledgement is due for."""
    reply = message.reply
    if not reply.startswith(_ACK_PREFIX):
        return None
    tokens = reply.split(".")
    if len(tokens) == _ACK_TOKENS:
        return Record(message, tokens[4:])
    return Record(message, tokens[4 + _DOMAIN_TOKENS :])


def to_message(
    tp: TP, offset: int, record: Record, *, generation: int, now: float
) -> ConsumerMessage:
    """Give Faust's message: with the sender's headers, and where it came from beside them."""
    key, value, timestamp = None, record.data, record.timestamp
    headers: dict[str, bytes] = {}
    if record.headers:
        headers = read_headers(record.headers)
        given = record.headers.get(KEY)
        key = None if given is None else _decoded(given)
        stamped = record.headers.get(TIMESTAMP)
        timestamp = timestamp if stamped is None else float(stamped)
    if key is None and record.subject.startswith("faust."):
        key = key_of(record.subject)
    headers[SUBJECT] = record.subject.encode()
    headers[SEQUENCE] = b"%d" % record.stream_sequence
    headers[DELIVERED] = b"%d" % record.delivered
    return ConsumerMessage(
        tp.topic,
        tp.partition,
        offset,
        timestamp,
        _TIMESTAMP_IS_CREATION,
        headers,
        key,
        None if record.headers and NULL in record.headers else value,
        None,
        tp=tp,
        time_in=now,
        generation_id=generation,
    )


def read_headers(headers: Mapping[str, str]) -> dict[str, bytes]:
    """Give the sender's headers as the bytes they were."""
    found: dict[str, bytes] = {}
    for name, value in headers.items():
        if name.startswith(BASE64):
            found[name[len(BASE64) :]] = _decoded(str(value))
        elif not name.lower().startswith(_OWN):
            found[name] = str(value).encode("utf-8", "surrogateescape")
    return found


def write_headers(headers: HeadersArg | None) -> dict[str, str]:
    """Give a header block for what Faust sends along; of headers of one name the last is kept."""
    block: dict[str, str] = {}
    for name, value in _pairs(headers):
        if name.lower().startswith(_OWN):
            continue
        if not _NAME.fullmatch(name):
            raise InvalidNameError(f"{name!r} cannot be the name of a header")
        if _TEXT.fullmatch(value):
            block[name] = value.decode("ascii")
        else:
            block[BASE64 + name] = base64.b64encode(value).decode("ascii")
    return block


def encode_key(key: bytes) -> str:
    """Give a key as the value of the header `KEY`."""
    return base64.b64encode(key).decode("ascii")


def _pairs(headers: HeadersArg | None) -> Iterable[tuple[str, bytes]]:
    if not headers:
        return ()
    return headers.items() if isinstance(headers, Mapping) else headers


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error:
        return text.encode("utf-8", "surrogateescape")
