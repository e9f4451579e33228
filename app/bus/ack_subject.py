"""The subject under which a delivered message is acknowledged: who delivered it, how often.

In: the reply subject of a message. Out: its parts, from either form the server writes (9 tokens,
or 11 and more with a domain and an account's hash). Refuses everything else with None.
"""

from dataclasses import dataclass
from typing import Final

ACK_PREFIX: Final = "$JS.ACK."

_PLAIN_TOKENS: Final = 9
_DOMAIN_TOKENS_MIN: Final = 11
_PLAIN_WAITING: Final = 8
_DOMAIN_WAITING: Final = 10


@dataclass(frozen=True, slots=True)
class AckSubject:
    """What the server tells about one delivery; both numbers count from 1."""

    stream: str
    durable: str
    num_delivered: int
    sequence: int


def parse_ack_subject(reply: str) -> AckSubject | None:
    """Take the reply subject of a delivered message apart; None when it is none."""
    if not reply.startswith(ACK_PREFIX):
        return None
    tokens = reply.split(".")
    if len(tokens) == _PLAIN_TOKENS:
        parts = tokens[2:6]
    elif len(tokens) >= _DOMAIN_TOKENS_MIN:
        parts = tokens[4:8]
    else:
        return None
    stream, durable, delivered, sequence = parts
    if not (delivered.isdigit() and sequence.isdigit()):
        return None
    return AckSubject(stream, durable, int(delivered), int(sequence))


def waiting_behind(reply: str) -> int:
    """Tell how many messages its consumer had not handed to anybody when this one left the server.

    0 where the subject does not tell.
    """
    if not reply.startswith(ACK_PREFIX):
        return 0
    tokens = reply.split(".")
    place = _PLAIN_WAITING if len(tokens) == _PLAIN_TOKENS else _DOMAIN_WAITING
    return int(tokens[place]) if len(tokens) > place and tokens[place].isdigit() else 0
