"""A bundle handed over for a tenant: prepared, its secrets stored, then put in force.

In: a bundle's files, a tenant. Out: a change, and the names of the secrets that were stored for it.
Refuses (BundleError) what `app.bundle.preparing` and the desk refuse; then no secret is stored.

Whoever hands a folder over gives the environment that ``$NAME`` in its answers is expanded from. A
server has none to give, and refuses it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from actors.errors import PermanentError
from app.audit.entry import Who
from app.bundle.archive import BundleArchive, pack_bundle
from app.bundle.files import BundleFiles
from app.bundle.preparing import prepare_answers
from app.control.secret_desk import SecretDesk
from app.deployments.changes import DeploymentChange
from app.deployments.desk import DeploymentDesk
from app.errors import BundleError


@dataclass(frozen=True, slots=True)
class Handover:
    """What one tenant is to get."""

    tenant: str
    archive: BundleArchive
    """Without any secret."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What its answers refer to and is to be stored for the tenant, by name."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What became of it."""

    change: DeploymentChange
    stored: tuple[str, ...] = ()
    """Names of the secrets that were stored: those that were not so already."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Takes bundles for the tenants of an env."""

    desk: DeploymentDesk
    secrets: SecretDesk

    async def receive(
        self, who: Who, handover: Handover, *, again: bool = False, revision: int | None = None
    ) -> HandedOver:
        """Put a bundle in force; see `DeploymentDesk.apply`. All is checked before a secret is set.

        Where one was stored, there is a new deployment of the same content too: the secret is in
        force only once the options are read anew.
        """
        tenant = handover.tenant
        await self.desk.check(tenant, handover.archive, handover.secrets, revision=revision)
        stored = await self._store(who, handover)
        change = await self.desk.apply(
            who, tenant, handover.archive, again=again or bool(stored), revision=revision
        )
        return HandedOver(change, stored)

    async def _store(self, who: Who, handover: Handover) -> tuple[str, ...]:
        tenant, secrets = handover.tenant, handover.secrets
        known = await self.secrets.store.find_all(tenant, secrets)
        names = [
            name
            for name, value in sorted(secrets.items())
            if name not in known or known[name].value != value
        ]
        try:
            for name in names:
                await self.secrets.set(who, tenant, name, secrets[name])
        except PermanentError as error:
            raise BundleError(str(error)) from None
        return tuple(names)


def prepare_handover(
    source: Path | BundleFiles, environment: Mapping[str, str] | None, tenant: str
) -> Handover:
    """Prepare a bundle for a tenant. BundleError; reads and packs, so keep it off the loop."""
    prepared = prepare_answers(source, environment, tenant)
    return Handover(tenant, pack_bundle(prepared.files), prepared.secrets)
