"""Whether a tenant's pull works: four states, told apart.

In: the open pull of a tenant, the time. Out: its `PullState`. Refuses nothing. Asking the server
proves nothing: only what it answers does (a message, a heartbeat, the end of a request).
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol


class PullState(StrEnum):
    """What a tenant's pull is doing."""

    POLLING = "polling"
    """The server has answered lately."""
    BUSY = "busy"
    """Nobody asks: the flows have all they can take (back-pressure)."""
    SILENT = "silent"
    """Somebody asks, and the server does not answer."""
    STOPPED = "stopped"
    """There is no router: it crashed and waits for its restart, or the tenant is set aside."""

    @property
    def is_working(self) -> bool:
        """Whether events of the tenant are being processed."""
        return self in (PullState.POLLING, PullState.BUSY)


class WatchedPull(Protocol):
    """What is needed of `deliveries.TenantDeliveries`."""

    @property
    def last_polled_at(self) -> float:
        """When the server last showed that it serves our requests (monotonic seconds)."""
        ...

    @property
    def is_waiting(self) -> bool:
        """Whether somebody waits for deliveries."""
        ...

    @property
    def is_closed(self) -> bool:
        """Whether it has ended."""
        ...


def state_of(pull: WatchedPull | None, now: float, silent_seconds_max: float) -> PullState:
    """Judge a pull; None where none was ever opened. A pull just closed has its grace too."""
    if pull is None:
        return PullState.STOPPED
    if now - pull.last_polled_at <= silent_seconds_max:
        return PullState.POLLING
    if pull.is_closed:
        return PullState.STOPPED
    return PullState.SILENT if pull.is_waiting else PullState.BUSY


def with_lanes(own: PullState, lanes: Iterable[PullState]) -> PullState:
    """Judge a tenant by its own pull and those of its open lanes: one that is silent is enough.

    What is BUSY or closed on a lane is its own affair: the tenant's other flows go on.
    """
    if own.is_working and PullState.SILENT in lanes:
        return PullState.SILENT
    return own
