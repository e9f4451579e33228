"""Wall clocks: what a time zone's clocks show at an instant, and when they show it.

In: an IANA zone, whole seconds since the epoch. Out: walls (what a clock on the wall shows, counted
as if it were UTC), instants, and where the offset changes. Pure arithmetic on the zone's rules.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

STRIDE_SECONDS: Final = 7 * 86_400
"""No zone has kept an offset for less than this between two changes of its clocks."""


@dataclass(frozen=True, slots=True)
class WallClock:
    """The clocks of one zone."""

    zone: ZoneInfo

    def offset_at(self, instant: int) -> int:
        """Give how many seconds the clocks are ahead of UTC."""
        return _offset(datetime.fromtimestamp(instant, self.zone))

    def shown_at(self, instant: int) -> int:
        """Give the wall of an instant."""
        return instant + self.offset_at(instant)

    def first_showing(self, wall: int) -> tuple[int, bool]:
        """Give the instant at which the clocks first show ``wall``, and whether they ever do.

        A wall inside a spring gap is never shown; its instant is then the end of the gap.
        """
        earlier = self._instant(wall, fold=0)
        if self.shown_at(earlier) == wall:
            return earlier, True
        before = self._instant(wall, fold=1)
        return self._change_within(before, earlier), False

    def second_showing(self, wall: int) -> int | None:
        """Give the instant at which the clocks show ``wall`` again; None where they do so once."""
        first, second = self._instant(wall, fold=0), self._instant(wall, fold=1)
        return second if second > first and self.shown_at(second) == wall else None

    def last_wall_shown(self, instant: int) -> int:
        """Give the highest wall shown so far; in an autumn repeat that is the hour before."""
        wall = self.shown_at(instant)
        first = self._instant(wall, fold=0)
        if first >= instant:
            return wall
        change = self._change_within(first, instant)
        return change - 1 + self.offset_at(change - 1)

    def change_after(self, instant: int, until: int) -> int | None:
        """Give the first instant in (instant, until] with another offset than ``instant`` has."""
        offset = self.offset_at(instant)
        low = instant
        while low < until:
            high = min(low + STRIDE_SECONDS, until)
            if self.offset_at(high) != offset:
                return self._change_within(low, high)
            low = high
        return None

    def change_before(self, instant: int, since: int) -> int | None:
        """Give the last instant in (since, instant] at which ``instant``'s offset began."""
        offset = self.offset_at(instant)
        high = instant
        while high > since:
            low = max(high - STRIDE_SECONDS, since)
            if self.offset_at(low) != offset:
                return self._change_within(low, high)
            high = low
        return None

    def _instant(self, wall: int, *, fold: int) -> int:
        naive = datetime.fromtimestamp(wall, UTC).replace(tzinfo=self.zone, fold=fold)
        return wall - _offset(naive)

    def _change_within(self, low: int, high: int) -> int:
        """Find where in (low, high] the offset that ``high`` has begins."""
        offset = self.offset_at(high)
        while high - low > 1:
            middle = (low + high) // 2
            if self.offset_at(middle) == offset:
                high = middle
            else:
                low = middle
        return high


def _offset(moment: datetime) -> int:
    offset = moment.utcoffset()
    return 0 if offset is None else int(offset.total_seconds())
