"""Who of an app's workers owns its tables and exclusive topics.

In: the app's id, how long a lease lasts. Out: `Lease.is_held`, true only while no other worker can
hold it: until three quarters of its time since the last renewal *was sent*, by this machine's own
clock. Refuses to be renewed by anybody but its holder.

A lease is a key with a time to live; it is taken and renewed by compare-and-set. A worker that dies
leaves it to expire; one that stops deletes it.
"""

import asyncio
import base64
import os
import socket
import uuid
from time import monotonic
from typing import Final

import msgspec
from mode import get_logger

from app.history.transport.connection import LOST, Connection
from app.history.transport.errors import StreamRefusedError, TransportError
from app.history.transport.names import token_of
from app.history.transport.streams import Streams
from app.history.transport.wire import TTL

BUCKET: Final = "FAUST_LEASES"
LEASE_SECONDS: Final = 10
SAFE_SHARE: Final = 0.75
"""Of a lease's time: what is left covers the way to the server and its clock."""
RENEWALS: Final = 5
"""How often a holder renews within one lease."""

_STREAM: Final = f"KV_{BUCKET}"
_EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
_WRONG_SEQUENCE: Final = 10071

logger = get_logger(__name__)


class Lease:
    """One app's lease, as one worker sees it."""

    def __init__(self, connection: Connection, streams: Streams, app_id: str, seconds: int) -> None:
        self._connection = connection
        self._streams = streams
        self._key = token_of(app_id)
        self._subject = f"$KV.{BUCKET}.{self._key}"
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._sequence = 0
        self._held_until = float("-inf")
        self.term = 0
        """Counts the times it was taken: what was begun in one term must not end in another."""
        self._is_prepared = False
        self._renewing = asyncio.Lock()
        self.seconds = seconds
        self.replicas = 1

    @property
    def is_held(self) -> bool:
        """Whether this worker is the owner at this moment."""
        return monotonic() < self._held_until

    def is_in_term(self, term: int) -> bool:
        """Whether it is held, and was all the time since this term began."""
        return term == self.term and self.is_held

    @property
    def pause_seconds(self) -> float:
        """How long to wait until the next `renew`."""
        return self.seconds / RENEWALS / (1 if self.is_held else 2)

    async def renew(self) -> bool:
        """Take or renew it; say whether it is ours. Silence of the server changes nothing.

        A holder that is told "no" lost it: another worker took it after it had expired. One that
        comes too late gives it up, even if nobody else wanted it: what it did since is refused, so
        it has to begin a new term.
        """
        async with self._renewing:
            return await self._renew()

    async def _renew(self) -> bool:
        asked_at = monotonic()
        if self._sequence and not self.is_held:
            self._drop()
            return False
        try:
            async with asyncio.timeout(max(1.0, self.seconds / RENEWALS)):
                sequence = await self._take()
        except (*LOST, TransportError) as problem:
            logger.warning("The lease of %s cannot be asked for: %r", self._key, problem)
            return self.is_held
        if sequence:
            if not self._sequence:
                self.term += 1
            self._sequence = sequence
            self._held_until = asked_at + self.seconds * SAFE_SHARE
        else:
            self._drop()
        return self.is_held

    async def release(self) -> None:
        """Give it up, so that another worker need not wait for its end."""
        sequence, held = self._sequence, self.is_held
        self._drop()
        if not held or not sequence or not self._connection.is_connected:
            return
        try:
            await self._connection.ask(f"STREAM.MSG.DELETE.{_STREAM}", {"seq": sequence})
        except TransportError as problem:
            logger.info("The lease of %s expires by itself: %s", self._key, problem)

    def _drop(self) -> None:
        self._sequence, self._held_until = 0, float("-inf")

    async def _take(self) -> int:
        if not self._is_prepared:
            await self._streams.ensure_lease_stream(_STREAM, f"$KV.{BUCKET}.>", self.replicas)
            self._is_prepared = True
        sequence = await self._put(self._sequence)
        if sequence:
            return sequence
        # Perhaps our own last renewal was stored, and its answer got lost.
        own = await self._find_own()
        return await self._put(own) if own else 0

    async def _find_own(self) -> int:
        try:
            found = await self._connection.ask(
                f"STREAM.MSG.GET.{_STREAM}", {"last_by_subj": self._subject}
            )
        except StreamRefusedError:
            return 0
        message = found["message"]
        is_ours = base64.b64decode(message.get("data") or "") == self._holder.encode()
        return int(message["seq"]) if is_ours else 0

    async def _put(self, expected: int) -> int:
        """Write the key if it is as we left it; give its new sequence, 0 if it is not."""
        headers = {TTL: f"{self.seconds}s", _EXPECTED: str(expected)}
        body = await self._connection.request(self._subject, self._holder.encode(), headers)
        answer = msgspec.json.decode(body)
        error = answer.get("error")
        if error is None:
            return int(answer["seq"])
        if error.get("err_code") == _WRONG_SEQUENCE:
            return 0
        raise StreamRefusedError(f"the lease: {error.get('description')}", error.get("err_code", 0))
