"""Which tenants are hot: so busy that their workers do not keep up.

In: for each tenant of this worker, how much waits for it and how much it has in hand, at each look.
Out: the tenants that shall have more workers. Refuses nothing.

Hot is who has much waiting and much in hand at `HOT_LOOKS` looks in a row: where only little is in
hand, something else is short (a plan's limit, a lane's turn), and more workers would not help. It
is hot until it has been calm at `CALM_LOOKS` looks in a row: the backlog that more workers have
just worked off would come back when they go.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from app.fleet.report import HOT_MAX

LOOK_SECONDS: Final = 5.0
"""Between looks, as meant here."""
HOT_LOOKS: Final = 3
CALM_LOOKS: Final = 24
"""Two minutes."""
WAITING_MIN: Final = 1000
"""Events and continuations not yet handed to any worker: less is worked off within seconds."""
IN_FLIGHT_MIN: Final = 64
CALM_SHARE: Final = 0.1
"""Of `WAITING_MIN`: with less waiting, a tenant is calm."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a worker sees of a tenant."""

    waiting: int
    """Messages that its consumers have not handed out to anybody yet."""
    in_flight: int
    """Deliveries that this worker has in hand."""

    @property
    def is_saturated(self) -> bool:
        """Tell whether more workers would help."""
        return self.waiting >= WAITING_MIN and self.in_flight >= IN_FLIGHT_MIN

    @property
    def is_calm(self) -> bool:
        """Tell whether next to nothing waits."""
        return self.waiting < CALM_SHARE * WAITING_MIN


@dataclass(slots=True)
class _Record:
    """A tenant that was saturated lately."""

    saturated: int = 0
    """Looks in a row."""
    calm: int = 0
    """Looks in a row."""
    is_hot: bool = False


class HotTenants:
    """The hot tenants of one worker; `look` every `LOOK_SECONDS`."""

    def __init__(self, read: Callable[[], Mapping[str, Load]]) -> None:
        """``read``: gives the load of each tenant that this worker hosts."""
        self._read = read
        self._records: dict[str, _Record] = {}

    def look(self) -> tuple[str, ...]:
        """Look once and give the hot tenants, those with the most waiting first, `HOT_MAX` at most.

        A tenant that this worker does not host any more is not hot here.
        """
        loads = self._read()
        self._records = {
            tenant: record
            for tenant, load in loads.items()
            if (record := _judged(self._records.get(tenant), load)) is not None
        }
        hot = [tenant for tenant, record in self._records.items() if record.is_hot]
        hot.sort(key=lambda tenant: (-loads[tenant].waiting, tenant))
        return tuple(hot[:HOT_MAX])


def _judged(record: _Record | None, load: Load) -> _Record | None:
    """Add a look; None: nothing is to be remembered."""
    if record is None and not load.is_saturated:
        return None
    record = record or _Record()
    record.saturated = record.saturated + 1 if load.is_saturated else 0
    record.calm = record.calm + 1 if load.is_calm else 0
    record.is_hot = record.is_hot or record.saturated >= HOT_LOOKS
    is_over = record.calm >= CALM_LOOKS if record.is_hot else not load.is_saturated
    return None if is_over else record
