"""The headers of our messages: their names, and how they are read from strangers.

In: what an envelope knows. Out: a header block, or the values of one. Refuses nothing when reading:
anybody may publish on the bus, so a value that breaks its rule counts as absent.
"""

import re
from collections.abc import Mapping
from typing import Final

from actors.subjects import is_reply_subject

MESSAGE_ID: Final = "Nats-Msg-Id"
EVENT_ID: Final = "Greentic-Event-Id"
REPLY: Final = "Greentic-Reply"
HOPS: Final = "Greentic-Hops"
TRACEPARENT: Final = "traceparent"
TTL: Final = "Nats-TTL"
CONTENT_TYPE: Final = "Content-Type"
JSON_TYPE: Final = "application/json"

JSON_CONTENT: Final = (CONTENT_TYPE, JSON_TYPE)

_HOPS = re.compile(r"[0-9]{1,6}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def read_reply_to(headers: Mapping[str, str] | None) -> str | None:
    """Where an answer may go: only a subject of the form workers may answer (DESIGN 3)."""
    reply_to = headers.get(REPLY) if headers else None
    return reply_to if reply_to and is_reply_subject(reply_to) else None


def read_hops(headers: Mapping[str, str] | None) -> int:
    """How many emitting nodes led here; unreadable counts as none."""
    hops = headers.get(HOPS, "") if headers else ""
    return int(hops) if _HOPS.fullmatch(hops) else 0


def checked_traceparent(metadata: Mapping[str, object] | None) -> str | None:
    """Give the event's trace context (W3C) if it is one."""
    value = metadata.get("traceparent") if metadata else None
    return value if isinstance(value, str) and _TRACEPARENT.fullmatch(value) else None
