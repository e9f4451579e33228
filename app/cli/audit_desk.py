"""How `audit …` reads the audit log: on NATS itself, or through the API.

In: what was said of where. Out: pages of entries, and all of them. Refuses what the API refuses.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from app.audit.entry import AuditEntry
from app.audit.reading import PAGE_MAX, AuditFilter, AuditPage, AuditReader, KeptEntry, Order
from app.cli.api_client import ApiClient, at_api, below, moment_text
from app.cli.auditing import open_audit_reader
from app.cli.reach import Reach

T = TypeVar("T")


class AuditEntries(Protocol):
    """What commands read of the log, whichever way they went. Tenant None: of all."""

    async def page(
        self,
        tenant: str | None,
        which: AuditFilter,
        /,
        *,
        order: Order,
        after: int | None,
        limit: int,
    ) -> AuditPage:
        """Give a page of entries."""
        ...

    def every(self, tenant: str | None, which: AuditFilter, /) -> AsyncIterator[KeptEntry]:
        """Give all entries, the oldest first."""
        ...


class KeptEntries:
    """Has them from the stream."""

    def __init__(self, reader: AuditReader) -> None:
        self._reader = reader
        self.page = reader.page

    async def every(self, tenant: str | None, which: AuditFilter) -> AsyncIterator[KeptEntry]:
        """Give all entries, the oldest first."""
        async for kept in self._reader.walk(tenant, "oldest"):
            if kept.entry is None or which.matches(kept.entry):
                yield kept


class ApiEntries:
    """Asks for them over HTTP."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def page(
        self,
        tenant: str | None,
        which: AuditFilter,
        *,
        order: Order,
        after: int | None,
        limit: int,
    ) -> AuditPage:
        """Give a page of entries."""
        query = {**_query(which), "order": order, "after": after, "limit": limit}
        page = self._client.read(await self._client.get(_path(tenant), query), _Page)
        return AuditPage([self._kept(each) for each in page.entries], page.next_after)

    async def every(self, tenant: str | None, which: AuditFilter) -> AsyncIterator[KeptEntry]:
        """Give all entries, the oldest first."""
        query = {**_query(which), "order": "oldest"}
        async for page in self._client.walk(_path(tenant), query, limit=PAGE_MAX):
            for each in self._client.read(page, _Page).entries:
                yield self._kept(each)

    def _kept(self, document: dict[str, Any]) -> KeptEntry:
        place = self._client.read(document, _Place)
        is_legible = not document.get("illegible")
        entry = self._client.read(document, AuditEntry) if is_legible else None
        return KeptEntry(place.sequence, place.subject, entry)


@dataclass(frozen=True, slots=True)
class _Page:
    entries: list[dict[str, Any]]
    next_after: int | None


@dataclass(frozen=True, slots=True)
class _Place:
    sequence: int
    subject: str = ""


def at_log(reach: Reach, work: Callable[[AuditEntries], Awaitable[T]]) -> T:
    """Do some work with the log."""
    if (api := reach.api()) is not None:
        return at_api(api, lambda client: work(ApiEntries(client)))
    settings, env = reach.bus(), reach.bus_env

    async def run() -> T:
        async with open_audit_reader(settings, env) as reader:
            return await work(KeptEntries(reader))

    return asyncio.run(run())


def _query(which: AuditFilter) -> dict[str, Any]:
    since, until = moment_text(which.since_ms), moment_text(which.until_ms)
    return {"actor": which.actor, "action": which.action, "since": since, "until": until}


def _path(tenant: str | None) -> str:
    return "/audit" if tenant is None else below("tenants", tenant, "audit")
