"""Where deployments are kept: a document for each tenant, and the archives that they name.

In: documents with the revisions that they replace; archives. Out: the same, archives checked
against their names. Refuses (ConflictError) a document over what somebody else has written
meanwhile; StoreError for what is damaged, UnavailableError when nobody answers.

An archive that no document names, in force or in its history, is of no use: `collect` deletes it
once nobody has stored it for an hour. It lists the archives first and reads the documents then; an
archive that is stored again in between has another note of its time, and its deletion is refused.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from actors.ports import Clock
from actors.subjects import check_token
from app.bundle.archive import BundleArchive, open_archive
from app.deployments.document import DeploymentDocument, build_document, parse_document
from app.errors import BundleError, ConflictError, NotFoundError, StoreError
from app.stores.archives import ArchiveObjects, StoredArchive
from app.stores.kv import KvBucket

SUFFIX: Final = ".deployment"
GRACE_MS: Final = 3600 * 1000
"""How long an archive that nobody names stays: its document may be about to be written."""


@dataclass(frozen=True, slots=True)
class AllDeployments:
    """Every tenant's document, and the tenants whose documents cannot be read."""

    documents: Mapping[str, DeploymentDocument] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()


class DeploymentStore:
    """The deployments of one env."""

    def __init__(self, bucket: KvBucket, archives: ArchiveObjects, clock: Clock) -> None:
        self._bucket = bucket
        self._archives = archives
        self._clock = clock

    async def read(self, tenant: str) -> tuple[DeploymentDocument | None, int]:
        """Give a tenant's document, None where there is none, and the revision of its key."""
        entry = await self._bucket.get_surely(key_of(tenant))
        document = None if entry.value is None else parse_document(entry.value)
        return document, entry.revision

    async def write(self, tenant: str, document: DeploymentDocument, revision: int) -> int:
        """Write over the document of this revision and give the new one.

        ConflictError: it is not that any more. A write that was taken without anybody saying so is
        found again: it is no conflict with itself.
        """
        data = build_document(document)
        try:
            return await self._bucket.put(key_of(tenant), data, revision=revision)
        except ConflictError:
            entry = await self._bucket.get_surely(key_of(tenant))
            if entry.value != data:
                raise
            return entry.revision

    async def forget(self, tenant: str, revision: int) -> None:
        """Forget a tenant's document of this revision; another one stays."""
        with suppress(ConflictError):
            await self._bucket.delete(key_of(tenant), revision=revision)

    async def all(self) -> AllDeployments:
        """Read every tenant's document."""
        documents: dict[str, DeploymentDocument] = {}
        unreadable: list[str] = []
        for key, entry in (await self._bucket.entries()).items():
            tenant = tenant_of(key)
            if tenant is None or entry.value is None:
                continue
            try:
                documents[tenant] = parse_document(entry.value)
            except StoreError:
                unreadable.append(tenant)
        return AllDeployments(documents, tuple(unreadable))

    async def put_archive(self, archive: BundleArchive) -> None:
        """Store an archive, once for each content."""
        await self._archives.put(archive.digest, archive.content, self._clock.now_ms())

    async def read_archive(self, digest: str) -> BundleArchive:
        """Read an archive. NotFoundError; StoreError: what is there is another's content."""
        content = await self._archives.get(digest)
        if content is None:
            raise NotFoundError(f"the bundle {digest[:12]} is not stored any more")
        try:
            await asyncio.to_thread(open_archive, content, digest)
        except BundleError as error:
            raise StoreError(f"the stored bundle {digest[:12]} is damaged: {error}") from error
        return BundleArchive(content, digest)

    async def unreferenced(self) -> Sequence[str]:
        """Name the archives that are of no use any more and have been so for an hour."""
        return [archive.digest for archive in await self._unreferenced()]

    async def collect(self) -> int:
        """Delete them and say how many. StoreError: some document cannot be read.

        What was left of archives whose storing was cut short goes too.
        """
        await self._archives.sweep(self._clock.now_ms() - GRACE_MS)
        deleted = 0
        for archive in await self._unreferenced():
            deleted += await self._archives.delete(archive)
        return deleted

    async def _unreferenced(self) -> Sequence[StoredArchive]:
        since_ms = self._clock.now_ms() - GRACE_MS
        old = [one async for one in self._archives.all() if one.stored_ms < since_ms]
        if not old:
            return ()
        found = await self.all()
        if found.unreadable:
            # What it names is not known, so nothing is known to be of no use.
            raise StoreError(f"the deployment of {found.unreadable[0]} cannot be read")
        named = frozenset[str]().union(*(each.digests for each in found.documents.values()))
        return [one for one in old if one.digest not in named]


def key_of(tenant: str) -> str:
    """Give the bucket's key of a tenant's document."""
    return f"{check_token(tenant, 'tenant')}{SUFFIX}"


def tenant_of(key: str) -> str | None:
    """Give the tenant whose document is under a key; None for a key of another kind."""
    tenant = key.removesuffix(SUFFIX)
    return tenant if key.endswith(SUFFIX) and "." not in tenant else None
