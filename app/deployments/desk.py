"""Putting bundles in force for tenants, going back, taking over from another env, taking away.

In: who acts, a tenant, an archive. Out: the tenant's new document and its revision; then what the
workers say of it. Refuses (BundleError) a bundle with any mistake before anything is stored, a
tenant that is not there (NotFoundError), is suspended or was deleted (ConflictError), and a change
that somebody else was faster with (ConflictError, which names them).

The order: the document is read, then the bundle, so that whatever changes meanwhile is noticed; the
archive is stored, the audit entry written, and last the document, which alone decides.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from actors.tenants.deployment import Deployment
from app.audit.entry import OURSELVES, Who
from app.bundle.answers_file import ANSWERS_NAMES
from app.bundle.archive import BundleArchive
from app.bundle.problems import Problem, bundle_error
from app.bundle.reading import Bundle
from app.control.activations import Activation, next_activations
from app.deployments import orders
from app.deployments.changes import DeploymentChange, WorkersReport
from app.deployments.difference import NOTHING, Difference, Side, differences
from app.deployments.document import DeploymentDocument, Kind, Owner, Revision, next_document
from app.deployments.orders import Order
from app.deployments.parts import DeskParts
from app.deployments.secrecy import refuse_plain_secrets
from app.deployments.store import AllDeployments
from app.errors import ConflictError, NotFoundError, SettingsError
from app.tenancy.record import TenantRecord
from app.tenancy.store import taken

OPTION: Final = "bundle.option"
"""The code of options that a provider cannot be built of."""
WAIT_SECONDS: Final = 30.0
"""How long workers have to take a revision up, unless another time is given."""


class DeploymentDesk:
    """The deployments of one env, for those who change them."""

    def __init__(self, parts: DeskParts) -> None:
        self._parts = parts
        self.env = parts.env

    # ── Changing ────────────────────────────────────────────────────────────────────────────────

    async def apply(
        self,
        who: Who,
        tenant: str,
        archive: BundleArchive,
        *,
        again: bool = False,
        revision: int | None = None,
    ) -> DeploymentChange:
        """Put a bundle in force. What is in force already is left, unless ``again``.

        ``again`` makes workers read the tenant's secrets anew. ``revision``: only if the tenant's
        document still is of this one.
        """
        order, record = await self._begin(who, tenant, "apply", revision)
        return await self._take_in(order, record, archive, again=again)

    async def start(
        self,
        who: Who,
        tenant: str,
        archive: BundleArchive,
        bundle: Bundle,
        *,
        is_cautious: bool = False,
        again: bool = False,
    ) -> DeploymentChange:
        """Put a folder's bundle in force as far as it could be read; `start` looks after it.

        It leaves a tenant that an apply owns, and with ``is_cautious`` also one whose deployment
        knows this archive as a former one or was removed: a process that begins again must not undo
        what was decided while it was away. ``bundle``: the folder's, with this tenant.
        """
        stored = await self._parts.tenants.find(tenant)
        before, revision = await self._parts.store.read(tenant)
        order = Order(who, tenant, before, revision, "start", "folder", archive, bundle)
        if stored.record.is_deleted:
            return orders.skipped(order, "deleted")
        reason = orders.skip_reason(before, archive.digest, is_cautious=is_cautious)
        if reason is not None:
            return orders.skipped(order, reason)
        if not again and orders.is_in_force(before, archive.digest, "folder"):
            return orders.unchanged(order)
        return await self._put_in_force(order)

    async def rollback(
        self, who: Who, tenant: str, number: int | None = None, *, revision: int | None = None
    ) -> DeploymentChange:
        """Put a former revision in force again, as a new one.

        Without a number the newest that has another content than what is in force. NotFoundError:
        it is not remembered.
        """
        order, record = await self._begin(who, tenant, "rollback", revision)
        digest, target = orders.target_of(order, number)
        archive = await self._parts.store.read_archive(digest)
        bundle = await self._read(archive, record, target.owner)
        notes = {"to": target.number}
        return await self._put_in_force(
            replace(order, owner=target.owner, archive=archive, bundle=bundle, notes=notes)
        )

    async def promote(
        self, who: Who, tenant: str, target: "DeploymentDesk", *, again: bool = False
    ) -> DeploymentChange:
        """Put what is in force here in force in another env, for the tenant of the same name.

        The other env's own secrets are used; BundleError names those that are missing there.
        """
        if target.env == self.env:
            raise ConflictError(f"env {self.env!r} cannot be promoted to itself")
        document, _ = await self.show(tenant)
        current = document.current
        if current.bundle is None:
            raise NotFoundError(f"tenant {tenant!r} has nothing deployed in env {self.env!r}")
        archive = await self._parts.store.read_archive(current.bundle)
        notes = {"from_env": self.env, "from_number": current.number}
        return await target.take_over(who, tenant, archive, notes, again=again)

    async def take_over(
        self,
        who: Who,
        tenant: str,
        archive: BundleArchive,
        notes: Mapping[str, Any],
        *,
        again: bool = False,
    ) -> DeploymentChange:
        """Put in force what another env's desk promotes; ``notes`` say whence.

        The audit log has them.
        """
        order, record = await self._begin(who, tenant, "promote", None)
        return await self._take_in(replace(order, notes=notes), record, archive, again=again)

    async def remove(
        self, who: Who, tenant: str, *, revision: int | None = None
    ) -> DeploymentChange:
        """Take a tenant's flows out of force; its history stays. NotFoundError: there are none."""
        before, at = await self._parts.store.read(tenant)
        if before is None or before.current.bundle is None:
            raise NotFoundError(f"tenant {tenant!r} has nothing deployed in env {self.env!r}")
        order = Order(who, tenant, before, at, "remove", before.current.owner)
        _check_revision(order, revision)
        return await self._put_in_force(order)

    # ── Looking ─────────────────────────────────────────────────────────────────────────────────

    async def find(self, tenant: str) -> tuple[DeploymentDocument | None, int]:
        """Give a tenant's document, None where there is none, and the revision of its place."""
        return await self._parts.store.read(tenant)

    async def show(self, tenant: str) -> tuple[DeploymentDocument, int]:
        """Give a tenant's document and its revision. NotFoundError."""
        document, revision = await self._parts.store.read(tenant)
        if document is None:
            raise NotFoundError(f"tenant {tenant!r} has no deployment in env {self.env!r}")
        return document, revision

    async def list(self) -> AllDeployments:
        """Give every tenant's document."""
        return await self._parts.store.all()

    async def read_archive(self, digest: str) -> BundleArchive:
        """Give an archive. NotFoundError, StoreError."""
        return await self._parts.store.read_archive(digest)

    async def check(
        self,
        tenant: str,
        archive: BundleArchive,
        given: Mapping[str, str] | None = None,
        *,
        revision: int | None = None,
    ) -> Bundle:
        """Refuse what `apply` would refuse, and change nothing.

        ``given``: secrets that are about to be stored.
        """
        order, record = await self._begin(OURSELVES, tenant, "apply", revision)
        return await self._read(archive, record, order.owner, given)

    async def diff(
        self, tenant: str, archive: BundleArchive, given: Mapping[str, str] | None = None
    ) -> Difference:
        """Say what would change for a tenant, by names. Refuses what `apply` would refuse."""
        record = await self._active(tenant)
        await self._read(archive, record, "apply", given)
        before, _ = await self._parts.store.read(tenant)
        after = await self._parts.reader.look(archive, record, "apply", given)
        return differences(await self._side(before, record), after)

    async def wait(self, change: DeploymentChange, seconds: float = WAIT_SECONDS) -> WorkersReport:
        """Wait until the workers run a change, and say who does; of other tenants it says nothing.

        A change that was none is asked about too: maybe nobody has taken it up yet.
        """
        return await self.wait_all([change], seconds)

    async def wait_all(
        self, changes: Sequence[DeploymentChange], seconds: float = WAIT_SECONDS
    ) -> WorkersReport:
        """Wait for several changes at once."""
        workers = self._parts.workers
        if workers is None or not changes:
            return WorkersReport()
        revision = max(change.revision for change in changes)
        tenants = {change.tenant for change in changes}
        said = await workers.wait_acknowledged(revision, seconds)
        failed = {
            worker: {tenant: why for tenant, why in reasons.items() if tenant in tenants}
            for worker, reasons in said.failed.items()
        }
        failed = {worker: reasons for worker, reasons in failed.items() if reasons}
        well = [worker for worker in said.acknowledged if worker not in failed]
        return WorkersReport(tuple(sorted(well)), failed, tuple(said.missing), said.seconds)

    # ── Behind it ───────────────────────────────────────────────────────────────────────────────

    async def _begin(
        self, who: Who, tenant: str, kind: Kind, revision: int | None
    ) -> tuple[Order, TenantRecord]:
        """Begin a change: look who the tenant is and what it has."""
        record = await self._active(tenant)
        before, at = await self._parts.store.read(tenant)
        order = Order(who, tenant, before, at, kind, "apply")
        _check_revision(order, revision)
        return order, record

    async def _take_in(
        self, order: Order, record: TenantRecord, archive: BundleArchive, *, again: bool
    ) -> DeploymentChange:
        bundle = await self._read(archive, record, order.owner)
        if not again and orders.is_in_force(order.before, archive.digest, order.owner):
            return orders.unchanged(order)
        return await self._put_in_force(replace(order, archive=archive, bundle=bundle))

    async def _side(self, document: DeploymentDocument | None, record: TenantRecord) -> Side:
        if document is None or document.current.bundle is None:
            return NOTHING
        archive = await self._parts.store.read_archive(document.current.bundle)
        return await self._parts.reader.look(archive, record, document.current.owner)

    async def _read(
        self,
        archive: BundleArchive,
        record: TenantRecord,
        owner: Owner,
        given: Mapping[str, str] | None = None,
    ) -> Bundle:
        bundle = await self._parts.reader.read(archive, record, owner, given)
        try:
            self._parts.check(bundle)
        except SettingsError as error:
            problems = [Problem("error", OPTION, text, ANSWERS_NAMES[0]) for text in error.problems]
            raise bundle_error(problems) from None
        if owner == "apply":
            await asyncio.to_thread(refuse_plain_secrets, archive, record.id)
        return bundle

    async def _active(self, tenant: str) -> TenantRecord:
        stored = await self._parts.tenants.get(tenant)
        if stored is None:
            way_out = f"'greentic-events tenant add {tenant}' makes it"
            raise NotFoundError(f"there is no tenant {tenant!r} in env {self.env!r}; {way_out}")
        record = stored.record
        if record.is_deleted:
            raise taken(record)
        if not record.is_active:
            way_out = f"'greentic-events tenant resume {tenant}' lets it go on"
            raise ConflictError(f"tenant {tenant!r} is suspended; {way_out}")
        return record

    async def _put_in_force(self, order: Order) -> DeploymentChange:
        store, before = self._parts.store, order.before
        if order.archive is not None:
            await store.put_archive(order.archive)
        activated = await self._activations(order)
        document = next_document(before, self._revision(order), activated)
        async with self._parts.audit.change(order.who, orders.audit_change(order, document)):
            try:
                revision = await store.write(order.tenant, document, order.revision)
            except ConflictError:
                raise orders.too_late(order.tenant, (await store.read(order.tenant))[0]) from None
            if order.bundle is not None:
                await self._refuse_deleted(order.tenant, revision)
        return DeploymentChange(order.tenant, "changed", document, revision, before)

    async def _refuse_deleted(self, tenant: str, revision: int) -> None:
        """Take back what was written for a tenant that was deleted in between.

        A deletion writes its tombstone first and erases then: whoever looks for the tombstone after
        having written leaves nothing behind.
        """
        stored = await self._parts.tenants.get(tenant)
        if stored is not None and stored.record.is_deleted:
            await self._parts.store.forget(tenant, revision)
            raise taken(stored.record)

    async def _activations(self, order: Order) -> Mapping[str, Activation]:
        if order.bundle is None:
            return {}
        flows = order.bundle.tenants[order.tenant].flows
        patterns = Deployment(order.tenant, order.bundle.revision, flows).patterns()
        known = {} if order.before is None else order.before.activated
        return next_activations(
            known, patterns, await self._parts.events.last_sequence(order.tenant)
        )

    def _revision(self, order: Order) -> Revision:
        bundle, archive = order.bundle, order.archive
        return Revision(
            bundle=None if archive is None else archive.digest,
            name="" if bundle is None else bundle.name,
            version="" if bundle is None else bundle.version,
            owner=order.owner,
            flows=0 if bundle is None else len(bundle.tenants[order.tenant].flows),
            kind=order.kind,
            at_ms=self._parts.clock.now_ms(),
            actor=order.who.actor,
        )


def _check_revision(order: Order, revision: int | None) -> None:
    if revision is not None and revision != order.revision:
        raise orders.too_late(order.tenant, order.before)
