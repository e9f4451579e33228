"""What the catalogue knows about a node type, and what compiling one node yields.

In: a node's validated config and the site it stands on. Out: a plan: the behaviour, and the facts
that the doctor needs about it (where it leads, whom it calls, what it emits).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from actors.diagnostics import DocumentPath
from actors.nodes.schema import RetryPolicy
from actors.nodes.site import NodeSite
from actors.nodes.step import Node

ConfigModel = type[BaseModel]


@dataclass(frozen=True, slots=True)
class Reference:
    """A name in a node's config that must exist elsewhere; ``path`` is its place in the config."""

    name: str
    path: DocumentPath


@dataclass(frozen=True, slots=True)
class NodePlan:
    """A compiled node: its behaviour, and what can be said about it without running it."""

    behaviour: Node
    targets: tuple[Reference, ...] = ()
    """Where the node itself may lead, beside its ``next`` and ``on_error``."""
    uses_next: bool = True
    """False when the node never goes on to its ``next`` (a branch with a default, `error`)."""
    calls: tuple[Reference, ...] = ()
    """Flows that run inside this one's run."""
    calls_any: bool = False
    """It calls a flow whose name is known only when a run comes by."""
    starts: tuple[Reference, ...] = ()
    """Flows that it starts and does not wait for."""
    emits: Reference | None = None
    """The event type it emits, when that is known before running."""
    answers: bool = False
    """It answers a waiting webhook."""
    is_pure: bool = False
    """It waits, but does nothing that a second time would not do alike: no need of a journal."""
    retry: RetryPolicy | None = None
    """How often its steps are tried again before they count as failed."""
    output: Reference | None = None
    """A further name for its value, given in its config instead of beside it."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A node type: its name in flow files, its config, and how to compile it."""

    type: str
    summary: str
    """One sentence for the documentation."""
    config: ConfigModel
    build: Callable[[Any, NodeSite], NodePlan]
    """Takes the validated config (an instance of ``config``) and the site."""
    value_name: str | None = None
    """The name under which the last value of this type is visible (SPEC 5)."""
    has_effect: bool = False
    """It changes the world: its outcome is journalled before the run goes on (DESIGN 4)."""
    feature_not_yet: Callable[[Mapping[str, Any]], str | None] = lambda _config: None
    """Names the feature that a raw config asks for and this version lacks."""
