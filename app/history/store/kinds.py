"""Kinds: what runs have in common, with a number for each tenant and each kind.

In: rows, the fields of a search. Out: numbers. A tenant has at most `KINDS_MAX` kinds; where a flow
makes error codes or event types without end, the rest are in one kind for each status, and their
rows say themselves what they are. Numbers are never used twice, so a number that is remembered too
long finds nothing, rather than somebody else's runs.
"""

import asyncio
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.history.store.database import Database
from app.history.store.rows import RunRow
from app.history.store.search import RunSearch
from app.history.store.tables import KINDS, TENANTS

KINDS_MAX: Final = 1024
REMEMBERED_MAX: Final = 100_000
"""Of what rows have in common; past it all is forgotten and learnt anew."""

_TENANT_ID: Final = select(TENANTS.c.id).where(TENANTS.c.tenant == bindparam("tenant"))
_KINDS_OF: Final = select(KINDS).where(KINDS.c.tenant_id == bindparam("tenant_id"))


class Traits(NamedTuple):
    """What a run has in common with others of its tenant."""

    tenant: str
    flow: str
    event_type: str
    status: str
    error_code: str
    has_error: bool


@dataclass(frozen=True, slots=True)
class Kind:
    """A number for traits; those of the rest have only their status in common."""

    id: int
    tenant_id: int
    flow: str
    event_type: str
    status: str
    error_code: str
    has_error: bool
    is_rest: bool

    def may_match(self, search: RunSearch) -> bool:
        """Tell whether runs of this kind may be among those that a search means."""
        if search.status not in {None, self.status}:
            return False
        if search.error_text is not None and not (self.has_error or self.is_rest):
            return False
        wanted = (
            (search.flow, self.flow),
            (search.event_type, self.event_type),
            (search.error_code, self.error_code),
        )
        return self.is_rest or all(value in {None, own} for value, own in wanted)


def traits_of(row: RunRow) -> Traits:
    """Give what a row has in common with others."""
    has_error = bool(row.error_code or row.error_message)
    return Traits(row.tenant, row.flow, row.event_type, row.status, row.error_code or "", has_error)


async def tenant_id_of(connection: AsyncConnection, tenant: str) -> int | None:
    """Look a tenant's number up; None: it has no runs."""
    found: int | None = await connection.scalar(_TENANT_ID, {"tenant": tenant})
    return found


async def kinds_of(connection: AsyncConnection, tenant_id: int) -> list[Kind]:
    """Read all kinds of a tenant."""
    found = await connection.execute(_KINDS_OF, {"tenant_id": tenant_id})
    return [Kind(**row) for row in found.mappings()]


class KindBook:
    """What a process that writes remembers of kinds; makes those that are missing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kinds: dict[Traits, Kind] = {}
        self._one_learns = asyncio.Lock()
        of_whom = select(KINDS, TENANTS.c.tenant).join(TENANTS, TENANTS.c.id == KINDS.c.tenant_id)
        self._some = of_whom.where(database.is_among(KINDS.c.id, "kinds"))

    async def learn(self, wanted: AbstractSet[Traits]) -> dict[Traits, Kind]:
        """Give the kinds of traits, made and committed where there were none."""
        async with self._one_learns:
            if not wanted <= self._kinds.keys():
                await self._make(wanted)
            return {traits: self._kinds[traits] for traits in wanted}

    async def hold(self, connection: AsyncConnection, kinds: Mapping[Traits, Kind]) -> bool:
        """Tell whether kinds are still what is remembered; forgets all that is remembered if not.

        Asked in the transaction that writes rows, beside which no kinds are taken away: they may be
        gone by an erasure or a reset of another process, or with a server that lost its last
        commits.
        """
        wanted = {(kind, traits.tenant) for traits, kind in kinds.items()}
        numbers = self._database.as_numbers([kind.id for kind, _ in wanted])
        found = (await connection.execute(self._some, {"kinds": numbers})).all()
        if {(Kind(*row[:-1]), row[-1]) for row in found} == wanted:
            return True
        self._kinds.clear()
        return False

    async def _make(self, wanted: AbstractSet[Traits]) -> None:
        if len(self._kinds) > REMEMBERED_MAX:
            self._kinds.clear()
        missing = wanted - self._kinds.keys()
        found: dict[Traits, Kind] = {}
        async with self._database.writing("write kinds of runs") as connection:
            for tenant in sorted({traits.tenant for traits in missing}):
                mine = [traits for traits in missing if traits.tenant == tenant]
                found |= await self._make_for(connection, tenant, sorted(mine))
        # Only what is committed is remembered.
        self._kinds |= found

    async def _make_for(
        self, connection: AsyncConnection, tenant: str, wanted: Sequence[Traits]
    ) -> dict[Traits, Kind]:
        """Give all kinds of a tenant, those that are wanted among them."""
        await connection.execute(self._database.insert_new(TENANTS), {"tenant": tenant})
        tenant_id = int(await connection.scalar(_TENANT_ID, {"tenant": tenant}) or 0)
        kinds = await kinds_of(connection, tenant_id)
        known = {_traits(kind, tenant) for kind in kinds if not kind.is_rest}
        missing = [traits for traits in wanted if traits not in known]
        room = max(0, KINDS_MAX - len(kinds))
        new = [_as_kind(tenant_id, traits) for traits in missing[:room]]
        new += [_as_rest(tenant_id, s) for s in sorted({t.status for t in missing[room:]})]
        if new:
            await connection.execute(self._database.insert_new(KINDS), new)
            kinds = await kinds_of(connection, tenant_id)
        by_traits = {_traits(kind, tenant): kind for kind in kinds if not kind.is_rest}
        rest = {kind.status: kind for kind in kinds if kind.is_rest}
        of_rest = {t: rest[t.status] for t in wanted if t not in by_traits}
        return by_traits | of_rest


def _traits(kind: Kind, tenant: str) -> Traits:
    return Traits(tenant, kind.flow, kind.event_type, kind.status, kind.error_code, kind.has_error)


def _as_kind(tenant_id: int, traits: Traits) -> dict[str, Any]:
    _, *values = traits
    names = ("flow", "event_type", "status", "error_code", "has_error")
    return {"tenant_id": tenant_id, "is_rest": False, **dict(zip(names, values, strict=True))}


def _as_rest(tenant_id: int, status: str) -> dict[str, Any]:
    traits = Traits("", "", "", status, "", has_error=False)
    return {**_as_kind(tenant_id, traits), "is_rest": True}
