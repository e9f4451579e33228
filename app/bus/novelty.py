"""Which messages of a stream nobody can have been handed before (DESIGN 4).

In: a stream, and messages pulled from it. Out: whether a message is new. Refuses nothing: whatever
cannot be known is not new, which costs its run one look into its journal.

A server that is killed forgets how often it delivered what it delivered in its last 100 ms, and
says "the first time" again (measured: hundreds of messages). Only what was stored after we last
connected cannot be among those. In a cluster the server that delivers may begin anew while our own
connection stays, so nothing is ever known to be new there, nor where the stream is another server's
than ours (leaf nodes).
"""

import json
from typing import Any, Final

from actors.errors import UnavailableError
from app.bus.connection import Bus
from app.bus.pulls import PulledMessage, PullHub

LOOK_SECONDS: Final = 2.0
LOOK_AGAIN_SECONDS: Final = 10.0
"""After nobody answered: until then everything may be repeated, and nobody waits for an answer."""

_NO_SESSION: Final = -1


class Novelty:
    """Knows the last sequence of one stream at the beginning of the connection's session."""

    def __init__(self, hub: PullHub, stream: str) -> None:
        self._bus: Bus = hub.bus
        self._clock = hub.clock
        self._stream = stream
        self._session = _NO_SESSION
        self._last_sequence = 0
        self._look_again_at = float("-inf")

    async def look(self) -> None:
        """Ask for the last sequence once in each session; an outage is no error."""
        session, server = self._bus.session, self._bus.lone_server
        if session == self._session or server is None:
            return
        if self._clock.monotonic() < self._look_again_at:
            return
        try:
            answer = await self._bus.request(
                f"$JS.API.STREAM.INFO.{self._stream}", b"", timeout_seconds=LOOK_SECONDS
            )
            last_sequence = _last_sequence(json.loads(answer.data), server)
        except (UnavailableError, ValueError):
            last_sequence = None
        if last_sequence is None:
            self._look_again_at = self._clock.monotonic() + LOOK_AGAIN_SECONDS
        elif session == self._bus.session:
            self._session = session
            self._last_sequence = last_sequence

    def is_new(self, message: PulledMessage) -> bool:
        """Tell whether nobody can have been handed this message before."""
        return (
            message.session == self._session == self._bus.session
            and message.ack.num_delivered == 1
            and message.ack.sequence > self._last_sequence
        )


def _last_sequence(document: Any, server: str) -> int | None:
    """Give the stream's last sequence, if it is the server's own stream."""
    try:
        is_ours = document["cluster"]["leader"] == server and "name" not in document["cluster"]
        return int(document["state"]["last_seq"]) if is_ours else None
    except (KeyError, TypeError):
        return None
