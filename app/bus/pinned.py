"""Being the only worker of an exclusive lane: what the server's pin means to one puller.

In: the headers of deliveries and refused requests. Out: whether a delivery is ours, in which term,
and what our requests must carry. Refuses deliveries that were made under a pin we have lost, or
under none.

How the server pins (2.15, measured). Nobody is pinned while nothing is to be delivered; the first
request in line that carries no pin then gets the message, with a new pin in its headers. From then
on only requests with that pin are served; those without one stay in line for the day it is free.
A pin lasts `PIN_TTL_SECONDS` after its holder's last request arrived: neither a waiting request
nor a delivery renews it. Its end is told to nobody: a request with a lost pin is refused (423) once
somebody else is pinned or there is something to deliver, and just ends on a lane that is quiet. The
pin does not survive the server's restart, nor another leader.

So the holder asks anew every few seconds, though it may want nothing: a pin that is lost while
deliveries are in hand means that two workers decide about one lane.
"""

from collections.abc import Mapping
from typing import Any, Final

PRIORITY_GROUP: Final = "lane"
PIN_TTL_SECONDS: Final = 10
"""How long a worker that died keeps its lane; and how long a living one may be held up without
losing it, less `RENEW_SECONDS`."""
PINNED_EXPIRES_SECONDS: Final = 4
"""How long the request of a pinned worker lasts, so that the next one renews the pin."""
RENEW_SECONDS: Final = 5.0
"""After so long without a request one is made for the pin's sake."""

WRONG_PIN: Final = "423"

_PIN_ID: Final = "Nats-Pin-Id"


class Pin:
    """What one puller knows of its pin."""

    __slots__ = ("_lost", "id", "term")

    def __init__(self) -> None:
        self.id: str | None = None
        """None: somebody else may be pinned, or nobody."""
        self.term = 0
        """Grows with each new pin that names us."""
        self._lost: str | None = None

    def fields(self) -> dict[str, Any]:
        """Give what a request must carry. One with a pin that is gone would only be refused."""
        if self.id is None:
            return {"group": PRIORITY_GROUP}
        return {"group": PRIORITY_GROUP, "id": self.id}

    def is_ours(self, headers: Mapping[str, str] | None) -> bool:
        """Take the pin from a delivery's headers; False: it was not made to us as the only one."""
        named = headers.get(_PIN_ID) if headers else None
        if not named or named == self._lost:
            return False
        if named != self.id:
            self._lost = self.id
            self.id = named
            self.term += 1
        return True

    def is_due(self, idle_seconds: float) -> bool:
        """Tell whether our last request is so old that the pin needs another one."""
        return self.id is not None and idle_seconds >= RENEW_SECONDS

    def is_held(self, idle_seconds: float) -> bool:
        """Tell whether, so long after our last request, nobody else can have been pinned."""
        return self.id is not None and idle_seconds < PIN_TTL_SECONDS

    def lose(self) -> None:
        """Forget a pin that the server says is not in force."""
        if self.id is not None:
            self._lost = self.id
            self.id = None
