"""Windows as any process reads them: off the stream behind the table, without Faust.

In: a tenant, a flow or all, a time. Out: rows of an hour or a day each, in the order of time, in
pages. Refuses (ValueRefusedError) times that are too far apart and a page's place that is none;
UnavailableError when NATS does not answer.

The table itself is in the memory of the process that counts. Its changelog holds the last value of
each window under the window's name, so a day of a tenant is one question.
"""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import structlog

from actors.subjects import check_token, flow_tokens
from app.bus.direct import DirectReader, StoredMessage
from app.bus.leader import read_last
from app.bus.looking_back import StreamWalk
from app.control import names
from app.errors import ValueRefusedError
from app.history.metering.records import HOUR_MS, TIME_MS_MAX
from app.history.metering.usage import Usage
from app.history.metering.windows import (
    WindowPlace,
    decode_window,
    hour_key,
    hour_of,
    parse_place,
)

DAY_MS: Final = 24 * HOUR_MS
DAYS_MAX: Final = 400
"""Between the times of one question."""
PAGE_DEFAULT: Final = 200
PAGE_MAX: Final = 1000

Step = Literal["hour", "day"]
By = Literal["flow", "tenant"]

_FLOW: Final = re.compile(r"[a-z0-9_-]+(?:/[a-z0-9_-]+)*")
_AFTER: Final = re.compile(r"([0-9]{1,15})(?:-([a-z0-9_/-]{1,200}))?")

_log = structlog.get_logger("app.metering")


@dataclass(frozen=True, slots=True)
class UsageSearch:
    """Which usage is wanted: of hours that begin before ``until_ms`` and end after ``since_ms``.

    ``by`` tenant: all flows together, so that an event which two flows take counts twice.
    """

    since_ms: int
    until_ms: int
    flow: str | None = None
    step: Step = "hour"
    by: By = "flow"

    def __post_init__(self) -> None:
        if self.flow is not None and not _FLOW.fullmatch(self.flow):
            raise ValueRefusedError(f"{self.flow[:128]!r} is no name of a flow")
        if self.until_ms - self.since_ms > DAYS_MAX * DAY_MS:
            raise ValueRefusedError(f"since and until are at most {DAYS_MAX} days apart")


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What was used in an hour or a day. ``flow`` None: by all flows."""

    start_ms: int
    flow: str | None
    usage: Usage

    @property
    def place(self) -> str:
        """Name it in a page; `UsageWindows.page` goes on behind it."""
        return str(self.start_ms) if self.flow is None else f"{self.start_ms}-{self.flow}"


@dataclass(frozen=True, slots=True)
class UsagePage:
    """Rows, the oldest first. ``next_after`` None: there are no more."""

    rows: Sequence[UsageRow]
    next_after: str | None


@dataclass(frozen=True, slots=True)
class UsageWindows:
    """The windows of one env."""

    reader: DirectReader
    env: str

    async def page(
        self, tenant: str, search: UsageSearch, *, after: str = "", limit: int = PAGE_DEFAULT
    ) -> UsagePage:
        """Give a page of rows behind ``after``, a former page's ``next_after``."""
        behind = _parse_after(after)
        found: list[UsageRow] = []
        async for row in self.read(tenant, search, from_ms=behind[0]):
            if (row.start_ms, row.flow or "") <= behind:
                continue
            if len(found) == limit:
                return UsagePage(found, found[-1].place)
            found.append(row)
        return UsagePage(found, None)

    async def read(
        self, tenant: str, search: UsageSearch, *, from_ms: int = 0
    ) -> AsyncIterator[UsageRow]:
        """Give all rows in order; ``from_ms``: none that begin before."""
        check_token(tenant, "tenant")
        since_ms = hour_of(search.since_ms)
        until_ms = min(search.until_ms, TIME_MS_MAX)
        day_ms = max(since_ms, from_ms) // DAY_MS * DAY_MS
        while day_ms < until_ms:
            rows: dict[tuple[int, str], UsageRow] = {}
            for place, usage in await self._day(tenant, day_ms, search.flow):
                if since_ms <= place.start_ms < until_ms:
                    _add(rows, place, usage, search)
            for key in sorted(rows):
                yield rows[key]
            day_ms += DAY_MS

    async def find(self, place: WindowPlace) -> bytes | None:
        """Give a window's value as the stream's leader has it."""
        subject = names.usage_windows(self.env, place.as_key())
        stored = await read_last(self.reader.bus, self._stream, subject)
        return stored.data if stored is not None and stored.data else None

    # ── In the stream ────────────────────────────────────────────────────────────────────────

    @property
    def _stream(self) -> str:
        return names.usage_stream(self.env)

    async def _day(
        self, tenant: str, day_ms: int, flow: str | None
    ) -> list[tuple[WindowPlace, Usage]]:
        tail = ">" if flow is None else flow_tokens(flow)
        day = hour_key(day_ms).partition(".")[0]
        messages = await self._last(f"{tenant}.{day}.*.{tail}")
        if messages is None:
            # More than one question may find: an hour at a time, then one after the other.
            messages = []
            for hour in range(24):
                pattern = f"{tenant}.{day}.{hour:02d}.{tail}"
                messages += await self._last(pattern) or await self._walk(pattern)
        return [found for message in messages if (found := _window_in(message)) is not None]

    async def _last(self, pattern: str) -> list[StoredMessage] | None:
        subject = names.usage_windows(self.env, pattern)
        return await self.reader.last_of_each(self._stream, subject)

    async def _walk(self, pattern: str) -> list[StoredMessage]:
        walk = StreamWalk(self.reader, self._stream, names.usage_windows(self.env, pattern))
        latest: dict[str, StoredMessage] = {}
        async for messages in walk.oldest_first(0):
            latest.update({message.subject: message for message in messages})
        return list(latest.values())


def _add(
    rows: dict[tuple[int, str], UsageRow], place: WindowPlace, usage: Usage, search: UsageSearch
) -> None:
    start_ms = place.start_ms
    if search.step == "day":
        start_ms -= start_ms % DAY_MS
    flow = place.flow if search.by == "flow" else None
    row = rows.setdefault((start_ms, flow or ""), UsageRow(start_ms, flow, Usage()))
    row.usage.add(usage)


def _window_in(message: StoredMessage) -> tuple[WindowPlace, Usage] | None:
    """Read a window; None for one that was deleted, and for what nobody can read."""
    if not message.data:
        return None
    try:
        place = parse_place(message.subject.split(".", 3)[3])
        return place, decode_window(message.data).usage
    except (ValueError, IndexError) as error:
        _log.error("usage.unreadable", window=message.subject, reason=str(error))
        return None


def _parse_after(after: str) -> tuple[int, str]:
    if not after:
        return (-1, "")
    found = _AFTER.fullmatch(after)
    if found is None:
        raise ValueRefusedError(f"{after[:40]!r} is no place in a listing of usage")
    return int(found[1]), found[2] or ""
