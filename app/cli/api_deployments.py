"""Deployments through the API, as `app.deployments.desk.DeploymentDesk` has them on NATS.

In: bundles as they were prepared here. Out: what the API says of them. Refuses what the API
refuses.

The API is given a bundle with its secrets in it: it checks all before it stores any, and takes them
out again, so that what it keeps has the digest that it would have had on the other way.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.bundle.answers_file import read_answers_file
from app.bundle.archive import open_archive, pack_bundle
from app.bundle.files import MemoryFiles
from app.bundle.references import replace_references
from app.bundle.setup_writing import format_answers
from app.bundle.tenant_answers import tenant_folder, tenants_with_answers
from app.bundle.variables import escape_text
from app.cli.api_client import ANSWER_SECONDS, ApiClient, below
from app.cli.told_deployments import ToldChange, ToldDeployments, ToldDocument
from app.deployments.changes import Outcome, WorkersReport
from app.deployments.difference import Difference
from app.deployments.document import Revision
from app.deployments.handover import Handover
from app.errors import NotFoundError, StoreError

WAIT_SECONDS_MAX: Final = 60.0
"""The most that the API waits for the workers of one change."""
AT_ONCE: Final = 8
"""Tenants that are asked about at once."""
BUNDLE_SECONDS: Final = 120.0
"""How long a bundle may take to be sent and checked."""


@dataclass(frozen=True, slots=True)
class _Change:
    outcome: Outcome
    deployment: Revision
    before: int | None
    secrets: list[str]
    workers: WorkersReport | None


@dataclass(frozen=True, slots=True)
class _Current:
    triggers: list[str]
    revision: int


@dataclass(frozen=True, slots=True)
class _Page:
    deployments: list[Revision]


@dataclass(frozen=True, slots=True)
class _Tenant:
    id: str


@dataclass(frozen=True, slots=True)
class _Tenants:
    tenants: list[_Tenant]


class ApiDeployments:
    """Asks for them over HTTP; ``seconds``: how long all changes may wait for the workers."""

    def __init__(self, client: ApiClient, seconds: float = 0.0) -> None:
        self._client = client
        self._is_waiting = seconds > 0
        self._left_seconds = seconds
        self._reports: list[WorkersReport] = []

    async def check(self, handover: Handover) -> None:
        """Refuse what `apply` would refuse."""
        await self.diff(handover)

    async def apply(self, handover: Handover, *, again: bool) -> tuple[ToldChange, Sequence[str]]:
        """Put a bundle in force."""
        content = await asyncio.to_thread(content_with_secrets, handover)
        return await self._change(
            "POST", handover.tenant, (), content, query={"again": again}, seconds=BUNDLE_SECONDS
        )

    async def diff(self, handover: Handover) -> Difference:
        """Say what a bundle would change."""
        content = await asyncio.to_thread(content_with_secrets, handover)
        path = _path(handover.tenant, "diff")
        document = await self._client.send("POST", path, content, seconds=BUNDLE_SECONDS)
        return self._client.read(document, Difference)

    async def rollback(self, tenant: str, number: int | None) -> ToldChange:
        """Put what was before in force again."""
        body = {"number": number}
        return (await self._change("POST", tenant, ("rollback",), body))[0]

    async def remove(self, tenant: str) -> ToldChange:
        """Take a tenant's flows out of force."""
        return (await self._change("DELETE", tenant, ("current",), None))[0]

    async def show(self, tenant: str) -> ToldDocument:
        """Give what a tenant has in force, and had before."""
        current = await self._current(tenant)
        page = await self._client.get(_path(tenant))
        every = self._client.read(page, _Page).deployments
        history = [each for each in every if each.number < current.current.number]
        return ToldDocument(current.current, history, current.triggers, current.revision)

    async def list(self) -> ToldDeployments:
        """Give what every tenant has in force: the tenants first, then one by one."""
        tenants: list[str] = []
        async for page in self._client.walk("/tenants"):
            tenants += [each.id for each in self._client.read(page, _Tenants).tenants]
        found: dict[str, ToldDocument] = {}
        unreadable: list[str] = []
        places = asyncio.Semaphore(AT_ONCE)

        async def look(tenant: str) -> None:
            async with places:
                try:
                    found[tenant] = await self._current(tenant)
                except NotFoundError:
                    return
                except StoreError:
                    unreadable.append(tenant)

        await asyncio.gather(*(look(tenant) for tenant in tenants))
        return ToldDeployments(found, sorted(unreadable))

    async def wait(self) -> WorkersReport | None:
        """Say what the workers made of the changes: the API has waited for each."""
        return merged(self._reports) if self._is_waiting and self._reports else None

    async def _change(
        self,
        method: str,
        tenant: str,
        below_it: Sequence[str],
        body: Any,
        *,
        query: dict[str, Any] | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> tuple[ToldChange, Sequence[str]]:
        patience = min(max(self._left_seconds, 0.0), WAIT_SECONDS_MAX)
        begun = time.monotonic()
        document = await self._client.send(
            method,
            _path(tenant, *below_it),
            body,
            query={**(query or {}), "wait_seconds": patience},
            seconds=seconds + patience,
        )
        self._left_seconds -= time.monotonic() - begun
        told = self._client.read(document, _Change)
        if told.workers is not None:
            self._reports.append(told.workers)
        return ToldChange(tenant, told.outcome, told.deployment, told.before), told.secrets

    async def _current(self, tenant: str) -> ToldDocument:
        document = await self._client.get(_path(tenant, "current"))
        told = self._client.read(document, _Current)
        current = self._client.read(document, Revision)
        return ToldDocument(current, (), told.triggers, told.revision)


def content_with_secrets(handover: Handover) -> bytes:
    """Give a bundle's archive with its secrets at their places, as the API takes it."""
    if not handover.secrets:
        return handover.archive.content
    files = open_archive(handover.archive.content)
    contents = dict(files.contents)
    written = {name: escape_text(value) for name, value in handover.secrets.items()}
    for folder in ("", *map(tenant_folder, tenants_with_answers(files))):
        document, _ = read_answers_file(files, folder)
        whole = replace_references(document.data, written)
        if whole != document.data:
            contents[document.file] = format_answers(document.file, whole).encode()
    return pack_bundle(MemoryFiles(contents, files.empty_folders)).content


def merged(reports: Sequence[WorkersReport]) -> WorkersReport:
    """Give what the workers said of several changes as if it were one."""
    failed: dict[str, dict[str, str]] = {}
    for report in reports:
        for worker, reasons in report.failed.items():
            failed.setdefault(worker, {}).update(reasons)
    missing = {worker for report in reports for worker in report.missing}
    heard = {worker for report in reports for worker in report.acknowledged}
    return WorkersReport(
        tuple(sorted(heard - missing - failed.keys())),
        failed,
        tuple(sorted(missing)),
        sum(report.seconds for report in reports),
    )


def _path(tenant: str, *names: str) -> str:
    return below("tenants", tenant, "deployments", *names)
