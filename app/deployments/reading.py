"""A deployment's archive, read: in the same way by whoever puts it in force and by every worker.

In: an archive, the tenant's record, who owns the deployment. Out: a `Bundle` of exactly that
tenant. Refuses (BundleError) a bundle that cannot be used; one that is applied also for any of its
flows that is wrong, since nobody would look at a log for it.

Providers' secrets come from the tenant's own scope; those of a deployment that a folder owns from
the bundle's scope, and ``$NAME`` in its answers from the operator's environment.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from actors.errors import PermanentError
from app.bundle.answers import SECRET_MISSING
from app.bundle.archive import BundleArchive, open_archive
from app.bundle.files import BundleFiles, MemoryFiles
from app.bundle.flow_cache import FlowCache
from app.bundle.models import TenantEntry
from app.bundle.models import TenantSettings as EntrySettings
from app.bundle.problems import bundle_error, errors_of
from app.bundle.reading import Bundle, Inspection, inspect_bundle, referenced_secrets
from app.deployments.difference import Side
from app.deployments.document import Owner
from app.errors import BundleError
from app.stores.secrets import BUNDLE_SCOPE, KvSecrets, StoredSecret
from app.tenancy.record import TenantRecord


@dataclass(frozen=True, slots=True)
class DeploymentReader:
    """Reads the archives of one env."""

    env: str
    secrets: KvSecrets
    environment: Mapping[str, str] | None = field(default=None, repr=False)
    """Of the operator, for what a folder owns."""
    stand_ins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """Likewise: options for what the answers leave out, accounts of emulators."""
    flows: FlowCache = field(default_factory=FlowCache, repr=False)

    async def read(
        self,
        archive: BundleArchive,
        record: TenantRecord,
        owner: Owner,
        given: Mapping[str, str] | None = None,
    ) -> Bundle:
        """Read an archive for a tenant, off the event loop. BundleError, with every problem.

        ``given``: secrets that are about to be stored, over those that are.
        """
        _, found = await self._inspect(archive, record, owner, given)
        if found.bundle is None or (owner == "apply" and errors_of(found.problems)):
            raise bundle_error(found.problems)
        return found.bundle

    async def look(
        self,
        archive: BundleArchive,
        record: TenantRecord,
        owner: Owner,
        given: Mapping[str, str] | None = None,
    ) -> Side:
        """Give what an archive comes to for a tenant, as far as it can be read."""
        files, found = await self._inspect(archive, record, owner, given)
        return await asyncio.to_thread(Side.of, files, record.id, found.tenants.get(record.id))

    async def _inspect(
        self,
        archive: BundleArchive,
        record: TenantRecord,
        owner: Owner,
        given: Mapping[str, str] | None,
    ) -> tuple[MemoryFiles, Inspection]:
        files = await asyncio.to_thread(open_archive, archive.content, archive.digest)
        secrets = await self._secrets(files, record.id, owner, given or {})
        found = await asyncio.to_thread(self._read, files, record, owner, secrets)
        hint = self._hint(files, record.id, secrets) if owner == "apply" else None
        return files, found if hint is None else _with_hint(found, hint)

    async def _secrets(
        self, files: BundleFiles, tenant: str, owner: Owner, given: Mapping[str, str]
    ) -> Mapping[str, StoredSecret]:
        names = await asyncio.to_thread(referenced_secrets, files, tenant)
        scope = BUNDLE_SCOPE if owner == "folder" else tenant
        try:
            stored = await self.secrets.find_all(scope, names - given.keys())
        except PermanentError as error:
            raise BundleError(str(error)) from None
        return {
            **stored,
            **{name: StoredSecret(given[name], 0) for name in names if name in given},
        }

    def _read(
        self,
        files: BundleFiles,
        record: TenantRecord,
        owner: Owner,
        secrets: Mapping[str, StoredSecret],
    ) -> Inspection:
        is_folder = owner == "folder"
        return inspect_bundle(
            files,
            environment=self.environment if is_folder else None,
            secrets=secrets,
            stand_ins=self.stand_ins if is_folder else None,
            tenant=record.id,
            entry=entry_of(record),
            flows=self.flows,
        )

    def _hint(
        self, files: BundleFiles, tenant: str, secrets: Mapping[str, StoredSecret]
    ) -> str | None:
        """Say how to store what is missing: the answers do not say for whom."""
        missing = sorted(referenced_secrets(files, tenant) - secrets.keys())
        if not missing:
            return None
        return "; ".join(
            f"greentic-events secret set {tenant} {name} --env {self.env}" for name in missing
        )


def entry_of(record: TenantRecord) -> TenantEntry:
    """Say of a tenant what a manifest would."""
    zone, language = record.settings.timezone, record.settings.language
    return TenantEntry(
        name=record.name, plan=record.plan, settings=EntrySettings(timezone=zone, language=language)
    )


def _with_hint(found: Inspection, hint: str) -> Inspection:
    problems = [
        replace(problem, hint=hint) if problem.code == SECRET_MISSING else problem
        for problem in found.problems
    ]
    return replace(found, problems=tuple(problems))
