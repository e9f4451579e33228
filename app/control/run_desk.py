"""The desk of a tenant's runs: the latest ones, one with its journal and its result, cancelled.

In: a tenant, a run's id, a filter. Out: pages, documents, what became of a cancellation. Refuses
what is no run's id (ValueRefusedError), a run of which nothing is to be seen (NotFoundError);
UnavailableError when NATS does not answer.

Records come from the history where the process has one. Else, and where the history does not have a
run yet, it reads the streams, which know no index of runs: a record is looked for among the latest
ones, or from the time on at which the run's journal says that it began. A journal and a
continuation are found at once, by the run's id.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from actors.errors import InvalidEventError
from actors.ports import Clock, Journal, JournalEntry, RunLegs
from actors.subjects import build_result_subject, check_token, flow_tokens, run_record_subject
from app.audit.entry import Who
from app.audit.log import AuditLog, Change
from app.bus.admin import JetStreamAdmin
from app.bus.cancelling import Cancellation, RunCanceller
from app.bus.codec import decode_json
from app.bus.direct import DirectReader, StoredMessage
from app.bus.headers import MESSAGE_ID
from app.bus.looking_back import StreamWalk
from app.control.kept_runs import (
    KeptRun,
    Place,
    RunFilter,
    RunPage,
    began_ms,
    parse_place,
    runs_in,
    steps_of,
    waiting_document,
)
from app.control.looking import Looking
from app.control.names import events_stream
from app.errors import NotFoundError, ValueRefusedError

PAGE_MAX: Final = 1000
PAGE_DEFAULT: Final = 100
LOOKED_AT_MAX: Final = 5_000
"""Messages that one page, or one search, looks through; each has up to 100 records."""
LOOKED_BYTES_MAX: Final = 64 * 1024 * 1024
EARLY_MS: Final = 2000
LATE_MS: Final = 60_000
RUN_WORD: Final = "run"

_RUN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_FLOW: Final = re.compile(r"[a-z0-9_-]+(?:/[a-z0-9_-]+)*")


class RunHistory(Protocol):
    """Where ended runs are kept to be searched; it may be some seconds behind the streams."""

    async def page(
        self, tenant: str, which: RunFilter, /, *, after: str | None, limit: int
    ) -> RunPage:
        """Give runs, the latest first, without their outputs. ValueRefusedError: no such place."""
        ...

    async def find(self, tenant: str, run_id: str, /) -> KeptRun | None:
        """Give a run's whole record."""
        ...


@dataclass(frozen=True, slots=True)
class RunPorts:
    """What the desk needs of the world. ``stream_of`` names the stream of a tenant's records."""

    reader: DirectReader
    journal: Journal
    legs: RunLegs
    canceller: RunCanceller
    audit: AuditLog
    clock: Clock
    stream_of: Callable[[str], str]
    history: RunHistory | None = None


@dataclass(frozen=True, slots=True)
class SeenRun:
    """What is to be seen of a run."""

    state: str
    """``ended``, ``waiting``, ``due`` or ``begun``."""
    kept: KeptRun | None
    waiting: dict[str, Any] | None
    steps: int
    """Entries of its journal."""
    began_ms: int | None

    def as_document(self, run_id: str) -> dict[str, Any]:
        """Describe it."""
        return {
            "run_id": run_id,
            "state": self.state,
            "began_ms": self.began_ms,
            "journal_entries": self.steps,
            "record": None if self.kept is None else self.kept.as_document(),
            "waiting": self.waiting,
        }


class RunDesk:
    """The runs of one env; every question names the tenant."""

    def __init__(self, ports: RunPorts, *, env: str) -> None:
        self._ports = ports
        self._admin = JetStreamAdmin(ports.reader.bus)
        self._env = check_token(env, "env")
        self._looking = Looking()

    async def list(
        self,
        tenant: str,
        which: RunFilter,
        *,
        after: str | None = None,
        limit: int = PAGE_DEFAULT,
    ) -> RunPage:
        """Give a page of runs that have ended, the latest first. ValueError: ``after`` is no place.

        Without a history a page may be short, even empty, and still have a next one: it looked
        through `LOOKED_AT_MAX` messages; a record that was stored twice may be on two pages.
        """
        walk = self._records(tenant, which.flow)
        if self._ports.history is not None:
            return await self._ports.history.page(tenant, which, after=after, limit=limit)
        place = None if after is None else parse_place(after)
        return await self._walk(walk, tenant, which, place, limit)

    async def _walk(
        self, walk: StreamWalk, tenant: str, which: RunFilter, after: Place | None, limit: int
    ) -> RunPage:
        found: list[KeptRun] = []
        seen: set[str] = set()
        looked = _Looked()
        async with self._looking.turn(tenant):
            async for message in self._latest(walk, tenant, after, which.since_ms):
                is_worth_reading = which.may_be_in(message.data)
                for run in runs_in(message, tenant) if is_worth_reading else ():
                    is_wanted = after is None or _is_before(run.place, after)
                    if not is_wanted or run.run_id in seen or not which.matches(run):
                        continue
                    if len(found) == limit:
                        return RunPage(found, found[-1].place.as_text())
                    found.append(run)
                    seen.add(run.run_id)
                if looked.is_enough(message):
                    return RunPage(found, Place(message.sequence, 0).as_text())
        return RunPage(found, None)

    async def show(self, tenant: str, run_id: str, flow: str | None = None) -> SeenRun:
        """Give what is to be seen of a run; ``flow`` narrows where it is looked for.

        NotFoundError: nothing, or it ended too long ago to be found.
        """
        entries = await self._entries(tenant, run_id)
        leg = await self._ports.legs.latest(tenant, run_id)
        began = began_ms(entries)
        kept = await self._recorded(tenant, run_id, flow, began)
        now_ms = self._ports.clock.now_ms()
        waiting = None if leg is None else waiting_document(leg, now_ms)
        if kept is not None:
            return SeenRun("ended", kept, None, len(entries), began)
        if waiting is not None:
            state = "due" if waiting["is_due"] else "waiting"
            return SeenRun(state, None, waiting, len(entries), began)
        if not entries:
            raise NotFoundError(f"tenant {tenant} has no run {run_id!r} that can be found")
        return SeenRun("begun", None, None, len(entries), began)

    async def result(self, tenant: str, run_id: str, flow: str | None = None) -> dict[str, Any]:
        """Give a run's result as it was published. NotFoundError."""
        seen = await self.show(tenant, run_id, flow)
        if seen.kept is not None:
            record = seen.kept.record
            async with self._looking.turn(tenant):
                document = await self._published(tenant, run_id, record)
            if document is not None:
                return document
        raise NotFoundError(f"tenant {tenant} has no result of run {run_id!r} that can be found")

    async def journal(self, tenant: str, run_id: str) -> Sequence[dict[str, Any]]:
        """Give the steps that stand in a run's journal; none: it has done nothing to the world."""
        return steps_of(await self._entries(tenant, run_id))

    async def cancel(self, who: Who, tenant: str, run_id: str, reason: str) -> Cancellation:
        """Cancel a run, wherever it is; see `app.bus.cancelling`."""
        _check_run(run_id)
        change = Change(
            "run.cancel", check_token(tenant, "tenant"), run_id, None, {"reason": reason}
        )
        async with self._ports.audit.change(who, change):
            return await self._ports.canceller.cancel(tenant, run_id, reason)

    # ── In the streams ───────────────────────────────────────────────────────────────────────

    async def _entries(self, tenant: str, run_id: str) -> Sequence[JournalEntry]:
        async with self._looking.turn(tenant):
            return await self._ports.journal.read(check_token(tenant, "tenant"), _check_run(run_id))

    def _records(self, tenant: str, flow: str | None) -> StreamWalk:
        subject = run_record_subject(self._env, tenant, RUN_WORD).removesuffix(RUN_WORD)
        pattern = f"{subject}>"
        if flow is not None:
            if not _FLOW.fullmatch(flow):
                raise ValueRefusedError(f"{flow[:128]!r} is no name of a flow")
            pattern = f"{subject}{flow_tokens(flow)}"
        return StreamWalk(self._ports.reader, self._ports.stream_of(tenant), pattern)

    async def _latest(
        self, walk: StreamWalk, tenant: str, after: Place | None, since_ms: int | None
    ) -> AsyncIterator[StoredMessage]:
        """Give messages with records, the latest first, and few that are older than wanted."""
        info = await self._admin.stream_info(walk.stream)
        if info is None:
            return
        before = info.last_sequence + 1
        if after is not None:
            # Before the first record of a message nothing of it is left.
            before = min(before, after.sequence + (after.index > 0))
        async for messages in walk.newest_first(before):
            for message in messages:
                yield message
            # A record is stored once its run has ended, up to some seconds later.
            if since_ms is not None and _is_older(messages[-1], tenant, since_ms - LATE_MS):
                return
            await asyncio.sleep(0)

    async def _recorded(
        self, tenant: str, run_id: str, flow: str | None, began: int | None
    ) -> KeptRun | None:
        """Find a run's record, in the history or among those that it does not have yet."""
        if self._ports.history is not None:
            kept = await self._ports.history.find(tenant, run_id)
            if kept is not None:
                return kept if flow in (None, kept.record["flow"]) else None
        return await self._search(tenant, run_id, flow, began)

    async def _search(
        self, tenant: str, run_id: str, flow: str | None, began: int | None
    ) -> KeptRun | None:
        """Look for a run's record: from its beginning on, else among the latest."""
        walk = self._records(tenant, flow)
        if await self._admin.stream_info(walk.stream) is None:
            return None
        async with self._looking.turn(tenant):
            if began is not None:
                found = await self._find(_since(walk, began - EARLY_MS), tenant, run_id)
                if found is not None:
                    return found
            return await self._find(self._latest(walk, tenant, None, began), tenant, run_id)

    async def _find(
        self, messages: AsyncIterator[StoredMessage], tenant: str, run_id: str
    ) -> KeptRun | None:
        looked, name = _Looked(), run_id.encode()
        async for message in messages:
            # Most messages are others' records: they need not be decoded to be passed over.
            for run in runs_in(message, tenant) if name in message.data else ():
                if run.run_id == run_id:
                    return run
            if looked.is_enough(message):
                break
        return None

    async def _published(
        self, tenant: str, run_id: str, record: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """Find the result among those that were published when the run ended."""
        stream = events_stream(self._env, tenant)
        if await self._admin.stream_info(stream) is None:
            return None
        subject = build_result_subject(self._env, tenant, record["event_type"])
        walk = StreamWalk(self._ports.reader, stream, subject)
        looked = _Looked()
        async for message in _since(walk, record["finished_ms"] - EARLY_MS):
            if message.headers.get(MESSAGE_ID) == run_id:
                return _result_of(message, run_id)
            if looked.is_enough(message):
                break
        return None


@dataclass(slots=True)
class _Looked:
    """How much one page or one search has looked at."""

    messages: int = 0
    bytes: int = 0

    def is_enough(self, message: StoredMessage) -> bool:
        """Count a message, and tell whether it was the last one to look at."""
        self.messages += 1
        self.bytes += len(message.data)
        return self.messages >= LOOKED_AT_MAX or self.bytes >= LOOKED_BYTES_MAX


async def _since(walk: StreamWalk, time_ms: int) -> AsyncIterator[StoredMessage]:
    """Give the messages that were stored since a time, the oldest first."""
    place = await walk.place_of_time(max(0, time_ms))
    if place is None:
        return
    async for messages in walk.oldest_first(place - 1):
        for message in messages:
            yield message
        await asyncio.sleep(0)


def _result_of(message: StoredMessage, run_id: str) -> dict[str, Any] | None:
    try:
        document = decode_json(message.data, "result")
    except InvalidEventError:
        return None
    is_its = isinstance(document, dict) and document.get("run_id") == run_id
    return document if is_its else None


def _is_before(place: Place, other: Place) -> bool:
    """Tell whether a record is listed after another one: the latest come first."""
    return (place.sequence, place.index) < (other.sequence, other.index)


def _is_older(message: StoredMessage, tenant: str, time_ms: int) -> bool:
    ended = [run.record["finished_ms"] for run in runs_in(message, tenant)]
    return bool(ended) and max(ended) < time_ms


def _check_run(run_id: str) -> str:
    if not _RUN_ID.fullmatch(run_id):
        raise ValueRefusedError(f"{run_id[:128]!r} is no run's id")
    return run_id
