"""Flows kept for the runs that began with them, in the object store.

In: deployments, as they come into force; later a flow's name and version. Out: the deployment that
had it. Kept are flows with effects alone: only their runs are bound to a version. A version is
named after its content, so tenants with the same flows share it; it goes when nobody has deployed
it for longer than a run may sleep.
"""

import asyncio
import json
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import structlog

from actors.errors import ActorsError
from actors.flows.keeping import flows_document, restore_flows
from actors.nodes.resources import ActionForms
from actors.tenants.deployment import Deployment
from app.errors import StoreError
from app.providers.provider import Blob, ProviderSpec
from app.stores.blobs import ObjectBlobs
from grammar import GrammarError

_log = structlog.get_logger("app.versions")

SHARED: Final = "-"
"""In place of a tenant; no token."""

KEPT_BYTES_MAX: Final = 32 * 1024 * 1024
"""Of a version's texts, before they are compressed."""

REMEMBERED_MAX: Final = 256

_UNREADABLE: Final = (zlib.error, ValueError, KeyError, TypeError, ActorsError, GrammarError)


class KeptDeployments:
    """`actors.tenants.past.PastDeployments`, and what fills it."""

    def __init__(self, blobs: ObjectBlobs, actions: ActionForms) -> None:
        self._blobs = blobs
        self._actions = actions
        self._kept: set[tuple[str, str]] = set()
        self._found: OrderedDict[tuple[str, str], Deployment] = OrderedDict()

    async def keep(self, deployment: Deployment) -> None:
        """Keep what runs may be bound to, before any begins. UnavailableError, StoreError."""
        for name in deployment.flows:
            place = _place(deployment, name)
            if place in self._kept or not deployment.has_effects(name):
                continue
            content = _encode(deployment, name)
            await self._blobs.put(place[0], Blob(place[1], content, "application/zlib"))
            self._kept.add(place)

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
