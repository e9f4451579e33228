"""The journal on the bus: the adapter behind `Journal` (DESIGN 4).

In: a run's entries, each for a step of its own. Out: whether an entry is ours; all entries of a
run. Refuses names that are no part of a subject, and values that are no JSON or too large.

A subject of the journal is written once: the stream refuses the second write. In a cluster any
replica may answer a read, and one that is a moment behind would have a step executed again (up to
one in four, read right after the write on a busy machine). So the leader is asked for the run's
last entry first, and a reading that does not reach it is read again. Most runs have none: then that
one question is all.

Every write carries a token of its own. A write that was sent twice, since its acknowledgement got
lost, is refused like a stranger's, but finds its own token in the stream: it is the same write. So
it is when the caller tries again with the very entry whose fate was unknown.
"""

import asyncio
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import quote, unquote

from actors.errors import InvalidEventError, PermanentError, UnavailableError
from actors.ports import JOURNAL_VALUE_BYTES_MAX, JournalEntry
from actors.subjects import journal_entries, journal_subject
from app.bus.acked_publisher import (
    AckedPublisher,
    PubAck,
    PublishRefusedError,
    StoreFailedError,
)
from app.bus.codec import decode_json, encode_json
from app.bus.direct import DirectReader, StoredMessage
from app.bus.headers import JSON_CONTENT, TTL
from app.bus.leader import read_last
from app.bus.storing import as_unavailable
from app.bus.wire import build_headers
from app.errors import BusError

WRITER: Final = "Greentic-Writer"
STORE_FAILED: Final = 10077
STEP_CHARS_MAX: Final = 640
"""Of a step's token: a subject of ours has 1,024 characters at most."""
RUN_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of all entries of a run."""
PAGE_ENTRIES: Final = 1000
UNSURE_MAX: Final = 256
"""Entries whose fate is unknown and whose tokens are remembered, for the caller's next attempt."""
LAG_SECONDS_MAX: Final = 5.0
"""How long a replica is given to have what its leader has."""
LAG_PAUSE_SECONDS: Final = 0.02
FIRST_WRITE_LOOKS: Final = 50
"""How often it is looked for a write that had a step before us: a second, at least."""

_RUN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_PLAIN: Final = "/:~+@=,"
"""Characters of steps that stand in a token as they are; quoted are dots, wildcards, blanks."""


class JetStreamJournal:
    """Journals of one env, of any tenant. ``stream_of`` names the stream of a tenant's runs."""

    def __init__(
        self,
        publisher: AckedPublisher,
        reader: DirectReader,
        *,
        env: str,
        stream_of: Callable[[str], str],
    ) -> None:
        self._publisher = publisher
        self._reader = reader
        self._env = env
        self._stream_of = stream_of
        self._unsure: OrderedDict[str, tuple[JournalEntry, str]] = OrderedDict()

    async def read(self, tenant: str, run_id: str) -> Sequence[JournalEntry]:
        """Give the entries of a run in the order written; none for a fresh run.

        UnavailableError when nobody answers in time, PermanentError (`journal.unreadable`) when
        the journal cannot be what we wrote.
        """
        pattern = journal_entries(self._env, tenant, _checked_run(run_id))
        stream = self._stream_of(tenant)
        try:
            messages = await self._read_all(stream, pattern)
            return [_entry(message) for message in messages]
        except (BusError, InvalidEventError) as error:
            text = f"the journal of {run_id} cannot be read: {error}"
            raise PermanentError(text, reason="journal.unreadable") from error

    async def write(
        self, tenant: str, run_id: str, entry: JournalEntry, *, ttl_seconds: int
    ) -> bool:
        """Store one entry for ``ttl_seconds``; False when another writer had that step before.

        PermanentError: a value that is too large (`too_large`) or no JSON (`journal.value`), a
        step that is no name (`journal.step`). UnavailableError: nobody knows whether it is stored;
        the same entry object again is the same write.
        """
        if ttl_seconds < 1:
            raise ValueError("an entry lives for a second at least")
        token = _step_token(entry.step)
        subject = journal_subject(self._env, tenant, _checked_run(run_id), token)
        data = _encode(entry.value)
        unsure, writer = self._unsure.pop(subject, (None, ""))
        if unsure is not entry:
            writer = secrets.token_hex(8)
        headers = build_headers([(WRITER, writer), (TTL, f"{ttl_seconds}s"), JSON_CONTENT])
        future = await self._publisher.publish_when_room(subject, data, headers)
        try:
            return await self._is_ours(future, self._stream_of(tenant), subject, writer)
        except UnavailableError:
            self._unsure[subject] = entry, writer
            if len(self._unsure) > UNSURE_MAX:
                self._unsure.popitem(last=False)
            raise

    async def _is_ours(
        self, storing: "asyncio.Future[PubAck]", stream: str, subject: str, writer: str
    ) -> bool:
        """Wait until it is stored, or find out who was first."""
        try:
            await storing
        except StoreFailedError as failure:
            if failure.server_code != STORE_FAILED:
                raise
            first = await self._first_write(stream, subject)
            if first is None:
                raise  # it is the store that fails, not the subject that is taken
            return first.headers.get(WRITER) == writer
        except PublishRefusedError as error:
            raise as_unavailable(error) from error
        return True

    async def _first_write(self, stream: str, subject: str) -> StoredMessage | None:
        """Give what stands where we were refused, as the leader has it, who refused us.

        In a cluster a write that is still on its way to the replicas is refused a second one too,
        and is stored a moment later.
        """
        bus = self._publisher.bus
        first = await read_last(bus, stream, subject)
        attempts = 0 if bus.lone_server is not None else FIRST_WRITE_LOOKS
        for _ in range(attempts):
            if first is not None:
                break
            await asyncio.sleep(LAG_PAUSE_SECONDS)
            first = await read_last(bus, stream, subject)
        return first

    async def _read_all(self, stream: str, pattern: str) -> list[StoredMessage]:
        """Read what the leader has, whoever answers."""
        bus = self._publisher.bus
        if bus.lone_server is not None:
            return await self._read_any(stream, pattern)
        newest = await read_last(bus, stream, pattern)
        if newest is None:
            return []
        try:
            async with asyncio.timeout(LAG_SECONDS_MAX):
                while True:
                    # Replicas store in the leader's order: who has the last entry has them all.
                    messages = await self._read_any(stream, pattern)
                    if messages and messages[-1].sequence >= newest.sequence:
                        return messages
                    await asyncio.sleep(LAG_PAUSE_SECONDS)
        except TimeoutError:
            raise UnavailableError("the replicas of the journal are behind its leader") from None

    async def _read_any(self, stream: str, pattern: str) -> list[StoredMessage]:
        """Read what one of the replicas has."""
        messages = await self._reader.last_of_each(stream, pattern, bytes_max=RUN_BYTES_MAX)
        return await self._read_pages(stream, pattern) if messages is None else messages

    async def _read_pages(self, stream: str, pattern: str) -> list[StoredMessage]:
        """Read a journal of more than 1,024 entries."""
        found: list[StoredMessage] = []
        room, sequence = RUN_BYTES_MAX, 1
        while True:
            batch = await self._reader.page(
                stream,
                pattern,
                from_sequence=sequence,
                count_max=PAGE_ENTRIES,
                bytes_max=room,
            )
            found += batch.messages
            if not batch.pending or not batch.messages:
                return found
            room -= sum(len(message.data) for message in batch.messages)
            sequence = batch.messages[-1].sequence + 1


def _entry(message: StoredMessage) -> JournalEntry:
    step = unquote(message.subject.rpartition(".")[2])
    return JournalEntry(step, decode_json(message.data, "journal"))


def _step_token(step: str) -> str:
    """Write a step as one token of a subject; `_entry` reads it back."""
    try:
        token = quote(step, safe=_PLAIN).replace(".", "%2E")
    except UnicodeEncodeError:
        token = ""
    if not 0 < len(token) <= STEP_CHARS_MAX:
        limit = f"a step's name must have 1 to {STEP_CHARS_MAX} characters in a subject"
        raise PermanentError(limit, reason="journal.step")
    return token


def _checked_run(run_id: str) -> str:
    if not _RUN_ID.fullmatch(run_id):
        raise PermanentError(f"{run_id!r} is no run id", reason="journal.run")
    return run_id


def _encode(value: Any) -> bytes:
    try:
        data = encode_json(value, "value")
    except InvalidEventError as error:
        raise PermanentError(str(error), reason="journal.value") from error
    if len(data) > JOURNAL_VALUE_BYTES_MAX:
        limit = f"the entry is larger than {JOURNAL_VALUE_BYTES_MAX} bytes"
        raise PermanentError(limit, reason="too_large")
    return data
