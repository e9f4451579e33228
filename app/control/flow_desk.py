"""A tenant's flows in force, to be looked at: triggers, flow control, the picture, the doctor.

In: whoever knows what is deployed, a tenant, a flow. Out: documents. Refuses a tenant that has
nothing in force here (TenantNotFoundError) and flows that it does not have (NotFoundError).

What a flow says in its nodes is not shown, only how they hang together: texts in there may be
anything.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, Protocol

from actors.diagnostics import Diagnostic
from actors.flows.compiled import CompiledFlow, CompiledTrigger
from actors.flows.doctor import examine
from actors.tenants.deployment import Deployment, trigger_key
from actors.tenants.timer import Timer, timers_of
from app.bundle.graphs import build_graph
from app.errors import NotFoundError, TenantNotFoundError

EXAMINED_MAX: Final = 256
"""Flows whose findings are remembered: they are the same as long as the deployment is."""
EXAMINING_AT_ONCE: Final = 2

CONTROL_KEYS: Final = (
    "concurrency",
    "throttle",
    "rate_limit",
    "debounce",
    "batch",
    "singleton",
    "ordered",
    "isolated",
    "retry_policy",
)
"""What of a flow's `config` is shown: how its runs are let through and tried again."""


class DeployedFlows(Protocol):
    """Knows what is in force."""

    def find(self, tenant: str) -> Deployment | None:
        """Give a tenant's deployment; None for a tenant that has none here."""
        ...


class FlowDesk:
    """The flows in force in this process."""

    def __init__(self, deployed: DeployedFlows) -> None:
        self._deployed = deployed
        self._examined: OrderedDict[tuple[str, str, str], list[Diagnostic]] = OrderedDict()
        self._examining = asyncio.Semaphore(EXAMINING_AT_ONCE)

    def flows(self, tenant: str) -> Sequence[dict[str, Any]]:
        """Describe all flows of a tenant in short, by name."""
        deployment = self._deployment(tenant)
        return [_summary(deployment, deployment.flows[name]) for name in sorted(deployment.flows)]

    async def show(self, tenant: str, name: str) -> dict[str, Any]:
        """Describe one flow, with its picture and what the doctor says of it."""
        deployment = self._deployment(tenant)
        flow = deployment.flows.get(name)
        if flow is None:
            raise NotFoundError(f"tenant {tenant} has no flow {name[:128]!r} in force")
        source = None if flow.source is None else flow.source.document
        graph = build_graph(source)
        return {
            **_summary(deployment, flow),
            "triggers": [_trigger(deployment, flow, each) for each in flow.triggers],
            "control": _control(source),
            "timeout_ms": int(flow.timeout_seconds * 1000),
            "calls": sorted(flow.calls),
            "calls_any": flow.calls_any,
            "graph": None if graph is None else graph.as_document(),
            "findings": [_finding(each) for each in await self._findings(deployment, flow)],
        }

    def timers(self, tenant: str) -> dict[str, Timer]:
        """Give a tenant's timers by their names, ``flow#n``; none where its timers are off."""
        deployment = self._deployment(tenant)
        if not deployment.has_timers:
            return {}
        timers = timers_of(tenant, deployment.flows.values())
        return {f"{each.flow}#{each.event_type.rpartition('.')[2]}": each for each in timers}

    async def _findings(self, deployment: Deployment, flow: CompiledFlow) -> list[Diagnostic]:
        """Examine a flow beside the loop, once for each deployment."""
        key = (deployment.tenant, deployment.revision, flow.name)
        known = self._examined.get(key)
        if known is not None:
            self._examined.move_to_end(key)
            return known
        if flow.source is None:
            return []
        others = {name: each.calls for name, each in deployment.flows.items()}
        document, resources = flow.source.document, flow.source.resources
        async with self._examining:
            found = await asyncio.to_thread(examine, document, resources, known_flows=others)
        self._examined[key] = found
        if len(self._examined) > EXAMINED_MAX:
            self._examined.popitem(last=False)
        return found

    def _deployment(self, tenant: str) -> Deployment:
        deployment = self._deployed.find(tenant)
        if deployment is None:
            raise TenantNotFoundError(f"tenant {tenant} has nothing in force here")
        return deployment


def _summary(deployment: Deployment, flow: CompiledFlow) -> dict[str, Any]:
    description = flow.source.document.get("description") if flow.source is not None else None
    return {
        "name": flow.name,
        "version": flow.version,
        "flow_version": deployment.version_of(flow.name),
        "description": description if isinstance(description, str) else None,
        "nodes": len(flow.nodes),
        "trigger_types": [trigger.type for trigger in flow.triggers],
        "lane": flow.lane,
        "can_answer": flow.can_answer,
    }


def _trigger(
    deployment: Deployment, flow: CompiledFlow, trigger: CompiledTrigger
) -> dict[str, Any]:
    schedule = trigger.schedule
    return {
        "number": trigger.number,
        "type": trigger.type,
        "event_type": trigger.pattern,
        "target": trigger.target,
        "has_filter": trigger.filter is not None,
        "since_sequence": deployment.activated.get(trigger_key(flow, trigger)),
        "schedule": None if schedule is None else asdict(schedule),
    }


def _control(document: Any) -> Mapping[str, Any]:
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        return {}
    return {key: config[key] for key in CONTROL_KEYS if key in config}


def _finding(found: Diagnostic) -> dict[str, Any]:
    return {
        "severity": found.severity,
        "code": found.code,
        "path": list(found.path),
        "message": found.message,
        "hint": found.hint,
    }
