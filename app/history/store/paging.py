"""Pages of runs: which stretch of an index is read for a search.

In: a search, a cursor. Out: a page, the latest runs first. A search walks down one index that is
ordered by time: an event's, a parent's or a correlation's where the search names one, else that of
kinds, all that may match at once. First a statement that reads only this index finds how far down
enough candidates stand (the **cut**); then the rows down to the cut are read, judged by what the
index does not know, and put in order. So each statement touches a bounded number of rows, however
many runs there are, how rare a value is, and how deep the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    and_,
    bindparam,
    func,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import ValueRefusedError
from app.history.store.database import Bounds, Database, TextSearch
from app.history.store.kinds import Kind, kinds_of, tenant_id_of
from app.history.store.rows import (
    CORRELATION_CHARS_MAX,
    NUMBER_MAX,
    RunRow,
    plain_text,
)
from app.history.store.search import PAGE_MAX, RunPage, RunSearch, parse_cursor, wanted_text
from app.history.store.tables import RUNS

CANDIDATES_MAX: Final = 5_000
"""Rows that are judged one by one in a statement, where the index does not know it all."""
TEXT_CANDIDATES_MAX: Final = 500
"""The latest ones, before the index of texts is asked: a text that is frequent is found there."""

_C = RUNS.c
_FIELDS: Final = (
    ("event_id", _C.event_id),
    ("parent_run_id", _C.parent_run_id),
    ("correlation_id", _C.correlation_id),
)
"""In the order of how few runs share a value."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is walked down, and what each row must be beside."""

    tenant_id: int
    kinds: Sequence[Kind]
    walked: str | None
    """The field whose index is walked; None: that of kinds."""
    conditions: Sequence[ColumnElement[bool]]
    is_exact: bool
    """Whatever the walked index has is meant: nothing is to be judged row by row."""
    text: str | None
    """What to ask the index of texts for, where that, kinds and times are all there is to know."""
    values: dict[str, Any] = field(default_factory=dict)


async def find_page(
    database: Database, tenant: str, search: RunSearch, after: str | None, limit: int
) -> RunPage:
    """Give a page; ValueRefusedError for what makes no sense."""
    if not 1 <= limit <= PAGE_MAX:
        raise ValueRefusedError(f"a page has 1 to {PAGE_MAX} runs, not {limit}")
    text = None if search.error_text is None else wanted_text(search.error_text)
    bounds = _bounds(search, after)
    async with database.reading("read runs") as connection:
        tenant_id = await tenant_id_of(connection, plain_text(tenant))
        if tenant_id is None:
            return RunPage((), None)
        kinds = [k for k in await kinds_of(connection, tenant_id) if k.may_match(search)]
        if not kinds:
            return RunPage((), None)
        plan = _plan(database, tenant_id, kinds, search, text)
        found = await _Walk(database, connection, plan).take(bounds, limit + 1)
    by_id = {kind.id: kind for kind in kinds}
    runs = [row_from(values, tenant, by_id[values["kind_id"]]) for values in found]
    more = f"{runs[limit - 1].finished_ms}-{runs[limit - 1].run_id}" if len(runs) > limit else None
    return RunPage(tuple(runs[:limit]), more)


def row_from(values: Any, tenant: str, kind: Kind) -> RunRow:
    """Make a row of a run's columns and its kind; without its document."""
    is_rest = kind.is_rest
    return RunRow(
        tenant=tenant,
        run_id=values["run_id"],
        flow=values["flow"] if is_rest else kind.flow,
        flow_version=values["flow_version"],
        status=kind.status,
        event_id=values["event_id"],
        event_type=values["event_type"] if is_rest else kind.event_type,
        trigger=values["trigger"],
        correlation_id=values["correlation_id"],
        parent_run_id=values["parent_run_id"],
        started_ms=values["started_ms"],
        finished_ms=values["finished_ms"],
        attempt=values["attempt"],
        error_code=values["error_code"] if is_rest else (kind.error_code or None),
        error_node=values["error_node"],
        error_message=values["error_message"],
        operations=values["operations"],
        effects=values["effects"],
        bytes=values["bytes"],
        events=values["events"],
        shard=values["shard"],
        sequence=values["sequence"],
        index=values["position"],
        document={},
    )


class _Walk:
    """One search in one transaction."""

    def __init__(self, database: Database, connection: AsyncConnection, plan: _Plan) -> None:
        self._database = database
        self._connection = connection
        self._plan = plan
        self._values = {
            "tenant_id": plan.tenant_id,
            "kinds": database.as_numbers([kind.id for kind in plan.kinds]),
            **plan.values,
        }

    async def take(self, bounds: Bounds, count: int) -> list[Any]:
        """Give the latest ``count`` runs within bounds, or all there are."""
        found: list[Any] = []
        size = CANDIDATES_MAX
        if self._plan.is_exact:
            size = count
        elif self._plan.text is not None:
            size = TEXT_CANDIDATES_MAX
        while True:
            cut = await self._cut(bounds, size)
            reach = Bounds(bounds.since_ms if cut is None else cut, bounds.below_ms, bounds.tie)
            found += await self._rows(reach, count - len(found))
            if cut is None or cut <= bounds.since_ms or len(found) >= count:
                return found
            bounds = Bounds(bounds.since_ms, cut)
            if self._plan.text is not None:
                return found + await self._rows_by_text(bounds, count - len(found))

    async def _cut(self, bounds: Bounds, size: int) -> int | None:
        """Give the time of the ``size``-th candidate from above; None: there are fewer."""
        walked = self._plan.walked
        statement = self._cut_of_kinds() if walked is None else _cut_of_field(walked)
        return await self._connection.scalar(  # type: ignore[no-any-return]
            statement,
            {**self._values, "since": bounds.since_ms, "below": bounds.below_ms, "skip": size - 1},
        )

    def _cut_of_kinds(self) -> Select[Any]:
        """Each kind's own cut comes first: below the highest of them nothing is needed."""
        numbers = self._database.numbers("kinds")
        of_one = _times().where(_C.kind_id == numbers.c.value).correlate(numbers).scalar_subquery()
        highest = select(func.max(of_one)).select_from(numbers).scalar_subquery()
        is_above = _C.finished_ms >= func.coalesce(highest, bindparam("since", type_=BigInteger))
        return _times().where(self._database.is_among(_C.kind_id, "kinds"), is_above)

    async def _rows(self, bounds: Bounds, limit: int) -> list[Any]:
        walked = self._plan.walked
        if walked is None:
            where = [self._database.is_among(_C.kind_id, "kinds")]
        else:
            # The sum keeps databases from walking down the index of kinds.
            where = [_is_of(walked), self._database.is_among(_C.kind_id + 0, "kinds")]
        statement = (
            select(RUNS)
            .where(*where, *self._plan.conditions, _is_within(bounds))
            .order_by(_C.finished_ms.desc(), _C.run_id.desc())
            .limit(bindparam("count"))
        )
        found = await self._connection.execute(statement, {**self._values, "count": limit})
        return list(found.mappings())

    async def _rows_by_text(self, bounds: Bounds, limit: int) -> list[Any]:
        kinds = [kind.id for kind in self._plan.kinds]
        wanted = TextSearch(self._plan.text or "", self._plan.tenant_id, kinds)
        keys = await self._database.keys_by_text(self._connection, wanted, bounds, limit)
        statement = (
            select(RUNS)
            .where(self._database.is_among(_C.id, "keys"))
            .order_by(_C.finished_ms.desc(), _C.run_id.desc())
        )
        packed = {"keys": self._database.as_numbers(keys)}
        return list((await self._connection.execute(statement, packed)).mappings())


def _plan(
    database: Database, tenant_id: int, kinds: Sequence[Kind], search: RunSearch, text: str | None
) -> _Plan:
    named = [(name, column) for name, column in _FIELDS if getattr(search, name) is not None]
    values = {f"wanted_{name}": _comparable(search, name) for name, _ in named}
    conditions = [column == bindparam(f"wanted_{name}") for name, column in named[1:]]
    if any(kind.is_rest for kind in kinds):
        conditions += _conditions_on_rest(search)
    is_by_kinds = not named
    text_for_index = text if is_by_kinds and not conditions else None
    if text is not None:
        conditions.append(database.has_error_text("wanted_text"))
        values["wanted_text"] = text
    return _Plan(
        tenant_id=tenant_id,
        kinds=kinds,
        walked=None if is_by_kinds else named[0][0],
        conditions=conditions,
        is_exact=not conditions and (is_by_kinds or not _is_by_trait(search)),
        text=text_for_index,
        values=values,
    )


def _is_by_trait(search: RunSearch) -> bool:
    traits = (search.flow, search.status, search.event_type, search.error_code)
    return any(trait is not None for trait in traits)


def _comparable(search: RunSearch, name: str) -> str:
    return plain_text(str(getattr(search, name)))[:CORRELATION_CHARS_MAX]


def _conditions_on_rest(search: RunSearch) -> list[ColumnElement[bool]]:
    """Only rows of the rest have these columns; of the others the kind was judged."""
    wanted = (
        (_C.flow, search.flow),
        (_C.event_type, search.event_type),
        (_C.error_code, search.error_code),
    )
    # A row of the rest always says its flow: one that does not was judged by its kind.
    return [or_(_C.flow.is_(None), own == value) for own, value in wanted if value is not None]


def _bounds(search: RunSearch, after: str | None) -> Bounds:
    since = max(0, search.since_ms or 0)
    until = NUMBER_MAX + 1 if search.until_ms is None else min(search.until_ms, NUMBER_MAX + 1)
    if after is None:
        return Bounds(since, until)
    cursor = parse_cursor(after)
    if since <= cursor.finished_ms < until:
        return Bounds(since, cursor.finished_ms, cursor)
    return Bounds(since, min(until, cursor.finished_ms))


def _times() -> Select[Any]:
    """Give the time at a place, from above, of what the caller's conditions leave."""
    return (
        select(_C.finished_ms)
        .where(
            _C.finished_ms >= bindparam("since", type_=BigInteger),
            _C.finished_ms < bindparam("below", type_=BigInteger),
        )
        .order_by(_C.finished_ms.desc())
        .offset(bindparam("skip"))
        .limit(1)
    )


def _cut_of_field(name: str) -> Select[Any]:
    return _times().where(_is_of(name))


def _is_of(name: str) -> ColumnElement[bool]:
    own = dict(_FIELDS)[name] == bindparam(f"wanted_{name}", type_=Text)
    return and_(_C.tenant_id == bindparam("tenant_id"), own)


def _is_within(bounds: Bounds) -> ColumnElement[bool]:
    if bounds.tie is None:
        return and_(_C.finished_ms >= bounds.since_ms, _C.finished_ms < bounds.below_ms)
    tie = bounds.tie
    return and_(
        _C.finished_ms >= bounds.since_ms,
        _C.finished_ms <= tie.finished_ms,
        or_(_C.finished_ms < bounds.below_ms, _C.run_id < tie.run_id),
    )
