"""Bundles of the deployments in force, read once for all tenants that run them.

In: what a tenant has deployed. Out: a `Bundle` that has this tenant. Refuses what
`app.deployments.reading` refuses (BundleError), and a folder's bundle without the tenant.

A folder's bundle names its tenants itself, maybe a thousand of them: it is read whole. One that was
applied is read for the tenant it was applied to.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from actors.errors import PermanentError
from app.bundle.archive import BundleArchive, open_archive
from app.bundle.flow_cache import FlowCache
from app.bundle.reading import Bundle, read_bundle, referenced_secrets
from app.deployments.document import Revision
from app.deployments.reading import DeploymentReader
from app.deployments.store import DeploymentStore
from app.errors import BundleError, SettingsError
from app.stores.secrets import BUNDLE_SCOPE, KvSecrets
from app.tenancy.record import TenantRecord

ARCHIVES_MAX: Final = 4
"""Kept as they are stored: several tenants often take up the same one."""
WHOLE_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class ShelfParts:
    """What reading takes."""

    env: str
    store: DeploymentStore
    secrets: KvSecrets
    environment: Mapping[str, str] | None = field(default=None, repr=False)
    """Of the operator, for what a folder owns."""
    stand_ins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)


class BundleShelf:
    """Reads the bundles of one env for one process."""

    def __init__(self, parts: ShelfParts) -> None:
        self._parts = parts
        self._flows = FlowCache()
        self._reader = DeploymentReader(
            parts.env, parts.secrets, parts.environment, parts.stand_ins, self._flows
        )
        self._archives: OrderedDict[str, BundleArchive] = OrderedDict()
        self._references: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._whole: OrderedDict[tuple[str, tuple[tuple[str, int], ...]], Bundle] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()

    async def read(self, record: TenantRecord, revision: Revision) -> Bundle:
        """Read what a tenant has deployed. BundleError, SettingsError, NotFoundError, StoreError.

        UnavailableError: try again.
        """
        archive = await self._archive(revision.bundle or "")
        if revision.owner == "apply":
            return await self._reader.read(archive, record, "apply")
        bundle = await self.read_whole(archive)
        if record.id not in bundle.tenants:
            raise BundleError(f"the bundle {bundle.name} has no tenant {record.id}")
        return bundle

    async def read_whole(self, archive: BundleArchive) -> Bundle:
        """Read a folder's bundle with all its tenants."""
        async with self._one_at_a_time:
            self._remember(archive)
            names = await self._referenced(archive)
            try:
                secrets = await self._parts.secrets.find_all(BUNDLE_SCOPE, names)
            except PermanentError as error:
                raise SettingsError([str(error)]) from None
            key = (archive.digest, tuple(sorted((n, s.revision) for n, s in secrets.items())))
            found = self._whole.get(key)
            if found is None:
                files = await asyncio.to_thread(open_archive, archive.content)
                found = await asyncio.to_thread(
                    read_bundle,
                    files,
                    environment=self._parts.environment,
                    secrets=secrets,
                    stand_ins=self._parts.stand_ins,
                    flows=self._flows,
                )
                self._whole[key] = found
                if len(self._whole) > WHOLE_MAX:
                    self._whole.popitem(last=False)
            return found

    async def _referenced(self, archive: BundleArchive) -> frozenset[str]:
        """Name the secrets that an archive refers to; it is opened once for all its tenants."""
        found = self._references.get(archive.digest)
        if found is None:
            files = await asyncio.to_thread(open_archive, archive.content)
            found = await asyncio.to_thread(referenced_secrets, files)
            self._references[archive.digest] = found
            if len(self._references) > ARCHIVES_MAX:
                self._references.popitem(last=False)
        return found

    async def _archive(self, digest: str) -> BundleArchive:
        found = self._archives.get(digest)
        if found is None:
            found = await self._parts.store.read_archive(digest)
            self._remember(found)
        return found

    def _remember(self, archive: BundleArchive) -> None:
        self._archives[archive.digest] = archive
        self._archives.move_to_end(archive.digest)
        if len(self._archives) > ARCHIVES_MAX:
            self._archives.popitem(last=False)
