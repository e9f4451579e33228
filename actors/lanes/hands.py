"""The hands of a lane: every run this worker has unsettled deliveries of.

In: hands as they are taken and left. Out: what is held, kept alive or too old, and which runs have
ended of late.
"""

from collections.abc import Iterator
from typing import Final

from actors.lanes.hand import Hand
from actors.runs.request import OURS_SECONDS

ENDED_MAX: Final = 10_000
"""Runs whose end is remembered: what comes late of them is settled and not run again."""


class Hands:
    """By run."""

    def __init__(self) -> None:
        self._hands: dict[str, Hand] = {}
        self._ended: dict[str, None] = {}

    def __iter__(self) -> Iterator[Hand]:
        return iter(tuple(self._hands.values()))

    def __len__(self) -> int:
        return len(self._hands)

    @property
    def deliveries(self) -> int:
        """Unsettled deliveries."""
        return sum(len(hand.deliveries) for hand in self._hands.values())

    def in_order(self) -> list[Hand]:
        """Give all of them, the first come first."""
        return sorted(self._hands.values(), key=lambda hand: hand.ticket.sequence)

    def sequences(self) -> set[int]:
        """Give the sequences of all that is held."""
        return {one.sequence for hand in self._hands.values() for one in hand.deliveries}

    def find(self, run_id: str) -> Hand | None:
        """Give the hand of a run."""
        return self._hands.get(run_id)

    def take(self, hand: Hand) -> None:
        """Hold a run."""
        self._hands[hand.ticket.run_id] = hand

    def leave(self, hand: Hand) -> None:
        """Hold it no longer."""
        self._hands.pop(hand.ticket.run_id, None)

    def is_held(self, hand: Hand) -> bool:
        """Tell whether it is still held."""
        return self._hands.get(hand.ticket.run_id) is hand

    def end(self, run_id: str) -> None:
        """Remember that a run has its outcome."""
        if len(self._ended) >= ENDED_MAX:
            del self._ended[next(iter(self._ended))]
        self._ended[run_id] = None

    def has_ended(self, run_id: str) -> bool:
        """Tell whether a run had its outcome here."""
        return run_id in self._ended

    def keep_alive(self, now: float, every_seconds: float) -> list[Hand]:
        """Keep alive what is ours, and give those that were not for too long.

        A worker that was frozen must not take back what the bus has given to another meanwhile.
        """
        stale: list[Hand] = []
        for hand in self._hands.values():
            age_seconds = now - hand.kept_alive_at
            if age_seconds > OURS_SECONDS:
                stale.append(hand)
            elif age_seconds >= every_seconds:
                for delivery in hand.deliveries:
                    delivery.keep_alive()
        return stale

    def next_wake_ms(self) -> int | None:
        """When the first of those that sleep goes on by itself."""
        wakes = (hand.wake_ms for hand in self._hands.values() if hand.wake_ms is not None)
        return min(wakes, default=None)
