"""Dead letters through the API, and what commands do with them on either way.

In: what `app.dead_letters` takes. Out: documents of letters, counts, reports. Refuses what the API
refuses, and more letters at once than it takes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from app.cli.api_client import ANSWER_SECONDS, ApiClient, below, moment_text
from app.dead_letters.changes import LetterChanges
from app.dead_letters.desk import COUNTED_MAX, PER_SECOND_DEFAULT, Chosen, Effort, Order, Progress
from app.dead_letters.letters import LetterCounts, LetterFilter, Report
from app.errors import CommandError

AT_ONCE_MAX: Final = 1000
PAGE_MAX: Final = 1000
LETTERS_SECOND: Final = 20.0
"""Fewer are done in a second where NATS is slow; an answer is waited for as long as that takes."""


@dataclass(frozen=True, slots=True)
class ToldPage:
    """A page of letters' summaries."""

    letters: Sequence[dict[str, Any]]
    next_after: int | None


class Letters(Protocol):
    """What commands do with dead letters, whichever way they went."""

    async def list(
        self,
        tenant: str,
        which: LetterFilter,
        /,
        *,
        order: Order,
        after: int | None,
        limit: int,
    ) -> ToldPage:
        """Give a page of letters."""
        ...

    async def show(self, tenant: str, letter: str, /) -> dict[str, Any]:
        """Give a letter whole."""
        ...

    async def count(self, tenant: str, /) -> LetterCounts:
        """Count a tenant's letters."""
        ...

    async def redrive(
        self, tenant: str, chosen: Chosen, effort: Effort, tell: Progress | None = None, /
    ) -> Report:
        """Start runs anew."""
        ...

    async def discard(
        self, tenant: str, chosen: Chosen, effort: Effort, tell: Progress | None = None, /
    ) -> Report:
        """Remove letters."""
        ...


class DeskLetters:
    """Has them from the desk."""

    def __init__(self, changes: LetterChanges) -> None:
        self._desk = changes.desk
        self.count = changes.desk.count
        self.redrive = changes.redrive
        self.discard = changes.discard

    async def list(
        self,
        tenant: str,
        which: LetterFilter,
        *,
        order: Order,
        after: int | None,
        limit: int,
    ) -> ToldPage:
        """Give a page of letters."""
        page = await self._desk.list(tenant, which, order=order, after=after, limit=limit)
        return ToldPage([kept.as_summary() for kept in page.letters], page.next_after)

    async def show(self, tenant: str, letter: str) -> dict[str, Any]:
        """Give a letter whole."""
        return (await self._desk.show(tenant, letter)).as_document()


class ApiLetters:
    """Asks for them over HTTP."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def list(
        self,
        tenant: str,
        which: LetterFilter,
        *,
        order: Order,
        after: int | None,
        limit: int,
    ) -> ToldPage:
        """Give a page of letters."""
        query = {**_fields(which), "order": order, "after": after, "limit": limit}
        return self._client.read(await self._client.get(_path(tenant), query), ToldPage)

    async def show(self, tenant: str, letter: str) -> dict[str, Any]:
        """Give a letter whole."""
        document: dict[str, Any] = await self._client.get(_path(tenant, letter))
        return document

    async def count(self, tenant: str) -> LetterCounts:
        """Count a tenant's letters, page by page."""
        groups: Counter[tuple[str | None, str]] = Counter()
        async for page in self._client.walk(_path(tenant), limit=PAGE_MAX):
            told = self._client.read(page, ToldPage)
            groups.update((each.get("flow"), each["reason"]) for each in told.letters)
            if groups.total() >= COUNTED_MAX and told.next_after is not None:
                return LetterCounts(groups.total(), groups, is_complete=False)
        return LetterCounts(groups.total(), groups, is_complete=True)

    async def redrive(
        self, tenant: str, chosen: Chosen, effort: Effort, _tell: Progress | None = None
    ) -> Report:
        """Start runs anew."""
        rate = effort.per_second or PER_SECOND_DEFAULT
        return await self._act("replay", tenant, chosen, effort, {"rate": rate})

    async def discard(
        self, tenant: str, chosen: Chosen, effort: Effort, _tell: Progress | None = None
    ) -> Report:
        """Remove letters."""
        return await self._act("discard", tenant, chosen, effort, {})

    async def _act(
        self, verb: str, tenant: str, chosen: Chosen, effort: Effort, more: dict[str, float]
    ) -> Report:
        limit = effort.limit
        if limit is None or limit > AT_ONCE_MAX:
            hint = "leave --all out, and run it again for as long as there are more"
            raise CommandError(f"the API takes {AT_ONCE_MAX} letters at once", hint=hint)
        body = {**_order(chosen), **more, "limit": limit, "dry_run": effort.is_dry_run}
        patience = ANSWER_SECONDS + limit / min(more.get("rate", LETTERS_SECOND), LETTERS_SECOND)
        told = await self._client.send("POST", _path(tenant, verb), body, seconds=patience)
        report = self._client.read(told, _Report)
        return Report(
            is_dry_run=report.dry_run,
            chosen=report.chosen,
            done=report.done,
            not_redrivable=report.not_redrivable,
            failed=report.failed,
            failures={each.letter_id: each.why for each in report.failures},
            has_more=report.has_more,
            stopped=report.stopped,
        )


@dataclass(frozen=True, slots=True)
class _Failure:
    letter_id: str
    why: str


@dataclass(frozen=True, slots=True)
class _Report:
    dry_run: bool
    chosen: int
    done: int
    not_redrivable: int
    failed: int
    failures: list[_Failure]
    has_more: bool
    stopped: str | None


def _order(chosen: Chosen) -> dict[str, Any]:
    if not isinstance(chosen, LetterFilter):
        return {"ids": list(chosen)}
    if chosen.is_empty:
        return {"all": True}
    named = {name: value for name, value in _fields(chosen).items() if value is not None}
    return {"filter": named}


def _fields(which: LetterFilter) -> dict[str, Any]:
    return {
        "flow": which.flow,
        "reason": which.reason,
        "event_type": which.event_type,
        "event_id": which.event_id,
        "since": moment_text(which.since_ms),
        "until": moment_text(which.until_ms),
    }


def _path(tenant: str, *names: str) -> str:
    return below("tenants", tenant, "dead-letters", *names)
