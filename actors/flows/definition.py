"""The flow document (`.ygtc`) as models: what SPEC 4 allows, and nothing else.

In: a document that a YAML reader made of plain values. Out: a `FlowDefinition`. Refuses with every
problem at once. What a node's `config` may hold stands with the node, in `actors.nodes`.
"""

import re
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from actors.diagnostics import Diagnostic
from actors.errors import DefinitionError
from actors.flows.control_definition import (
    BatchConfig,
    ConcurrencyConfig,
    DebounceConfig,
    KeyText,
    RateLimitConfig,
    SingletonConfig,
    ThrottleConfig,
    read_written_duration,
)
from actors.flows.diagnostics import in_document_order, summarize
from actors.nodes.schema import STRICT, RetryPolicy, TimeoutMs, plain_json_problem, read_model
from grammar import DEFAULT_LIMITS, Limits

NODES_MAX: Final = 500
TRIGGERS_MAX: Final = 100
FLOW_TIMEOUT_MS_MAX: Final = 300_000
FLOW_NAME_CHARS_MAX: Final = 128
NODE_TIMEOUT_MS_DEFAULT: Final = 30_000
SCRIPT_OPERATIONS_DEFAULT: Final = 100_000
SCRIPT_OPERATIONS_MAX: Final = 50_000_000
SCRIPT_TIMEOUT_MS_POOLED: Final = 1_000
SCRIPT_TIMEOUT_MS_MAX: Final = 10_000
JITTER_MS_MAX: Final = 86_400_000

_TOKEN = r"[a-z0-9][a-z0-9_-]{0,62}"  # noqa: S105 - a pattern, not a password
_FLOW_NAME = re.compile(rf"{_TOKEN}(?:/{_TOKEN})*")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def _check_flow_name(name: str) -> str:
    if len(name) > FLOW_NAME_CHARS_MAX or not _FLOW_NAME.fullmatch(name):
        raise ValueError(
            "must be lower-case tokens of letters, digits, '_' and '-', joined by '/',"
            " like 'orders' or 'auth/login'"
        )
    return name


def _check_identifier(name: str) -> str:
    if not _IDENTIFIER.fullmatch(name) or name == "_":
        raise ValueError(
            "must be an identifier: letters, digits and '_', not starting with a digit"
        )
    return name


FlowName = Annotated[str, AfterValidator(_check_flow_name)]
Identifier = Annotated[str, AfterValidator(_check_identifier)]
JitterMs = Annotated[int, BeforeValidator(read_written_duration), Field(ge=0, le=JITTER_MS_MAX)]


class LoggingConfig(BaseModel):
    """What the flow's `log` nodes may say."""

    model_config = STRICT

    level: Literal["debug", "info", "warn", "warning", "error"] = "debug"


class ScriptLimits(BaseModel):
    """What a `script` node may spend. With more than the defaults it runs in a process pool."""

    model_config = STRICT

    operations: Annotated[int, Field(ge=1, le=SCRIPT_OPERATIONS_MAX)] = SCRIPT_OPERATIONS_DEFAULT
    """Statements, expressions, calls and loop turns."""
    timeout: Annotated[int, Field(ge=1, le=SCRIPT_TIMEOUT_MS_MAX)] | None = None
    """Milliseconds of computing: 5, or 1,000 with more operations than the default."""

    @property
    def limits(self) -> Limits:
        """The limits of one evaluation."""
        wall_ms = DEFAULT_LIMITS.wall_ms
        if self.timeout is not None:
            wall_ms = self.timeout
        elif self.operations > SCRIPT_OPERATIONS_DEFAULT:
            wall_ms = SCRIPT_TIMEOUT_MS_POOLED
        return replace(DEFAULT_LIMITS, operations=self.operations, wall_ms=wall_ms)


class FlowConfig(BaseModel):
    """How the flow runs, and how many of its runs, and when (flow control)."""

    model_config = STRICT

    timeout: Annotated[int, Field(ge=1, le=FLOW_TIMEOUT_MS_MAX)] = FLOW_TIMEOUT_MS_MAX
    """Milliseconds for a whole run."""
    retry_policy: RetryPolicy | None = None
    logging: LoggingConfig = LoggingConfig()
    script: ScriptLimits = ScriptLimits()
    concurrency: ConcurrencyConfig | None = None
    throttle: ThrottleConfig | None = None
    rate_limit: RateLimitConfig | None = None
    debounce: DebounceConfig | None = None
    batch: BatchConfig | None = None
    singleton: SingletonConfig | None = None
    ordered: KeyText | None = None
    """A key expression: runs of one key follow each other in the order of their events."""
    isolated: bool = False
    """The flow's runs wait in a line of their own."""


class NodeDefinition(BaseModel):
    """One node: its name, its type and where it leads."""

    model_config = STRICT

    id: Identifier
    type: str
    config: dict[str, Any] | None = None
    next: str | None = None
    on_error: str | None = None
    output: Identifier | None = None
    """A further name for the node's value."""
    timeout: TimeoutMs = NODE_TIMEOUT_MS_DEFAULT
    """Milliseconds for one step."""


class EventTrigger(BaseModel):
    """Starts the flow on events of a type, exact or with wildcard tokens."""

    model_config = STRICT

    type: Literal["event"]
    target: str
    event_type: str
    filter: str | None = None


class DefaultTrigger(BaseModel):
    """Starts the flow on events that no other trigger of the tenant names."""

    model_config = STRICT

    type: Literal["default"]
    target: str
    filter: str | None = None


class TimerTrigger(BaseModel):
    """Starts the flow at the times of a cron expression (SPEC 12.5)."""

    model_config = STRICT

    type: Literal["timer"]
    target: str
    cron: str
    timezone: str | None = None
    """IANA name; without it the timer provider's option, UTC by default."""
    misfire: Literal["skip", "last", "all"] = "last"
    overlap: Literal["skip", "queue", "allow", "cancel"] = "skip"
    """What a tick does while the run of an earlier one goes on."""
    jitter: JitterMs = 0
    """Up to how much later than its time a tick is fired: milliseconds, or text like `30s`."""
    filter: str | None = None


Trigger = EventTrigger | DefaultTrigger | TimerTrigger

TRIGGER_MODELS: Final[dict[str, type[EventTrigger | DefaultTrigger | TimerTrigger]]] = {
    "event": EventTrigger,
    "default": DefaultTrigger,
    "timer": TimerTrigger,
}

UNSUPPORTED_TRIGGERS: Final = ("message", "callback_query", "block_action")
"""Of the documentation's messaging flows; ignored with a warning (SPEC 4)."""

LATER_TRIGGERS: Final = ("webhook", "setup")
"""A later version brings them; this one refuses a flow that has one."""


class OtherTrigger(BaseModel):
    """A trigger of a type that does not start runs here; only its target is read."""

    model_config = {**STRICT, "extra": "ignore"}

    type: Literal["message", "callback_query", "block_action", "webhook", "setup"]
    target: str


AnyTrigger = Annotated[
    EventTrigger | DefaultTrigger | TimerTrigger | OtherTrigger, Field(discriminator="type")
]


class FlowDefinition(BaseModel):
    """A whole flow document."""

    model_config = STRICT

    name: FlowName
    version: Annotated[str, Field(min_length=1, max_length=64)]
    description: str | None = None
    nodes: Annotated[list[NodeDefinition], Field(min_length=1, max_length=NODES_MAX)]
    triggers: Annotated[list[AnyTrigger], Field(max_length=TRIGGERS_MAX)]
    variables: dict[str, Any] = Field(default_factory=dict)
    """Read as `flow.NAME`."""
    config: FlowConfig = FlowConfig()


def parse_flow(document: object) -> FlowDefinition:
    """Read a flow document; DefinitionError carries a diagnostic for every problem of its shape.

    Names, targets and texts inside are the doctor's business (`actors.flows.doctor`).
    """
    problem = plain_json_problem(document, ())
    definition, found = (None, [problem]) if problem else read_model(FlowDefinition, document, ())
    if definition is None:
        findings: list[Diagnostic] = in_document_order(found)
        raise DefinitionError(summarize(name_of(document), findings), findings)
    return definition


def name_of(document: object) -> str:
    """Give the flow's name for messages, whatever the document is."""
    name = document.get("name") if isinstance(document, dict) else None
    return name if isinstance(name, str) else "?"
