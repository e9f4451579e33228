"""Every node type of this version: one line each.

In: a type's name. Out: its spec. Adding a node type is one file and one line here.
"""

from typing import Final

from actors.nodes.async_flow import ASYNC
from actors.nodes.branch import BRANCH
from actors.nodes.error import ERROR
from actors.nodes.event import EVENT
from actors.nodes.flow2flow import FLOW2FLOW
from actors.nodes.http import HTTP
from actors.nodes.http_response import HTTP_RESPONSE
from actors.nodes.log import LOG
from actors.nodes.script import SCRIPT
from actors.nodes.spec import NodeSpec
from actors.nodes.state import STATE_NODE
from actors.nodes.template import TEMPLATE
from actors.nodes.wait import WAIT

CATALOG: Final[tuple[NodeSpec, ...]] = (
    SCRIPT,
    BRANCH,
    HTTP,
    HTTP_RESPONSE,
    TEMPLATE,
    STATE_NODE,
    EVENT,
    ASYNC,
    FLOW2FLOW,
    WAIT,
    LOG,
    ERROR,
)


def find_spec(node_type: str) -> NodeSpec | None:
    """Give the spec of a type, or None."""
    return next((spec for spec in CATALOG if spec.type == node_type), None)
