"""All processes of an env that live, as one process sees them.

In: what is written under the keys of reports: heard on the bus the moment it is written, and looked
for in the bucket every `LOOK_SECONDS`. Out: who lives and what each said last; calls when that
changes; who has acknowledged a revision. Refuses reports that are none: whoever writes them is not
seen.

A process lives for `TTL_SECONDS` after its last report, or until its key is gone. Expiry is told by
nobody (the bucket sets no markers), so time tells it. While nothing can be heard, nobody is given
up: a process that is cut off, or a server that was away for longer than the TTL, would else see
all of them die, and take over what others still do. `Fleet.is_fresh` tells which it is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from actors.errors import UnavailableError
from actors.ports import Clock
from app.bus.wire import Received
from app.errors import StoreError
from app.fleet.report import BEAT_SECONDS, KEYS_PREFIX, TTL_SECONDS, WorkerReport, read_report
from app.stores.kv import READS_AT_ONCE, KvBucket

LOOK_SECONDS: Final = 2.0
"""Between two looks into the bucket: one question where all was heard."""
TICK_SECONDS: Final = 0.5
"""How exactly an end is told."""
STALE_SECONDS: Final = 7.0
"""Without a look that was answered, what is known is old: three looks, or one that timed out."""
RESUMED_SECONDS: Final = 2 * BEAT_SECONDS + 1.0
"""After a time without hearing: what everybody has to be heard again."""
UNHEARD_SECONDS: Final = 1.5 * BEAT_SECONDS
"""After this, what was not heard is looked up."""
UNSTORED_SECONDS: Final = 1.0
"""What was heard may be stored only then: it is heard when it is asked for."""
WORKERS_MAX: Final = 1000
REFUSED_MAX: Final = 100
POLL_SECONDS: Final = 0.25

OnChange = Callable[[], None]

_log = structlog.get_logger("app.fleet")


class Hearing(Protocol):
    """What is needed of the bus."""

    async def subscribe(self, subject: str, callback: Callable[[Received], None]) -> object:
        """Hear a subject, also after reconnects."""
        ...


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Who has taken a revision of the bucket of deployments in."""

    acknowledged: tuple[str, ...]
    """Ids of processes that live and have converged up to it."""
    failed: Mapping[str, Mapping[str, str]]
    """Of those, the ones that cannot serve some tenants: tenant and reason, by id."""
    missing: tuple[str, ...]
    """Ids of processes that live and have converged up to less."""
    seconds: float
    """How long it took, or was waited for."""

    @property
    def is_complete(self) -> bool:
        """Tell whether nobody is missing."""
        return not self.missing

    def reasons_of(self, tenant: str) -> Mapping[str, str]:
        """Give why processes cannot serve a tenant, by their ids."""
        return {
            worker: reasons[tenant] for worker, reasons in self.failed.items() if tenant in reasons
        }


@dataclass(slots=True)
class _Member:
    """A process and when it was last heard (monotonic seconds)."""

    report: WorkerReport
    heard_at: float
    beats: int = 1
    """How many of its reports were seen."""


class Fleet:
    """The processes of one env. `start` it, or `refresh` it once for a single look."""

    def __init__(self, bucket: KvBucket, clock: Clock) -> None:
        self._bucket = bucket
        self._clock = clock
        self._members: dict[str, _Member] = {}
        self._calls: list[OnChange] = []
        self._news = asyncio.Event()
        self._looked_at = float("-inf")
        self._resumed_at = float("-inf")
        self._refused: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def pattern(self) -> str:
        """The subjects on which reports are heard."""
        return self._bucket.pattern_of(KEYS_PREFIX)

    @property
    def is_fresh(self) -> bool:
        """Tell whether the bucket was read lately; else nobody is given up, dead or alive."""
        return self._clock.monotonic() - self._looked_at <= STALE_SECONDS

    def live(self) -> tuple[WorkerReport, ...]:
        """Give what each process that lives said last, in the order of their ids."""
        now = self._clock.monotonic()
        found = [one.report for one in self._members.values() if not self._is_over(one, now)]
        return tuple(sorted(found, key=lambda report: report.id))

    def on_change(self, call: OnChange) -> None:
        """Call this when somebody comes, ends or says something new.

        Also when a process that came is heard for the second time. The call is quick, and does not
        raise.
        """
        self._calls.append(call)

    async def wait_acknowledged(self, revision: int, timeout_seconds: float) -> Acknowledgement:
        """Wait until every process that lives has converged up to a revision.

        Also for processes that come meanwhile, once they have converged for the first time: until
        then they serve nothing. One that dies is waited for until that is known. After the timeout:
        who has, and who has not. While the view is old nobody can tell, and the wait goes on.
        """
        begun = self._clock.monotonic()
        known = {report.id for report in self.live()}
        while True:
            news = self._news
            seconds = self._clock.monotonic() - begun
            said = self._acknowledgement(revision, known, seconds)
            if (said.is_complete and self.is_fresh) or seconds >= timeout_seconds:
                return said
            await self._wait_news(news, min(POLL_SECONDS, timeout_seconds - seconds))

    def hear(self, message: Received) -> None:
        """Take what was just written under a key of a report (subscribe this to `pattern`)."""
        worker_id = message.subject.removeprefix(self.pattern.removesuffix(">"))
        if message.headers and "KV-Operation" in message.headers:
            self._drop([worker_id])
            return
        self._take(worker_id, message.data, self._clock.monotonic())

    async def start(self, bus: Hearing) -> None:
        """Hear and look until `stop`. UnavailableError, StoreError."""
        await bus.subscribe(self.pattern, self.hear)
        await self.refresh()
        self._task = asyncio.create_task(self._keep_fresh(), name="fleet")

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def refresh(self) -> None:
        """Look who is there: one question, and one for each that was not heard lately."""
        asked_at = self._clock.monotonic()
        keys = await self._bucket.written_keys(KEYS_PREFIX)
        listed = [key.partition(".")[2] for key in keys[:WORKERS_MAX]]
        unheard = [one for one in listed if self._is_unheard(one, asked_at)]
        ended = await self._look_at(unheard, asked_at)
        if asked_at - self._looked_at > STALE_SECONDS:
            self._resumed_at = asked_at
        self._looked_at = asked_at
        self._drop([one for one in ended if self._is_missed(one, asked_at)])
        if asked_at >= self._spared_until():
            absent = self._members.keys() - set(listed)
            self._drop([one for one in absent if self._is_missed(one, asked_at)])

    # ── What is known ────────────────────────────────────────────────────────────────────────

    def _is_unheard(self, worker_id: str, now: float) -> bool:
        member = self._members.get(worker_id)
        return member is None or now - member.heard_at > UNHEARD_SECONDS

    def _is_missed(self, worker_id: str, asked_at: float) -> bool:
        """Tell whether what was heard last would have been found if it counted still."""
        member = self._members.get(worker_id)
        return member is not None and asked_at >= member.heard_at + UNSTORED_SECONDS

    async def _look_at(self, worker_ids: list[str], asked_at: float) -> list[str]:
        """Read what these wrote last; give those that have ended."""
        limit = asyncio.Semaphore(READS_AT_ONCE)

        async def read(worker_id: str) -> bytes | None:
            async with limit:
                return (await self._bucket.get_surely(f"{KEYS_PREFIX}.{worker_id}")).value

        values = await asyncio.gather(*map(read, worker_ids))
        found = dict(zip(worker_ids, values, strict=True))
        for worker_id, value in found.items():
            if value is not None:
                self._take(worker_id, value, asked_at)
        return [worker_id for worker_id, value in found.items() if value is None]

    def _take(self, worker_id: str, data: bytes, heard_at: float) -> None:
        try:
            report = read_report(worker_id, data)
        except StoreError as error:
            self._refuse(worker_id, error)
            return
        member = self._members.get(worker_id)
        if member is None:
            if len(self._members) < WORKERS_MAX:
                self._members[worker_id] = _Member(report, heard_at)
                self._tell()
        elif report.beat > member.report.beat:
            is_news = member.beats == 1 or report.says_more_than(member.report)
            self._members[worker_id] = _Member(report, heard_at, member.beats + 1)
            if is_news:
                self._tell()

    def _refuse(self, worker_id: str, error: StoreError) -> None:
        if worker_id not in self._refused and len(self._refused) < REFUSED_MAX:
            self._refused.add(worker_id)
            _log.warning("fleet.report_refused", worker=worker_id[:100], reason=str(error))

    def _drop(self, gone: list[str]) -> None:
        if [one for one in gone if self._members.pop(one, None) is not None]:
            self._tell()

    def _spared_until(self) -> float:
        """Give until when nobody is given up, after a time in which nothing could be heard."""
        return self._resumed_at + RESUMED_SECONDS

    def _is_over(self, member: _Member, now: float) -> bool:
        if now - self._looked_at > STALE_SECONDS:
            return False
        return now >= max(member.heard_at + TTL_SECONDS, self._spared_until())

    def _acknowledgement(self, revision: int, known: set[str], seconds: float) -> Acknowledgement:
        live = [
            report
            for report in self.live()
            if report.id in known or report.acknowledged is not None
        ]
        done = [report for report in live if report.has_acknowledged(revision)]
        missing = [report.id for report in live if not report.has_acknowledged(revision)]
        failed = {report.id: report.failed for report in done if report.failed}
        ids = tuple(report.id for report in done)
        return Acknowledgement(ids, failed, tuple(missing), seconds)

    # ── Keeping it fresh ─────────────────────────────────────────────────────────────────────

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
        for call in self._calls:
            call()

    async def _wait_news(self, news: asyncio.Event, seconds: float) -> None:
        await _first(news.wait(), self._clock.sleep(seconds))

    async def _keep_fresh(self) -> None:
        while True:
            await self._clock.sleep(TICK_SECONDS)
            now = self._clock.monotonic()
            if now - self._looked_at >= LOOK_SECONDS:
                await self._look()
            now = self._clock.monotonic()
            self._drop([one for one, member in self._members.items() if self._is_over(member, now)])

    async def _look(self) -> None:
        try:
            await self.refresh()
        except UnavailableError:
            pass  # `is_fresh` tells
        except StoreError as error:
            _log.warning("fleet.not_refreshed", error_code=error.code, reason=str(error))


async def _first(*work: Awaitable[object]) -> None:
    """Wait for the first of these, and let the others be."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
