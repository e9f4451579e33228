"""What a test file of a flow may say: cases, each with what is given and what is expected.

In: a document. Out: frozen models. Refuses unknown keys, wrong types, and one name for two cases.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from actors.nodes.schema import STRICT

CASES_MAX: Final = 500
NOW_SECONDS_DEFAULT: Final = 1_767_225_600
"""2026-01-01T00:00:00Z: a test means the same on every day."""

Status = Literal["completed", "failed", "rejected", "cancelled", "continued", "skipped"]

_MS: Final = 1000


def _read_now(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("must be seconds since the epoch, or like 2026-01-31T09:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError("must name its zone, like 2026-01-31T09:00:00Z")
    return int(moment.timestamp())


class Part(BaseModel):
    """A part of a test file."""

    model_config = STRICT

    def says(self, key: str) -> bool:
        """Tell whether the file has this key: null is a value, and absent is no expectation."""
        return key in self.model_fields_set


# ── What is given ────────────────────────────────────────────────────────────────────────────


class CaseEvent(Part):
    """The event of a case."""

    type: str | None = None
    """By default the one type that triggers the flow."""
    payload: Any = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    query: dict[str, str] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)
    """Further entries of `event.metadata`."""
    id: str = "test-event"
    source: str = "webhook"
    timestamp: int | None = None
    """Milliseconds since the epoch; by default `now`."""


class CannedHttp(Part):
    """The answer of a web service."""

    status: Annotated[int, Field(ge=100, le=599)] = 200
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = None
    """Text as it is; anything else as JSON."""


class HttpDouble(Part):
    """Stands for a web service: which calls it takes, and what it says."""

    url: str
    """The whole URL; `*` stands for anything."""
    method: str | None = None
    """Any, unless given."""
    answer: CannedHttp = CannedHttp()
    error: Literal["http.timeout", "http.connect", "http.broken"] | None = None
    """The call fails so instead of being answered."""
    times: Annotated[int, Field(ge=1)] | None = None
    """Calls that it answers; the next double that fits takes the others."""


class ActionDouble(Part):
    """Stands for a provider's action."""

    provider: str
    action: str
    answer: dict[str, Any] = Field(default_factory=lambda: {"status": "accepted"})
    error: str | None = None
    """The action fails with this code instead."""


# ── What is expected ─────────────────────────────────────────────────────────────────────────


class ExpectedAnswer(Part):
    """What the waiting webhook is told."""

    status: int | None = None
    headers: dict[str, str] | None = None
    """These, among others."""
    body: Any = None
    body_includes: Any = None


class ExpectedEvent(Part):
    """An event that the flow emits."""

    event_type: str
    payload: Any = None
    payload_includes: Any = None


class ExpectedStart(Part):
    """A flow that the flow starts and does not wait for."""

    flow: str
    payload: Any = None
    payload_includes: Any = None


class ExpectedCall(Part):
    """A call to a web service."""

    method: str | None = None
    url: str | None = None
    """The whole URL; `*` stands for anything."""
    headers: dict[str, str] | None = None
    """These, among others."""
    body: Any = None
    body_includes: Any = None


class ExpectedAction(Part):
    """A call of a provider's action."""

    provider: str
    action: str
    arguments: Any = None
    arguments_includes: Any = None


class ExpectedError(Part):
    """Why the run fails."""

    code: str | None = None
    node: str | None = None
    message: str | None = None
    message_includes: str | None = None


class ExpectedLog(Part):
    """A log line."""

    level: str | None = None
    message: str | None = None
    message_includes: str | None = None


class Expected(Part):
    """What a run has to come to. What is not said is not checked."""

    status: Status | None = None
    """`completed`, unless an `error` is expected; `skipped`: no trigger takes the event."""
    trigger: str | None = None
    """`event:1`: type and number of the trigger that starts the run."""
    path: list[str] | None = None
    """The ids of the nodes, in order; `call/inner` inside a sub-flow."""
    output: Any = None
    output_includes: Any = None
    answer: ExpectedAnswer | None = None
    """null: nobody is answered."""
    error: ExpectedError | None = None
    events: list[ExpectedEvent] | None = None
    """All of them, in order."""
    starts: list[ExpectedStart] | None = None
    """All of them, in order."""
    http: list[ExpectedCall] | None = None
    """All of them, in order."""
    actions: list[ExpectedAction] | None = None
    """All of them, in order."""
    logs: list[ExpectedLog] | None = None
    """All of them, in order."""
    state: dict[str, Any] | None = None
    """These keys, after the run; null: without a value."""


class FlowCase(Part):
    """One test: a run of the flow for one event."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    event: CaseEvent = CaseEvent()
    tenant: str | None = None
    """By default the first tenant that has the flow."""
    env: str = "dev"
    now: Annotated[int, BeforeValidator(_read_now), Field(ge=0)] = NOW_SECONDS_DEFAULT
    """What time it is: seconds since the epoch, or text like 2026-01-31T09:00:00Z."""
    state: dict[str, Any] = Field(default_factory=dict)
    """Before the run."""
    secrets: dict[str, str] = Field(default_factory=dict)
    http: list[HttpDouble] = Field(default_factory=list)
    """Web services; a call that none of them takes fails the test."""
    actions: list[ActionDouble] = Field(default_factory=list)
    """Providers; an action that is not listed is accepted."""
    expect: Expected

    @property
    def now_ms(self) -> int:
        """What time it is, in milliseconds."""
        return self.now * _MS


class FlowTests(Part):
    """A whole test file."""

    tests: Annotated[list[FlowCase], Field(min_length=1, max_length=CASES_MAX)]

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [case.name for case in self.tests]
        doubled = next((name for name in names if names.count(name) > 1), None)
        if doubled is not None:
            raise ValueError(f"two tests have the name {doubled!r}")
        return self
