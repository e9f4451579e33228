"""The API of deployments, below ``/api/v1/tenants/{tenant}/deployments``.

    GET    …            what was deployed, the newest first; after, limit
    GET    …/current    what is in force, with its revision as ETag
    GET    …/{number}   one of them
    POST   …            a bundle as a zip: 201, with what the workers say; again; If-Match
    POST   …/diff       a bundle as a zip: what it would change, by names
    POST   …/rollback   {"number"}: 201, a former one is in force again; If-Match
    DELETE …/current    the tenant's flows are taken out of force; If-Match

In: archives as `app.bundle.archive` packs them; ``wait_seconds`` says how long a change waits for
the workers. Out: JSON. Refuses a bundle with any mistake (422, with all of them), a number that is
not remembered (404), a change that somebody was faster with (409) or that was made for another
state (412).
"""

import asyncio
from typing import Annotated, Any, Final

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from app.bundle.archive import ARCHIVE_BYTES_MAX, open_archive
from app.deployments.changes import DeploymentChange, Outcome, WorkersReport
from app.deployments.desk import WAIT_SECONDS, DeploymentDesk
from app.deployments.document import HISTORY_MAX, DeploymentDocument, Kind, Owner, Revision
from app.deployments.handover import Handover, Receiver, prepare_handover
from app.errors import NotFoundError, OverloadedError
from app.http.api_access import ApiAccess, who_of
from app.http.api_etags import (
    IfMatch,
    IfNoneMatch,
    check_match,
    expected_revision,
    not_modified,
    tag,
)
from app.http.api_models import BodyModel, PageView, QueryModel, ViewModel
from app.http.api_route import Caller, Operation, RawBody, Resource, Tenant
from app.identity.scopes import TENANT_ADMIN, TENANT_READ

ROOT: Final = "/tenants/{tenant}/deployments"
ZIP: Final = "application/zip"
AT_ONCE_MAX: Final = 4
"""Bundles that one process reads at once; each may be 32 MiB."""
WAIT_SECONDS_MAX: Final = 60
RETRY_AFTER_SECONDS: Final = 2.0
NUMBER_MAX: Final = 1 << 53

Number = Annotated[int, Field(ge=1, le=NUMBER_MAX)]


class DeploymentQuery(QueryModel):
    """Which deployments are wanted."""

    after: Annotated[int, Field(ge=0, le=NUMBER_MAX)] = 0
    """The former page's ``next_after``; 0: the first page."""
    limit: Annotated[int, Field(ge=1, le=HISTORY_MAX + 1)] = HISTORY_MAX + 1


class WaitQuery(QueryModel):
    """How long the answer may wait for the workers."""

    wait_seconds: Annotated[float, Field(ge=0, le=WAIT_SECONDS_MAX)] = WAIT_SECONDS
    """0: it does not."""


class ApplyQuery(WaitQuery):
    """How a bundle is put in force."""

    again: bool = False
    """Also what is in force already: workers read the tenant's secrets anew."""


class RollbackWanted(BodyModel):
    """What to go back to."""

    number: Number | None = None
    """Null: the newest that has another content than what is in force."""


class DeploymentView(ViewModel):
    """Something that was deployed. Times are milliseconds since the epoch."""

    number: int
    bundle: str | None
    """The hash of its content; null: nothing."""
    name: str
    version: str
    owner: Owner
    """``folder``: a ``start`` looks after it."""
    flows: int
    kind: Kind
    """How it came into force."""
    at_ms: int
    actor: str

    @classmethod
    def of(cls, revision: Revision) -> "DeploymentView":
        """Show one."""
        return cls(**revision.as_mapping())


class CurrentView(DeploymentView):
    """What is in force."""

    revision: int
    """What its ETag says."""
    triggers: list[str]


class DeploymentPage(PageView):
    """Deployments, the newest first."""

    deployments: list[DeploymentView]


class WorkersView(ViewModel):
    """What the workers said in time."""

    acknowledged: list[str]
    """Workers that run it."""
    failed: dict[str, dict[str, str]]
    """Why others cannot, by worker and tenant."""
    missing: list[str]
    """Workers that have said nothing."""
    seconds: float


class ChangeView(ViewModel):
    """What became of a change."""

    outcome: Outcome
    """``unchanged``: it is in force already."""
    deployment: DeploymentView
    """What is in force now."""
    before: int | None
    """The number of what was in force before."""
    revision: int
    """What the ETag of ``current`` says."""
    secrets: list[str]
    """Names of the secrets that were stored: the bundle held them."""
    workers: WorkersView | None
    """Null: they were not waited for."""


class NamesView(ViewModel):
    """Names of what comes, goes or changes."""

    added: list[str]
    removed: list[str]
    changed: list[str]
    not_shown: int = 0
    """How many there are beyond the first thousand of each."""


class DifferenceView(ViewModel):
    """What a bundle would change. No value is told."""

    flows: NamesView
    triggers: NamesView
    files: NamesView
    options: NamesView
    """Options of providers, like ``events-webhook.secret_key``."""


class DeploymentApi:
    """The handlers; `resource` gives what the API needs."""

    def __init__(self, receiver: Receiver, access: ApiAccess) -> None:
        self._receiver = receiver
        self._desk: DeploymentDesk = receiver.desk
        self._access = access
        self._reading = 0

    def resource(self) -> Resource:
        """Give the operations."""
        found = Resource("deployments", self._access)
        current = f"{ROOT}/current"
        archive: dict[str, Any] = {"body_bytes_max": ARCHIVE_BYTES_MAX, "body_media": ZIP}
        applied = Operation(TENANT_ADMIN, 201, refuses=[409, 412], **archive)
        rolled_back = Operation(TENANT_ADMIN, 201, refuses=[409, 412], is_body_optional=True)
        found.add("GET", ROOT, self.list, Operation(TENANT_READ))
        found.add("POST", ROOT, self.apply, applied)
        found.add("GET", current, self.current, Operation(TENANT_READ, refuses=[304]))
        found.add("DELETE", current, self.remove, Operation(TENANT_ADMIN, refuses=[409, 412]))
        found.add("POST", f"{ROOT}/diff", self.diff, Operation(TENANT_ADMIN, **archive))
        found.add("POST", f"{ROOT}/rollback", self.rollback, rolled_back)
        found.add("GET", f"{ROOT}/{{number}}", self.show, Operation(TENANT_READ))
        return found

    async def list(
        self, tenant: Tenant, asked: Annotated[DeploymentQuery, Query()]
    ) -> DeploymentPage:
        """Give what a tenant has deployed and had before, as far as it is remembered."""
        document, _ = await self._desk.find(tenant)
        every = [] if document is None else [document.current, *document.history]
        further = [each for each in every if not asked.after or each.number < asked.after]
        page = further[: asked.limit]
        return DeploymentPage(
            deployments=[DeploymentView.of(each) for each in page],
            next_after=page[-1].number if len(further) > len(page) else None,
        )

    async def current(
        self, tenant: Tenant, response: Response, if_none_match: IfNoneMatch = None
    ) -> CurrentView:
        """Give what is in force."""
        document, revision = await self._desk.show(tenant)
        if not_modified(if_none_match, revision) is not None:
            response.status_code = 304
        tag(response, revision)
        shown = document.current.as_mapping()
        return CurrentView(**shown, revision=revision, triggers=sorted(document.activated))

    async def show(self, tenant: Tenant, number: Number) -> DeploymentView:
        """Give one of what is and was deployed."""
        document, _ = await self._desk.show(tenant)
        found = document.find(number)
        if found is None:
            raise NotFoundError(f"tenant {tenant!r} has no deployment {number}")
        return DeploymentView.of(found)

    async def apply(
        self,
        caller: Caller,
        tenant: Tenant,
        body: RawBody,
        asked: Annotated[ApplyQuery, Query()],
        response: Response,
        if_match: IfMatch = None,
    ) -> ChangeView:
        """Put a bundle in force: all of it is checked before anything is stored.

        Secrets that its answers hold are stored for the tenant and taken out of it. What is in
        force already is left, and the outcome says so. The answer waits for the workers.
        """
        revision = await self._expected(tenant, if_match)
        handover = await self._unpacked(tenant, body)
        done = await self._receiver.receive(
            who_of(caller), handover, again=asked.again, revision=revision
        )
        view = await self._told(done.change, asked.wait_seconds, response)
        return view.model_copy(update={"secrets": [*done.stored]})

    async def diff(self, tenant: Tenant, body: RawBody) -> DifferenceView:
        """Say what a bundle would change, by names, and change nothing."""
        handover = await self._unpacked(tenant, body)
        found = await self._desk.diff(tenant, handover.archive, handover.secrets)
        return DifferenceView(**found.as_mapping())

    async def rollback(
        self,
        caller: Caller,
        tenant: Tenant,
        wanted: RollbackWanted,
        asked: Annotated[WaitQuery, Query()],
        response: Response,
        if_match: IfMatch = None,
    ) -> ChangeView:
        """Put a former deployment in force again, under a new number."""
        revision = await self._expected(tenant, if_match)
        change = await self._desk.rollback(who_of(caller), tenant, wanted.number, revision=revision)
        return await self._told(change, asked.wait_seconds, response)

    async def remove(
        self,
        caller: Caller,
        tenant: Tenant,
        asked: Annotated[WaitQuery, Query()],
        response: Response,
        if_match: IfMatch = None,
    ) -> ChangeView:
        """Take a tenant's flows out of force. Its data and its history stay."""
        revision = await self._expected(tenant, if_match)
        change = await self._desk.remove(who_of(caller), tenant, revision=revision)
        return await self._told(change, asked.wait_seconds, response)

    async def _expected(self, tenant: str, if_match: str | None) -> int | None:
        """Give the revision that a change is for, having told who came too late so (412)."""
        if if_match is None:
            return None
        document, revision = await self._desk.find(tenant)
        check_match(if_match, None if document is None else revision)
        return expected_revision(if_match)

    async def _unpacked(self, tenant: str, body: bytes) -> Handover:
        if self._reading >= AT_ONCE_MAX:
            raise OverloadedError(
                "other bundles are being read", retry_after_seconds=RETRY_AFTER_SECONDS
            )
        self._reading += 1
        try:
            return await asyncio.to_thread(_unpack, tenant, body)
        finally:
            self._reading -= 1

    async def _told(
        self, change: DeploymentChange, seconds: float, response: Response
    ) -> ChangeView:
        tag(response, change.revision)
        report = await self._desk.wait(change, seconds) if seconds else None
        return ChangeView(
            outcome=change.outcome,
            deployment=DeploymentView.of(_now(change).current),
            before=None if change.before is None else change.before.current.number,
            revision=change.revision,
            secrets=[],
            workers=_shown(report),
        )


def _unpack(tenant: str, body: bytes) -> Handover:
    return prepare_handover(open_archive(body), None, tenant)


def _now(change: DeploymentChange) -> DeploymentDocument:
    if change.document is None:
        raise NotFoundError(f"tenant {change.tenant!r} has no deployment")
    return change.document


def _shown(report: WorkersReport | None) -> WorkersView | None:
    return None if report is None else WorkersView(**report.as_mapping())
