"""Which server of a cluster the connection goes to, and how a silent one is noticed.

In: a url, which may name several servers; what answered and what did not. Out: the servers; the
next one to try and after which pause; the wish to leave. Refuses nothing.

A server that clients reach and the rest of its cluster does not is the worst to be connected to: it
lives and answers pings, and no stream is to be had through it. So is a machine that vanished from
the network: TCP alone waits for it for a quarter of an hour.
"""

import random
import socket
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

from nats.aio.client import Server

BACKOFF_FIRST_SECONDS: Final = 0.05
BACKOFF_MAX_SECONDS: Final = 2.0
BACKOFF_DOUBLINGS_MAX: Final = 6
UNACKED_SECONDS_MAX: Final = 10
"""What the other machine's kernel has not acknowledged for so long ends the connection."""
DOUBT_SECONDS: Final = 8.0
"""JetStream may be silent for as long as the election of a leader takes: 4 to 7 s (measured)."""
DOUBT_SECONDS_MAX: Final = 60.0
"""Each departure that did not help doubles the patience, up to this."""


def split_urls(url: str) -> list[str]:
    """Give the servers of a url: several are separated by commas."""
    return [part for part in (part.strip() for part in url.split(",")) if part]


def login_of(url: str) -> tuple[str | None, str | None]:
    """Give the first user and password that a url's servers name; other servers take them too."""
    for part in split_urls(url):
        parts = urlsplit(part)
        if parts.username:
            return parts.username, parts.password
    return None, None


class ServerChoice:
    """Takes the servers in turn, with pauses that grow and that no two clients share."""

    def __init__(self, jitter: random.Random) -> None:
        self._jitter = jitter
        self._left: str | None = None

    def leave(self, netloc: str) -> None:
        """Prefer others to this one from now on."""
        self._left = netloc

    def choose(self, servers: Sequence[Server]) -> tuple[Server, float]:
        """Give the server to try next and after how many seconds."""
        server = min(servers, key=self._rank)
        doublings = min(server.reconnects, BACKOFF_DOUBLINGS_MAX)
        pause = min(BACKOFF_FIRST_SECONDS * 2**doublings, BACKOFF_MAX_SECONDS)
        return server, pause * self._jitter.uniform(0.5, 1.5)

    def _rank(self, server: Server) -> int:
        """One that was left is tried once others have failed, or the last one would never be."""
        return server.reconnects + (server.uri.netloc == self._left)


class Doubt:
    """Whether JetStream is to be had through the server that we are connected to.

    Only who asks leaders may tell: followers answer reads by themselves.
    """

    __slots__ = ("_leave", "_now", "_patience_seconds", "_since", "is_raised")

    def __init__(self, now: Callable[[], float], leave: Callable[[], None]) -> None:
        self._now = now
        self._leave = leave
        self._patience_seconds = DOUBT_SECONDS
        self._since: float | None = None
        self.is_raised = False
        """Whether anything was unheard since the last answer; else nobody need say `heard`."""

    def heard(self) -> None:
        """Take note that a stream or a consumer has answered."""
        self.is_raised = False
        self._since = None
        self._patience_seconds = DOUBT_SECONDS

    def unheard(self) -> None:
        """Take note that nobody was there for a question, or that no answer came in its time."""
        now = self._now()
        self.is_raised = True
        if self._since is None:
            self._since = now
        elif now - self._since >= self._patience_seconds:
            self._since = None
            self._patience_seconds = min(2 * self._patience_seconds, DOUBT_SECONDS_MAX)
            self._leave()

    def drop(self) -> None:
        """Begin anew: this is another connection, that must show by an answer that it is better."""
        self._since = None


def bound_silence(connection: socket.socket | None) -> None:
    """Have the kernel give a connection up whose other end acknowledges nothing."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)  # Linux
    if connection is not None and option is not None:
        connection.setsockopt(socket.IPPROTO_TCP, option, UNACKED_SECONDS_MAX * 1000)
