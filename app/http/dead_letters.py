"""The API of dead letters, below ``/api/v1/tenants/{tenant}/dead-letters`` on the admin address.

    GET  …                 a page by flow, reason, event_type, event_id, since, until; order, after,
                           limit
    GET  …/{letter}        one letter whole, by its id or as @SEQUENCE
    POST …/replay          {"ids": […]} or {"filter": {…}} or {"all": true}; limit, rate, dry_run
    POST …/discard         the same, without rate

In: requests with an API key of the tenant that has the scope ``tenant-operator``. Out: JSON.
Refuses unknown parameters and fields, and whatever is out of bounds (400); a letter that is not
there (404); a second replay or discard of a tenant while one is under way (409).
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

import structlog
from fastapi import Query

from actors.ports import Clock
from app.audit.log import AuditLog
from app.dead_letters.changes import LetterChanges
from app.dead_letters.desk import PER_SECOND_DEFAULT, Chosen, DeadLetterDesk, Effort
from app.dead_letters.letters import Report
from app.errors import ConflictError
from app.http.api_access import ApiAccess, who_of
from app.http.api_route import Caller, Operation, Resource, Tenant
from app.http.letter_views import (
    DamagedLetter,
    DiscardOrder,
    LetterPageView,
    LetterQuery,
    LetterReport,
    LetterView,
    ReplayOrder,
)
from app.identity.principal import Principal
from app.identity.scopes import TENANT_OPERATOR

ROOT: Final = "/tenants/{tenant}/dead-letters"
BODY_BYTES_MAX: Final = 256 * 1024
_log = structlog.get_logger("app.dead_letters")

_Act = Callable[[str, Chosen, Effort], Awaitable[Report]]


class DeadLetterApi:
    """The handlers; `resource` gives what the API needs."""

    def __init__(
        self, desk: DeadLetterDesk, access: ApiAccess, audit: AuditLog, clock: Clock
    ) -> None:
        self._desk = desk
        self._audit = audit
        self._access = access
        self._clock = clock
        self._working: set[str] = set()

    def resource(self) -> Resource:
        """Give the operations."""
        reading = Operation(TENANT_OPERATOR)
        changing = Operation(TENANT_OPERATOR, refuses=[409], body_bytes_max=BODY_BYTES_MAX)
        letters = Resource("dead-letters", self._access)
        letters.add("GET", ROOT, self.list, reading)
        letters.add("POST", ROOT + "/replay", self.replay, changing)
        letters.add("POST", ROOT + "/discard", self.discard, changing)
        letters.add("GET", ROOT + "/{letter}", self.show, reading)
        return letters

    async def list(self, tenant: Tenant, asked: Annotated[LetterQuery, Query()]) -> LetterPageView:
        """Give a page of letters, without payloads."""
        page = await self._desk.list(
            tenant,
            asked.as_filter(self._clock.now_ms()),
            order=asked.order,
            after=asked.after,
            limit=asked.limit,
        )
        letters = [kept.as_summary() for kept in page.letters]
        return LetterPageView.model_validate(
            {"tenant": tenant, "letters": letters, "next_after": page.next_after}
        )

    async def show(self, tenant: Tenant, letter: str) -> LetterView | DamagedLetter:
        """Give one letter, payload and all, by its id or as @SEQUENCE."""
        kept = await self._desk.show(tenant, letter)
        kind = LetterView if kept.decoded is not None else DamagedLetter
        return kind.model_validate(kept.as_document())

    async def replay(self, caller: Caller, tenant: Tenant, order: ReplayOrder) -> LetterReport:
        """Run the letters' events again, and give the report once it is done."""
        effort = Effort(order.limit, order.rate or PER_SECOND_DEFAULT, order.dry_run)
        return await self._work(tenant, order, effort, self._changes(caller).redrive, "replayed")

    async def discard(self, caller: Caller, tenant: Tenant, order: DiscardOrder) -> LetterReport:
        """Remove the letters, and give the report once it is done."""
        effort = Effort(order.limit, None, order.dry_run)
        return await self._work(tenant, order, effort, self._changes(caller).discard, "discarded")

    async def _work(
        self, tenant: str, order: DiscardOrder, effort: Effort, act: _Act, done: str
    ) -> LetterReport:
        chosen = order.chosen(self._clock.now_ms())
        if tenant in self._working:
            raise ConflictError("a replay or discard of this tenant is under way: wait for its end")
        self._working.add(tenant)
        try:
            report = await act(tenant, chosen, effort)
        finally:
            self._working.discard(tenant)
        if not report.is_dry_run:
            # Who did what to whose letters: the line that an operator looks for afterwards.
            counts = {"chosen": report.chosen, "done": report.done, "failed": report.failed}
            _log.info(f"dead_letters.{done}", tenant=tenant, **counts)
        return LetterReport.model_validate({"tenant": tenant, **report.as_document()})

    def _changes(self, caller: Principal) -> LetterChanges:
        return LetterChanges(self._desk, self._audit, who_of(caller))
