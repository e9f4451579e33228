"""Which streams of events get a message, and the task that fetches.

In: Faust's own conductor and fetcher. Out: the same, with a topic that is added while the app runs
subscribed to at once instead of after 45 s. Refuses nothing.
"""

import typing
from typing import Final

from faust.transport.conductor import Conductor as FaustConductor
from faust.transport.consumer import Fetcher as FaustFetcher
from faust.types import TP
from faust.types.transports import ConsumerCallback

from app.history.transport.consumer import Consumer

RESUBSCRIBE_SECONDS: Final = 0.2


class Conductor(FaustConductor):
    """One app's conductor."""

    _resubscribe_sleep_lock_seconds = RESUBSCRIBE_SECONDS

    def handler_of(self, tp: TP) -> ConsumerCallback | None:
        """Give what takes a topic's messages; None while subscriptions change."""
        return self._tp_to_callback.get(tp)


class Fetcher(FaustFetcher):
    """The task that fetches, and that waits for the agents when the app stops."""

    async def on_stop(self) -> None:
        """Stop fetching; in an app that stops, let agents end what they are at."""
        await super().on_stop()
        if self.app.should_stop:
            await typing.cast("Consumer", self.app.consumer).wait_begun()
