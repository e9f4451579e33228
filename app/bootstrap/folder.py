"""The bundle that `start` was given: deployed for its tenants like any other.

In: a folder. Out: a record and a deployment for each of its tenants. A folder that cannot be read
changes nothing. What somebody applied, removed or deleted meanwhile is not undone: it is said.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from app.audit.entry import OURSELVES
from app.bootstrap.plans import PlanBook
from app.bootstrap.shelf import BundleShelf
from app.bundle.archive import BundleArchive, pack_bundle
from app.bundle.reading import Bundle, TenantBundle
from app.deployments.changes import DeploymentChange
from app.deployments.desk import DeploymentDesk
from app.errors import ConflictError, NotFoundError
from app.tenancy.desk import NewTenant, TenantDesk

TENANTS_AT_ONCE: Final = 32

_log = structlog.get_logger("app.bundle")


@dataclass(frozen=True, slots=True)
class Folder:
    """A bundle's content as it was at one moment."""

    archive: BundleArchive
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class FolderDeployments:
    """Deploys one folder."""

    root: Path
    desk: DeploymentDesk
    tenants: TenantDesk
    shelf: BundleShelf
    plans: PlanBook
    check: Callable[[Bundle], None]
    """Refuses options that no provider can be built of (SettingsError)."""

    async def read(self) -> Folder:
        """Read the folder as it is now. BundleError, SettingsError, UnavailableError."""
        archive = await asyncio.to_thread(pack_bundle, self.root)
        bundle = await self.shelf.read_whole(archive)
        self.plans.check_bundle(bundle)
        self.check(bundle)
        return Folder(archive, bundle)

    async def deploy(
        self, folder: Folder, *, is_cautious: bool = False, again: bool = False
    ) -> list[DeploymentChange]:
        """Deploy it for its tenants, and nothing any more for those that it named before.

        ``is_cautious``: where other processes may have deployed something newer meanwhile.
        ``again``: though it is in force, since secrets have changed.
        """
        limit = asyncio.Semaphore(TENANTS_AT_ONCE)

        async def one(tenant: TenantBundle) -> DeploymentChange | None:
            async with limit:
                return await self._deploy_for(tenant, folder, is_cautious=is_cautious, again=again)

        found = await asyncio.gather(*(one(each) for each in folder.bundle.tenants.values()))
        await self._take_away(folder.bundle)
        return [change for change in found if change is not None]

    async def _deploy_for(
        self, tenant: TenantBundle, folder: Folder, *, is_cautious: bool, again: bool
    ) -> DeploymentChange | None:
        wanted = NewTenant(tenant.id, name=tenant.name, plan=tenant.plan, origin="folder")
        try:
            await self.tenants.ensure(OURSELVES, wanted)
            change = await self.desk.start(
                OURSELVES,
                tenant.id,
                folder.archive,
                folder.bundle,
                is_cautious=is_cautious,
                again=again,
            )
        except ConflictError as error:
            _log.warning("deployment.skipped", tenant=tenant.id, reason=str(error))
            return None
        if change.skipped is not None:
            _log.warning("deployment.skipped", tenant=tenant.id, reason=change.skipped)
        return change

    async def _take_away(self, bundle: Bundle) -> None:
        """End what an earlier state of this folder deployed for tenants that it names no more."""
        for tenant, document in (await self.desk.list()).documents.items():
            current = document.current
            is_ours = current.owner == "folder" and current.name == bundle.name
            if is_ours and current.bundle is not None and tenant not in bundle.tenants:
                try:
                    await self.desk.remove(OURSELVES, tenant)
                except (ConflictError, NotFoundError) as error:
                    _log.warning("deployment.skipped", tenant=tenant, reason=str(error))
