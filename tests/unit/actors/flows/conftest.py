"""A small flow that is right, and ways to spoil it."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from actors.diagnostics import Diagnostic
from actors.flows.doctor import examine
from actors.flows.references import KnownFlows
from actors.nodes.resources import FlowResources

Document = dict[str, Any]


@pytest.fixture
def flow() -> Callable[..., Document]:
    """Build a flow document of these nodes; a trigger leads to the first one."""

    def build(*nodes: Mapping[str, Any], **top: Any) -> Document:
        listed = list(nodes) or [{"id": "note", "type": "log", "config": {"message": "hi"}}]
        trigger = {"type": "event", "event_type": "order.created", "target": listed[0].get("id")}
        return {"name": "orders", "version": "1.0", "nodes": listed, "triggers": [trigger], **top}

    return build


@pytest.fixture
def findings() -> Callable[..., list[Diagnostic]]:
    """Examine a document without resources."""

    def run(document: object, known_flows: KnownFlows = None) -> list[Diagnostic]:
        return examine(document, FlowResources(), known_flows=known_flows)

    return run
