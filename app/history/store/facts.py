"""What is to be said of a history as a whole.

In: a database. Out: which history it is, how many runs it has and of which time. UnavailableError
when it does not answer.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, func, select

from app.history.store.database import Database
from app.history.store.kinds import tenant_id_of
from app.history.store.rows import plain_text
from app.history.store.tables import KINDS, META, RUNS


@dataclass(frozen=True, slots=True)
class HistoryFacts:
    """Times are milliseconds; None: there are no runs."""

    runs: int
    oldest_ms: int | None
    """When the first of its runs ended."""
    latest_ms: int | None


async def identity_of(database: Database) -> str:
    """Give what this history is known by: made with its tables, and no other has the same."""
    async with database.reading("read which history it is") as connection:
        found: str = (await connection.scalars(select(META.c.identity))).one()
    return found


async def facts_of(database: Database) -> HistoryFacts:
    """Count all runs, which takes a moment where there are millions, and tell of their times."""
    async with database.reading("count runs") as connection:
        runs = await connection.scalar(select(func.count()).select_from(RUNS))
        oldest = await connection.scalar(_extreme(func.min))
        latest = await connection.scalar(_extreme(func.max))
    return HistoryFacts(runs or 0, oldest, latest)


async def count_of(database: Database, tenant: str) -> int:
    """Count a tenant's runs."""
    async with database.reading("count a tenant's runs") as connection:
        tenant_id = await tenant_id_of(connection, plain_text(tenant))
        asked = select(func.count()).where(RUNS.c.tenant_id == bindparam("tenant_id"))
        if tenant_id is None:
            return 0
        return await connection.scalar(asked, {"tenant_id": tenant_id}) or 0


def _extreme(which: Any) -> Select[Any]:
    """Ask for the first or last end, kind by kind: that is what the index knows at once."""
    of_kind = select(which(RUNS.c.finished_ms)).where(RUNS.c.kind_id == KINDS.c.id)
    return select(which(of_kind.correlate(KINDS).scalar_subquery())).select_from(KINDS)
