"""Identities: how a run, a step and a message of the bus get names that repeat themselves.

In: what the thing is made of. Out: a short token. Nothing here is random: work that is done again
after a crash must come out under the same name, since that name is what makes repeats invisible
(DESIGN 4). Fresh identities (ULIDs) come through the `Ids` port.
"""

import hashlib

_DIGEST_BYTES = 15
"""120 bits, 30 characters: a collision needs about 2^60 runs."""

_SEPARATOR = b"\x00"
"""Cannot occur in a part, so ("a", "bc") and ("ab", "c") never meet."""


_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""The alphabet of ULIDs."""

_PAIRS = tuple(first + second for first in _CROCKFORD for second in _CROCKFORD)
"""Ten bits at a time: an event's id is made for every webhook."""

_ULID_TIME_MAX = (1 << 48) - 1
_ULID_TIME_CHARS = 10
_ULID_CHARS = 26
_CROCKFORD_SET = frozenset(_CROCKFORD)


def run_id(event_id: str, flow: str, redrive_nonce: str = "") -> str:
    """Name the run of ``flow`` for one event; a redrive brings a nonce and is a run of its own."""
    return _digest("run", event_id, flow, redrive_nonce)


def child_run_id(parent_run_id: str, node_id: str, iteration: int) -> str:
    """Name the run that a step of another run starts (`async`, or `flow2flow` without waiting)."""
    return _digest("child", parent_run_id, node_id, str(iteration))


def tick_id(flow: str, trigger_number: int, scheduled_ms: int) -> str:
    """Name one firing of a timer: a ULID of its scheduled time, the same on every worker.

    It is the event's id and its message id, so the stream keeps one event per tick.
    """
    joined = _SEPARATOR.join(part.encode() for part in ("tick", flow, str(trigger_number)))
    tail = hashlib.blake2b(joined, digest_size=10).digest()
    return format_ulid(scheduled_ms, tail)


def format_ulid(time_ms: int, tail: bytes) -> str:
    """Write a ULID: 48 bits of time in milliseconds, then ten bytes, in Crockford's base 32."""
    time = time_ms & _ULID_TIME_MAX
    high, low = int.from_bytes(tail[:5], "big"), int.from_bytes(tail[5:], "big")
    return (
        f"{_PAIRS[time >> 40]}{_PAIRS[time >> 30 & 1023]}{_PAIRS[time >> 20 & 1023]}"
        f"{_PAIRS[time >> 10 & 1023]}{_PAIRS[time & 1023]}"
        f"{_PAIRS[high >> 30]}{_PAIRS[high >> 20 & 1023]}{_PAIRS[high >> 10 & 1023]}"
        f"{_PAIRS[high & 1023]}"
        f"{_PAIRS[low >> 30]}{_PAIRS[low >> 20 & 1023]}{_PAIRS[low >> 10 & 1023]}"
        f"{_PAIRS[low & 1023]}"
    )


def delivery_message_id(provider: str, event_type: str, delivery_id: str) -> str:
    """Name a provider's delivery for the stream's duplicate window (DESIGN 3, Deduplication).

    The event type is part of it: a sender may post one delivery to the routes of several types.
    """
    return _digest("delivery", provider, event_type, delivery_id)


def ulid_time_ms(text: str) -> int | None:
    """Give the time in a ULID, in milliseconds; None where the text is none."""
    if len(text) != _ULID_CHARS or not set(text) <= _CROCKFORD_SET or text[0] > "7":
        return None
    time_ms = 0
    for char in text[:_ULID_TIME_CHARS]:
        time_ms = time_ms << 5 | _CROCKFORD.index(char)
    return time_ms


def step_id(frame_path: str, node_id: str) -> str:
    """Name a step within its run: ``{node}``, or ``{node}/{child}`` inside a sub-flow."""
    return f"{frame_path}/{node_id}" if frame_path else node_id


def effect_key(run: str, step: str, iteration: int) -> str:
    """Idempotency key of one effect: ``{run_id}:{node}:{iteration}`` (DESIGN 4)."""
    return f"{run}:{step}:{iteration}"


def _digest(*parts: str) -> str:
    joined = _SEPARATOR.join(part.encode("utf-8", "surrogatepass") for part in parts)
    return hashlib.blake2b(joined, digest_size=_DIGEST_BYTES).hexdigest()
