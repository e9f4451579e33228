"""The API of flows, below ``/api/v1/tenants/{tenant}/flows``.

    GET …          the flows in force, by name; after, limit
    GET …/{flow}   one of them: triggers, flow control, the graph, the doctor's findings

In: ``tenant-read``. Out: JSON. Refuses tenants and flows that are not in force in the process that
answers (404). Flows are changed by deployments, not here.
"""

from typing import Annotated, Any, Final

from fastapi import Query
from pydantic import Field

from app.control.flow_desk import FlowDesk
from app.http.api_access import ApiAccess
from app.http.api_models import PageQuery, PageView, ViewModel
from app.http.api_route import Operation, Resource, Tenant
from app.identity.scopes import TENANT_READ

ROOT: Final = "/tenants/{tenant}/flows"
ONE: Final = ROOT + "/{flow:path}"


class FlowView(ViewModel):
    """A flow in force."""

    name: str
    version: str
    """As its file says."""
    flow_version: str
    """Of its content, and of all it calls: the same one runs the same."""
    description: str | None
    nodes: int
    trigger_types: list[str]
    lane: str | None
    """Where its runs wait, of a flow with flow control."""
    can_answer: bool
    """A waiting webhook may be answered by it."""


class ScheduleView(ViewModel):
    """When a timer trigger fires."""

    cron: str
    timezone: str
    misfire: str
    catch_up_seconds: float
    overlap: str
    jitter_ms: int


class TriggerView(ViewModel):
    """What starts a flow."""

    number: int
    type: str
    event_type: str | None
    """A pattern; of a timer, its own type."""
    target: str
    has_filter: bool
    since_sequence: int | None
    """It takes events that were stored after this place of the tenant's stream."""
    schedule: ScheduleView | None


class GraphNodeView(ViewModel):
    """A box of the graph: a trigger, a node, an end."""

    id: str
    kind: str
    """``trigger``, ``node``, ``end`` or ``missing``."""
    label: str


class GraphEdgeView(ViewModel):
    """An arrow of the graph."""

    source: Annotated[str, Field(alias="from")]
    target: Annotated[str, Field(alias="to")]
    kind: str
    """``trigger``, ``next``, ``condition``, ``default`` or ``on_error``."""
    label: str | None


class GraphView(ViewModel):
    """How a flow's nodes hang together."""

    name: str
    nodes: list[GraphNodeView]
    edges: list[GraphEdgeView]


class FindingView(ViewModel):
    """What the doctor says."""

    severity: str
    code: str
    path: list[str | int]
    """Where in the flow's document."""
    message: str
    hint: str | None


class FlowWhole(FlowView):
    """A flow with all that is shown of it."""

    triggers: list[TriggerView]
    control: dict[str, Any]
    """What its ``config`` says of flow control and retries."""
    timeout_ms: int
    calls: list[str]
    calls_any: bool
    graph: GraphView | None
    findings: list[FindingView]
    """Warnings: a flow with errors is not in force."""


class FlowPage(PageView):
    """Flows by name."""

    flows: list[FlowView]


class FlowApi:
    """The handlers; `resource` gives what the API needs."""

    def __init__(self, desk: FlowDesk, access: ApiAccess) -> None:
        self._desk = desk
        self._access = access

    def resource(self) -> Resource:
        """Give the operations."""
        flows = Resource("flows", self._access)
        flows.add("GET", ROOT, self.list, Operation(TENANT_READ))
        flows.add("GET", ONE, self.show, Operation(TENANT_READ))
        return flows

    async def list(self, tenant: Tenant, asked: Annotated[PageQuery, Query()]) -> FlowPage:
        """Give a page of the flows in force."""
        further = [flow for flow in self._desk.flows(tenant) if flow["name"] > asked.after]
        page = further[: asked.limit]
        return FlowPage(
            flows=[FlowView(**flow) for flow in page],
            next_after=page[-1]["name"] if len(further) > len(page) else None,
        )

    async def show(self, tenant: Tenant, flow: str) -> FlowWhole:
        """Give one flow: what starts it, how its nodes hang together, what is odd about it."""
        return FlowWhole(**await self._desk.show(tenant, flow))
