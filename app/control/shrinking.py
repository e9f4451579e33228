"""Making a tenant's stream smaller without losing an event that nobody has processed yet.

In: what the stream shall be, and from where on its consumer wants it. Out: how large it may be made
now; what all are done with and has no room any more is deleted, the oldest first. Refuses nothing:
as long as too much waits to be processed, the stream stays as large as it is.

A smaller limit alone would not do: the server lets the oldest go, processed or not.
"""

import math
from dataclasses import dataclass
from typing import Final

from app.bus.admin import JetStreamAdmin
from app.bus.admin_specs import ConsumerInfo, StreamInfo, StreamSpec
from app.bus.rates import WAITING_SHARE
from app.control import names

STEPS_MAX: Final = 40
STEP_MIN: Final = 1000
"""Messages, in a step: what is older may be larger than what is younger."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """What lies in a stream, and up to where all are done with it."""

    info: StreamInfo
    floor: int
    """Everything up to this sequence is processed, or wanted by nobody."""

    @property
    def average(self) -> float:
        return self.info.bytes / self.info.messages if self.info.messages else 0.0

    @property
    def waiting(self) -> float:
        """Bytes that may wait to be processed, estimated."""
        first = max(self.floor + 1, self.info.first_sequence)
        return min(self.info.messages, max(0, self.info.last_sequence + 1 - first)) * self.average


async def room_for(admin: JetStreamAdmin, spec: StreamSpec, *, first_sequence: int) -> int:
    """Give the bytes that a tenant's stream may be limited to now: those of ``spec``, or more.

    Nobody else may change the stream or its consumer meanwhile. ``first_sequence``: where the
    consumer begins if there is none yet. UnavailableError, BusError.
    """
    wanted = spec.bytes_max
    info = await admin.stream_info(spec.name)
    if info is None or not wanted or 0 < info.config["max_bytes"] <= wanted:
        return wanted
    consumer = await admin.consumer_info(spec.name, names.FLOWS_DURABLE)
    stored = _Stored(info, _floor(info, consumer, first_sequence))
    if stored.waiting <= wanted * WAITING_SHARE and await _is_purged(admin, stored, wanted):
        return wanted
    is_bounded = info.config["max_bytes"] > 0
    return info.config["max_bytes"] if is_bounded else 0


def _floor(info: StreamInfo, consumer: ConsumerInfo | None, first_sequence: int) -> int:
    if consumer is None:
        return first_sequence - 1
    is_idle = consumer.pending == 0 and consumer.ack_pending == 0
    # The consumer was looked at after the stream: what came between is behind the stream's last.
    return info.last_sequence if is_idle else consumer.ack_floor


async def _is_purged(admin: JetStreamAdmin, stored: _Stored, bytes_max: int) -> bool:
    """Delete of what is processed as much as is too much; False: there is not enough of it."""
    info, floor = stored.info, stored.floor
    for _ in range(STEPS_MAX):
        excess = info.bytes - bytes_max
        if excess <= 0:
            return True
        if info.first_sequence > floor:
            return False
        messages = math.ceil(excess / info.bytes * info.messages)
        step = messages if messages <= STEP_MIN else messages // 2
        await admin.purge_before(info.name, min(floor, info.first_sequence + step - 1) + 1)
        info = await admin.stream_info(info.name) or info
    return False
