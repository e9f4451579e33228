"""The history of runs: what is written, looked for, forgotten.

In: rows, searches. Out: pages, rows with their documents, counts. UnavailableError when the
database does not answer, ValueRefusedError for a search that makes no sense, StoreError for what
the database refuses. Any number of processes may use one history at once.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import attrgetter, itemgetter
from typing import Final

from sqlalchemy import bindparam, delete, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from actors.errors import UnavailableError
from app.history.store.database import Database, ReadyRow
from app.history.store.documents import pack_all, unpack
from app.history.store.facts import HistoryFacts, count_of, facts_of, identity_of
from app.history.store.kinds import Kind, KindBook, tenant_id_of, traits_of
from app.history.store.paging import find_page, row_from
from app.history.store.rows import RunRow, plain_text
from app.history.store.search import RunPage, RunSearch, search_text
from app.history.store.tables import DOCUMENTS, KINDS, RUNS, TENANTS, row_columns

ATTEMPTS_MAX: Final = 5
"""To write on numbers that nobody takes away meanwhile."""
ERASE_BITE: Final = 2_000
"""Runs that are deleted in one transaction, so that others may write in between."""

_FIND: Final = (
    select(RUNS, DOCUMENTS.c.body)
    .join(DOCUMENTS, DOCUMENTS.c.run_key == RUNS.c.id)
    .where(RUNS.c.tenant_id == bindparam("tenant_id"), RUNS.c.run_id == bindparam("run_id"))
)
_SOME_OF: Final = (
    select(RUNS.c.id).where(RUNS.c.tenant_id == bindparam("tenant_id")).limit(bindparam("at_most"))
)
_UNUSED_KINDS: Final = ~exists().where(RUNS.c.kind_id == KINDS.c.id)
_UNUSED_TENANTS: Final = ~exists().where(KINDS.c.tenant_id == TENANTS.c.id)


class HistoryStore:
    """The runs of one env. `app.history.store.opening.open_history` gives it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kinds = KindBook(database)

    async def write(self, rows: Sequence[RunRow]) -> int:
        """Keep rows in one transaction, and give how many runs were not known before.

        A run is known by (tenant, run_id). Of several records of it the one with the greatest place
        stays: whatever the order, and however often, the same rows make the same table.
        """
        latest = _latest(rows)
        if not latest:
            return 0
        bodies = await asyncio.to_thread(pack_all, [row.document for row in latest])
        traits = [traits_of(row) for row in latest]
        for _ in range(ATTEMPTS_MAX):
            kinds = await self._kinds.learn(set(traits))
            async with self._database.writing("write runs") as connection:
                if await self._kinds.hold(connection, kinds):
                    mine = (kinds[each] for each in traits)
                    ready = list(map(_ready, latest, mine, bodies))
                    return await self._database.write(connection, ready)
        raise UnavailableError("the history is being erased over and over", retry_after_seconds=1)

    async def page(
        self, tenant: str, search: RunSearch, *, after: str | None = None, limit: int
    ) -> RunPage:
        """Give the runs a search means, the latest first by (finished_ms, run_id).

        ``after`` is the ``next_after`` of the page before; ``limit`` is 1 to 1,000.
        """
        return await find_page(self._database, tenant, search, after, limit)

    async def find(self, tenant: str, run_id: str) -> RunRow | None:
        """Give one run with its document."""
        async with self._database.reading("read a run") as connection:
            tenant_id = await tenant_id_of(connection, plain_text(tenant))
            if tenant_id is None:
                return None
            asked = {"tenant_id": tenant_id, "run_id": plain_text(run_id)}
            values = (await connection.execute(_FIND, asked)).mappings().first()
            if values is None:
                return None
            one = select(KINDS).where(KINDS.c.id == values["kind_id"])
            kind = Kind(**(await connection.execute(one)).mappings().one())
        return replace(row_from(values, tenant, kind), document=unpack(values["body"]))

    async def forget_before(self, finished_ms: int, *, at_most: int) -> int:
        """Forget runs that ended before a time, and give how many; fewer than ``at_most``: all."""
        async with self._database.writing("forget old runs") as connection:
            keys = await self._database.old_keys(connection, finished_ms, at_most)
            if keys:
                await self._database.forget(connection, keys)
        if keys and len(keys) < at_most:
            await self._drop_unused()
        return len(keys)

    async def erase(self, tenant: str) -> int:
        """Forget all of a tenant, and give how many runs it had. Nothing names it afterwards."""
        tenant = plain_text(tenant)
        erased = 0
        while True:
            async with self._database.writing("erase runs") as connection:
                bite = await self._erase_bite(connection, tenant)
            erased += bite
            if bite < ERASE_BITE:
                break
        async with self._database.changing("erase a tenant") as connection:
            tenant_id = await tenant_id_of(connection, tenant)
            if tenant_id is None:
                return erased
            while bite := await self._erase_bite(connection, tenant):
                erased += bite
            await connection.execute(delete(KINDS).where(KINDS.c.tenant_id == tenant_id))
            await connection.execute(delete(TENANTS).where(TENANTS.c.id == tenant_id))
        return erased

    async def identity(self) -> str:
        """Give what this history is known by; a copy of it is known by the same."""
        return await identity_of(self._database)

    async def facts(self) -> HistoryFacts:
        """Tell how many runs there are, and of which time."""
        return await facts_of(self._database)

    async def count(self, tenant: str) -> int:
        """Count a tenant's runs."""
        return await count_of(self._database, tenant)

    async def reset(self) -> None:
        """Forget everything, before it is built anew from the streams."""
        async with self._database.changing("reset the history") as connection:
            await self._database.empty(connection)

    async def close(self) -> None:
        """Give the connections back."""
        await self._database.close()

    async def _erase_bite(self, connection: AsyncConnection, tenant: str) -> int:
        tenant_id = await tenant_id_of(connection, tenant)
        if tenant_id is None:
            return 0
        asked = {"tenant_id": tenant_id, "at_most": ERASE_BITE}
        keys = (await connection.scalars(_SOME_OF, asked)).all()
        if keys:
            await self._database.forget(connection, keys)
        return len(keys)

    async def _drop_unused(self) -> None:
        """Drop kinds that have no runs any more, so that new ones have room."""
        async with self._database.reading("read kinds of runs") as connection:
            is_any = await connection.scalar(select(KINDS.c.id).where(_UNUSED_KINDS).limit(1))
        if is_any is None:
            return
        async with self._database.changing("drop kinds of runs") as connection:
            await connection.execute(delete(KINDS).where(_UNUSED_KINDS))
            await connection.execute(delete(TENANTS).where(_UNUSED_TENANTS))


def _latest(rows: Iterable[RunRow]) -> list[RunRow]:
    """Leave of each run the record with the greatest place."""
    latest: dict[tuple[str, str], RunRow] = {}
    for row in rows:
        key = (row.tenant, row.run_id)
        there = latest.get(key)
        if there is None or row.place > there.place:
            latest[key] = row
    return list(latest.values())


def _ready(row: RunRow, kind: Kind, body: bytes) -> ReadyRow:
    of_kind = (
        kind.tenant_id,
        kind.id,
        row.flow if kind.is_rest else None,
        row.event_type if kind.is_rest else None,
        row.error_code if kind.is_rest else None,
    )
    return ReadyRow(
        tenant_id=kind.tenant_id,
        run_id=row.run_id,
        place=row.place,
        values=_in_order((*_plain_of(row), *of_kind)),
        body=body,
        kind_id=kind.id,
        finished_ms=row.finished_ms,
        error_text=search_text(row.error_code, row.error_message),
    )


_OF_KIND: Final = ("tenant_id", "kind_id", "flow", "event_type", "error_code")
_PLAIN: Final = tuple(name for name in row_columns() if name not in _OF_KIND)
_plain_of: Final = attrgetter(*("index" if name == "position" else name for name in _PLAIN))
_in_order: Final = itemgetter(*((*_PLAIN, *_OF_KIND).index(name) for name in row_columns()))
