"""Flows kept for the runs that began with them, in the object store.

In: deployments, as they come into force; later a flow's name and version. Out: the deployment that
had it. Kept are flows with effects alone: only their runs are bound to a version. A version is
named after its content, so tenants with the same flows share it; it is stored anew while somebody
has it in force, and goes when nobody has had it for longer than a run may sleep.
"""

import asyncio
import json
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

import structlog

from actors.errors import ActorsError, UnavailableError
from actors.flows.keeping import flows_document, restore_flows
from actors.nodes.resources import ActionForms
from actors.ports import Clock
from actors.tenants.deployment import Deployment
from app.errors import StoreError
from app.providers.provider import Blob, ProviderSpec
from app.stores.blobs import ObjectBlobs, Renewal
from app.system import SystemClock
from grammar import GrammarError

_log = structlog.get_logger("app.versions")

SHARED: Final = "-"
"""In place of a tenant; no token."""

KEPT_BYTES_MAX: Final = 32 * 1024 * 1024
"""Of a version's texts, before they are compressed."""

REMEMBERED_MAX: Final = 256

RENEWED_AFTER_MS: Final = 14 * 86_400_000
"""Versions live for 400 days and runs sleep for 366: the oldest that a run may begin with was found
14 days old, and 14 days and a day ago."""

LOOK_EVERY_SECONDS: Final = 86_400.0

_SYSTEM_CLOCK: Final = SystemClock()

_UNREADABLE: Final = (zlib.error, ValueError, KeyError, TypeError, ActorsError, GrammarError)


class KeptDeployments:
    """`actors.tenants.past.PastDeployments`, and what fills it."""

    def __init__(
        self, blobs: ObjectBlobs, actions: ActionForms, clock: Clock = _SYSTEM_CLOCK
    ) -> None:
        self._blobs = blobs
        self._actions = actions
        self._clock = clock
        self._kept: dict[tuple[str, str], int] = {}
        """When each was last seen to be there, in ms."""
        self._found: OrderedDict[tuple[str, str], Deployment] = OrderedDict()

    async def keep(self, deployment: Deployment) -> None:
        """Keep what runs may be bound to, before any begins. UnavailableError, StoreError."""
        now_ms = self._clock.now_ms()
        since_ms = now_ms - RENEWED_AFTER_MS
        for name in deployment.flows:
            place = _place(deployment, name)
            if self._kept.get(place, -1) > since_ms or not deployment.has_effects(name):
                continue
            blob = Blob(place[1], _encode(deployment, name), "application/zlib")
            await self._blobs.put(place[0], blob, renewal=Renewal(now_ms, since_ms))
            self._kept[place] = now_ms

    async def keep_up(self, in_force: Callable[[], Iterable[Deployment]]) -> None:
        """See for ever that what is in force is kept, however long it stays so."""
        while True:
            await self._clock.sleep(LOOK_EVERY_SECONDS)
            try:
                for deployment in tuple(in_force()):
                    await self.keep(deployment)
            except (UnavailableError, StoreError) as error:
                _log.warning("version.not_renewed", reason=str(error))

    async def find(self, tenant: str, flow: str, version: str) -> Deployment | None:
        """Give a deployment in which the flow has this version; None where none is kept."""
        for owner in (SHARED, tenant):
            found = await self._read(owner, tenant, version)
            if found is not None and flow in found.flows:
                return replace(found, tenant=tenant)
        return None

    async def _read(self, owner: str, tenant: str, version: str) -> Deployment | None:
        key = (owner, version)
        known = self._found.get(key)
        if known is None:
            try:
                data = await self._blobs.get(owner, version)
                if data is None:
                    return None
                known = await asyncio.to_thread(self._decode, tenant, version, data)
            except StoreError as error:
                _log.error("version.unreadable", version=version, reason=str(error))
                return None
            self._found[key] = known
            if len(self._found) > REMEMBERED_MAX:
                self._found.popitem(last=False)
        self._found.move_to_end(key)
        return known

    def _decode(self, tenant: str, version: str, data: bytes) -> Deployment:
        try:
            inflater = zlib.decompressobj()
            text = inflater.decompress(data, KEPT_BYTES_MAX)
            flows = restore_flows(json.loads(text), self._actions)
        except _UNREADABLE as error:
            raise StoreError(f"the kept version {version} cannot be read: {error}") from error
        return Deployment(tenant, version, flows)


def actions_of(specs: Iterable[ProviderSpec]) -> ActionForms:
    """Give what all providers can do, whether or not they are on."""
    return {spec.name: {action.name: action for action in spec.actions} for spec in specs}


def _place(deployment: Deployment, name: str) -> tuple[str, str]:
    """Name a version; one that is a whole revision is its tenant's own."""
    owner = deployment.tenant if deployment.flows[name].calls_any else SHARED
    return owner, deployment.version_of(name)


def _encode(deployment: Deployment, name: str) -> bytes:
    document = flows_document(deployment.closure_of(name))
    text = json.dumps(document, separators=(",", ":")).encode()
    if len(text) > KEPT_BYTES_MAX:
        raise StoreError(f"flow {name!r} with all it uses is larger than may be kept")
    return zlib.compress(text)
