"""A flow ready to run: what `actors.flows.compiler` makes and the walker reads.

In: nothing; these are values. Out: nodes by id, triggers by number, and where a target leads.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from actors.flows.control import ControlPlan
from actors.nodes.resources import FlowResources
from actors.nodes.schema import RetryPolicy
from actors.nodes.step import Node
from actors.subjects import flow_tokens
from grammar import Program

END_TARGETS: Final = frozenset({"done", "end", "ignore"})
"""Reserved targets that end a run (SPEC 4)."""

RESPOND: Final = "respond"
"""Ends the run and answers the waiting webhook, when no node has that id."""


TENANT_LANE: Final = "~"
"""The lane that all flows share whose concurrency has tenant scope; no flow's name."""

Overlap = Literal["skip", "queue", "allow", "cancel"]
"""What a tick does while the run of an earlier one goes on (SPEC 12.5)."""


@dataclass(frozen=True, slots=True)
class CompiledNode:
    """One node of a flow, its behaviour and where its steps lead."""

    id: str
    type: str
    behaviour: Node
    is_inline: bool
    """True: `behaviour` is an InlineNode; False: a WaitingNode."""
    next: str | None
    on_error: str | None
    output: str | None
    """A further name for the node's value."""
    value_name: str | None
    """The name of the last value of this type (``http_response``); None where it sets none."""
    timeout_seconds: float
    is_journalled: bool = False
    """Its outcome is kept before the run goes on, and never asked for twice (DESIGN 4)."""
    retry: RetryPolicy | None = None
    """Of its own; the flow's comes after it."""


@dataclass(frozen=True, slots=True)
class TimerSchedule:
    """When a timer trigger fires. ``timezone`` is an IANA name; SPEC 12.5 has the rules."""

    cron: str
    timezone: str
    misfire: Literal["skip", "last", "all"] = "last"
    catch_up_seconds: float = 3600.0
    overlap: Overlap = "skip"
    jitter_ms: int = 0
    """A tick is fired up to so many milliseconds after its time."""


@dataclass(frozen=True, slots=True)
class CompiledTrigger:
    """What starts a flow. ``number`` counts all the flow's triggers from 1, in file order."""

    number: int
    type: Literal["event", "timer", "default"]
    target: str
    pattern: str | None = None
    """Event type pattern; of a timer its own event type ``timer.<flow>.<n>``."""
    filter: Program | None = None
    schedule: TimerSchedule | None = None


@dataclass(frozen=True, slots=True)
class FlowSource:
    """What a flow was compiled from."""

    document: Any
    resources: FlowResources = field(repr=False)


@dataclass(frozen=True, slots=True)
class CompiledFlow:
    """A flow of one version, whole and immutable; shared by all its runs."""

    name: str
    version: str
    digest: str
    """Content hash over the flow and all it includes: the same digest runs the same."""
    nodes: Mapping[str, CompiledNode]
    triggers: tuple[CompiledTrigger, ...]
    variables: Mapping[str, Any]
    timeout_seconds: float
    can_answer: bool
    """A waiting webhook may be answered: some `http_response` or `respond` can be reached."""
    calls: frozenset[str] = frozenset()
    """Names of flows this one calls or starts."""
    calls_any: bool = False
    """It calls flows whose names are known only when a run comes by."""
    retry: RetryPolicy | None = None
    """For steps that fail for now and that no `on_error` takes."""
    source: FlowSource | None = field(default=None, repr=False, compare=False)
    """Kept where runs outlive the flow (`actors.flows.keeping`)."""
    control: ControlPlan | None = None
    """Flow control (SPEC 8): its runs come through a lane of their own."""

    @property
    def lane(self) -> str | None:
        """Where its runs wait: the last tokens of a subject; None without flow control."""
        if self.control is None:
            return None
        concurrency = self.control.concurrency
        if concurrency is not None and concurrency.scope == "tenant":
            return TENANT_LANE
        return flow_tokens(self.name)
