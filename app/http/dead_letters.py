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

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from actors.ports import Clock
from app.audit.log import AuditLog
from app.dead_letters.changes import LetterChanges
from app.dead_letters.desk import (
    AT_ONCE_DEFAULT,
    IDS_MAX,
    PAGE_DEFAULT,
    PAGE_MAX,
    PER_SECOND_DEFAULT,
    PER_SECOND_MAX,
    PLACE_MAX,
    Chosen,
    DeadLetterDesk,
    Effort,
)
from app.dead_letters.letters import LetterFilter, Report
from app.dead_letters.moments import parse_moment
from app.errors import BadRequestError, BodyTooLargeError, ConflictError
from app.http.api_access import ApiAccess, who_of
from app.identity.scopes import TENANT_OPERATOR

ROOT: Final = "/api/v1/tenants/{tenant}/dead-letters"
BODY_BYTES_MAX: Final = 256 * 1024
AT_ONCE_MAX: Final = 1000
TEXT_CHARS_MAX: Final = 256
_log = structlog.get_logger("app.dead_letters")
_NO_STORE: Final = {"cache-control": "no-store"}

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_CHARS_MAX)]
_T = TypeVar("_T")


class _FilterDocument(msgspec.Struct, forbid_unknown_fields=True):
    flow: _Text | None = None
    reason: _Text | None = None
    event_type: _Text | None = None
    event_id: _Text | None = None
    since: _Text | None = None
    until: _Text | None = None

    def as_filter(self, now_ms: int) -> LetterFilter:
        """Give the desk's filter. BadRequestError: a time is none."""
        try:
            since, until = (
                None if text is None else parse_moment(text, now_ms)
                for text in (self.since, self.until)
            )
        except ValueError as error:
            raise BadRequestError(str(error)) from None
        return LetterFilter(self.flow, self.reason, self.event_type, self.event_id, since, until)


class _Listing(_FilterDocument, forbid_unknown_fields=True):
    order: Literal["newest", "oldest"] = "newest"
    after: Annotated[int, msgspec.Meta(ge=0, le=PLACE_MAX)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT


class _Order(msgspec.Struct, forbid_unknown_fields=True):
    ids: Annotated[list[_Text], msgspec.Meta(min_length=1, max_length=IDS_MAX)] | None = None
    filter: _FilterDocument | None = None
    all: bool = False
    limit: Annotated[int, msgspec.Meta(ge=1, le=AT_ONCE_MAX)] = AT_ONCE_DEFAULT
    rate: Annotated[float, msgspec.Meta(gt=0, le=PER_SECOND_MAX)] | None = None
    dry_run: bool = False

    def chosen(self, now_ms: int) -> Chosen:
        """Give what is meant. BadRequestError: it is not said in exactly one way."""
        if [self.ids is not None, self.filter is not None, self.all].count(True) != 1:
            raise BadRequestError("say which letters: either 'ids', 'filter' or \"all\": true")
        if self.ids is not None:
            return self.ids
        if self.filter is None:
            return LetterFilter()
        which = self.filter.as_filter(now_ms)
        if which.is_empty:
            raise BadRequestError('the filter is empty: say "all": true to mean every letter')
        return which


class DeadLetterApi:
    """The handlers; `routes` gives what a Starlette application needs."""

    def __init__(
        self, desk: DeadLetterDesk, access: ApiAccess, audit: AuditLog, clock: Clock
    ) -> None:
        self._desk = desk
        self._audit = audit
        self._access = access
        self._clock = clock
        self._working: set[str] = set()

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route(ROOT, self.list, methods=["GET"]),
            Route(ROOT + "/replay", self.replay, methods=["POST"]),
            Route(ROOT + "/discard", self.discard, methods=["POST"]),
            Route(ROOT + "/{letter}", self.show, methods=["GET"]),
        ]

    async def list(self, request: Request) -> Response:
        """Answer with a page of letters, without payloads."""
        tenant = self._tenant_of(request)
        asked = _convert(_parameters(request), _Listing, strict=False)
        page = await self._desk.list(
            tenant,
            asked.as_filter(self._clock.now_ms()),
            order=asked.order,
            after=asked.after,
            limit=asked.limit,
        )
        letters = [kept.as_summary() for kept in page.letters]
        return _respond({"tenant": tenant, "letters": letters, "next_after": page.next_after})

    async def show(self, request: Request) -> Response:
        """Answer with one letter, payload and all."""
        tenant = self._tenant_of(request)
        kept = await self._desk.show(tenant, request.path_params["letter"])
        return _respond(kept.as_document())

    async def replay(self, request: Request) -> Response:
        """Redrive, and answer with the report once it is done."""
        tenant, changes = self._changes_of(request)
        order = await _order_of(request)
        effort = Effort(order.limit, order.rate or PER_SECOND_DEFAULT, order.dry_run)
        return await self._work(tenant, order, effort, changes.redrive, "replayed")

    async def discard(self, request: Request) -> Response:
        """Discard, and answer with the report once it is done."""
        tenant, changes = self._changes_of(request)
        order = await _order_of(request)
        if order.rate is not None:
            raise BadRequestError("letters are discarded as fast as it goes: there is no 'rate'")
        effort = Effort(order.limit, None, order.dry_run)
        return await self._work(tenant, order, effort, changes.discard, "discarded")

    async def _work(
        self,
        tenant: str,
        order: _Order,
        effort: Effort,
        act: Callable[[str, Chosen, Effort], Awaitable[Report]],
        done: str,
    ) -> Response:
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
        return _respond({"tenant": tenant, **report.as_document()})

    def _changes_of(self, request: Request) -> tuple[str, LetterChanges]:
        tenant: str = request.path_params["tenant"]
        principal = self._access.allowed(request, TENANT_OPERATOR, tenant)
        return tenant, LetterChanges(self._desk, self._audit, who_of(principal))

    def _tenant_of(self, request: Request) -> str:
        return self._access.tenant_of(request, TENANT_OPERATOR)


async def _order_of(request: Request) -> _Order:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise BodyTooLargeError(f"the body is larger than {BODY_BYTES_MAX} bytes")
    try:
        return msgspec.json.decode(bytes(body), type=_Order)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequestError(f"the body is no order: {error}") from None


def _parameters(request: Request) -> Mapping[str, str]:
    pairs = request.query_params.multi_items()
    given = dict(pairs)
    if len(given) != len(pairs):
        raise BadRequestError("a parameter is given twice")
    return given


def _convert(value: Mapping[str, str], kind: type[_T], *, strict: bool) -> _T:
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise BadRequestError(str(error)) from None


def _respond(document: Mapping[str, Any]) -> Response:
    return JSONResponse(document, headers=_NO_STORE)
