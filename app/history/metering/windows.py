"""A window: an hour of one flow, what it has counted, and up to which record.

In: runs of one message, with its place in its stream. Out: the window's value as bytes. Refuses,
when it is read, what is no window (ValueError).

A window counts a message as a whole or not at all, and remembers the sequence of the last one it
counted: a message that comes again, at or below it, changes nothing. So it does not matter which
of the windows a message touches were stored when somebody was killed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from actors.errors import InvalidSubjectError
from actors.subjects import check_token, flow_tokens
from app.history.metering.durations import BOUNDS_MS
from app.history.metering.records import HOUR_MS, TIME_MS_MAX, CountedRun
from app.history.metering.usage import Usage

_TOKENS_MIN: Final = 4


@dataclass(frozen=True, slots=True, order=True)
class WindowPlace:
    """Which window: windows are listed by hour, then by flow."""

    tenant: str
    start_ms: int
    flow: str

    def as_key(self) -> str:
        """Give it as tokens of a subject: ``{tenant}.{day}.{hour}.{flow tokens}``, in UTC.

        `parse_place` is the inverse. Tenant and time come first: whoever reads a tenant's day, or
        erases a tenant, names its subjects by what they begin with.
        """
        return f"{check_token(self.tenant, 'tenant')}.{hour_key(self.start_ms)}.{self._flow}"

    @property
    def _flow(self) -> str:
        return flow_tokens(self.flow)


def hour_key(start_ms: int) -> str:
    """Give an hour as two tokens: ``20261124.09``."""
    return f"{datetime.fromtimestamp(start_ms // 1000, UTC):%Y%m%d.%H}"


def parse_place(key: str) -> WindowPlace:
    """Read a key; ValueError for what is none."""
    tokens = key.split(".")
    if len(tokens) < _TOKENS_MIN:
        raise ValueError(f"{key[:80]!r} is no window's key")
    tenant, day, hour, *flow = tokens
    try:
        check_token(tenant, "tenant")
    except InvalidSubjectError as error:
        raise ValueError(str(error)) from None
    start = datetime.strptime(f"{day}{hour}", "%Y%m%d%H").replace(tzinfo=UTC)
    place = WindowPlace(tenant, int(start.timestamp()) * 1000, "/".join(flow))
    if place.as_key() != key:
        raise ValueError(f"{key[:80]!r} is no window's key")
    return place


def place_of(run: CountedRun) -> WindowPlace:
    """Give the window that a run is counted in."""
    return WindowPlace(run.tenant, run.hour_ms, run.flow)


def hour_of(time_ms: int) -> int:
    """Give the beginning of the hour of a time; a time out of bounds is at its bound."""
    return min(max(time_ms, 0), TIME_MS_MAX) // HOUR_MS * HOUR_MS


class UsageWindow(msgspec.Struct):
    """What a window holds. ``through``: by shard, the sequence up to which all is counted."""

    through: dict[int, int]
    usage: Usage

    @classmethod
    def empty(cls) -> "UsageWindow":
        """Give one that has counted nothing."""
        return cls({}, Usage())

    def apply(self, runs: Iterable[CountedRun], shard: int, sequence: int) -> bool:
        """Count the runs of a message of a shard; False: they are counted already."""
        if self.through.get(shard, 0) >= sequence:
            return False
        self.through[shard] = sequence
        for run in runs:
            self.usage.count(run)
        return True

    def encode(self) -> bytes:
        """Give it as it is stored; `decode_window` is the inverse."""
        return _ENCODER.encode(self)


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(UsageWindow)


def decode_window(data: bytes) -> UsageWindow:
    """Read a window; ValueError for what is none."""
    try:
        window = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"this is no window: {error}") from None
    if any(not 0 <= bucket < len(BOUNDS_MS) for bucket in window.usage.durations):
        raise ValueError("this is no window: it has a bucket that there is not")
    return window
