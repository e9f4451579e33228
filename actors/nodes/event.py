"""`event`: emits a new event, or has a provider act.

In: `event_type` and `payload`. Out: the event, stored; the value is its id and type. Its message id
is the step's effect key, so a repeated step is the same event within the duplicate window. Refuses
reserved and malformed types, and chains of more than 32 events. With `provider` and `action` it is
an action instead, see `actors.nodes.action`.
"""

from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from actors.diagnostics import did_you_mean
from actors.errors import InvalidEventError, PermanentError
from actors.events import CORRELATION_ID, Event, check_event_type, handed_on, is_reserved
from actors.ids import effect_key
from actors.nodes.action import build_action
from actors.nodes.chaining import next_hop
from actors.nodes.filling import fill_waiting
from actors.nodes.output import EVENT_BYTES_MAX, check_output
from actors.nodes.rendering import TAG, Rendering, text_of
from actors.nodes.schema import STRICT
from actors.nodes.site import NodeSite
from actors.nodes.spec import NodePlan, NodeSpec, Reference
from actors.nodes.step import StepContext
from actors.outcomes import Advance
from actors.ports import Envelope

_ONE_OF: Final = "an event node needs 'event_type', or 'provider' and 'action'"
_STAND_IN: Final = "missing"
"""For a type that is not there: that has been reported, and the rest is still to be checked."""
_WITH_ARGUMENTS: Final[ConfigDict] = {**STRICT, "extra": "allow"}


class EventConfig(BaseModel):
    """The event to emit, or the action to call; an action's arguments stand beside its name."""

    model_config = _WITH_ARGUMENTS

    event_type: str | None = None
    """Dotted lower-case tokens; not `….result`, `timer.…`, `email.…` or `twilio.…`."""
    payload: Any = None
    """Any JSON value."""
    provider: str | None = None
    """A provider of the bundle that acts instead, `events-sms-twilio`."""
    action: str | None = None
    """What it is to do, `send`; its arguments are further keys."""

    @property
    def arguments(self) -> dict[str, Any]:
        """What stands beside the four names, the payload too where a provider is to act."""
        more = dict(self.model_extra or {})
        return more | {"payload": self.payload} if "payload" in self.model_fields_set else more


@dataclass(frozen=True, slots=True)
class EventNode:
    """Builds an event and publishes it."""

    content: Rendering

    async def step_waiting(self, context: StepContext) -> Advance:
        """Publish and wait until it is stored; UnavailableError when it may not be."""
        parts = context.given = await fill_waiting(self.content, context)
        event_type = text_of(parts["event_type"])
        problem = event_type_problem(event_type)
        if problem is not None:
            raise PermanentError(f"{event_type!r}: {problem}", reason="event.bad_type")
        envelope = Envelope(
            tenant=context.tenant,
            event=_event(context, event_type, parts["payload"]),
            message_id=effect_key(context.run_id, context.step_id, context.iteration),
            hops=next_hop(context),
        )
        ack = await context.world.publisher.publish(envelope)
        return Advance({"event_id": ack.event_id, "event_type": event_type})


def _event(context: StepContext, event_type: str, payload: Any) -> Event:
    metadata = {"causation_id": context.event.id, CORRELATION_ID: handed_on(context.event)}
    traceparent = (context.event.metadata or {}).get("traceparent")
    if isinstance(traceparent, str):
        metadata["traceparent"] = traceparent
    world = context.world
    return Event(
        id=world.ids.event_id(),
        event_type=event_type,
        source=f"flow:{context.flow}",
        timestamp=world.clock.now_ms(),
        payload=check_output(payload, "payload", bytes_max=EVENT_BYTES_MAX),
        metadata=metadata,
    )


def event_type_problem(event_type: str) -> str | None:
    """Say why a flow may not emit this type (SPEC 1), or None."""
    try:
        check_event_type(event_type)
    except InvalidEventError as error:
        return str(error)
    if is_reserved(event_type):
        return "only its own provider may publish this type"
    return None


def build_event(config: EventConfig, site: NodeSite) -> NodePlan:
    """Compile the event, or the action, and check what is known already."""
    if config.provider is not None or config.action is not None:
        return _build_action(config, site)
    for key in config.model_extra or {}:
        hint = did_you_mean(key, EventConfig.model_fields)
        site.report("flow.unknown_key", (key,), f"{key!r} is no key of 'event'", hint=hint)
    if config.event_type is None:
        site.report("flow.missing_key", (), _ONE_OF)
    event_type = _STAND_IN if config.event_type is None else config.event_type
    emits = None
    if TAG not in event_type:
        emits = Reference(event_type, ("event_type",))
        problem = event_type_problem(event_type)
        if problem is not None:
            site.report("flow.bad_event_type", ("event_type",), problem)
    content = site.rendering({"event_type": event_type, "payload": config.payload})
    return NodePlan(EventNode(content), emits=emits)


def _build_action(config: EventConfig, site: NodeSite) -> NodePlan:
    if config.event_type is not None or config.provider is None or config.action is None:
        site.report("flow.bad_value", (), _ONE_OF)
    return build_action(config.provider or "", config.action or "", config.arguments, site)


EVENT = NodeSpec(
    type="event",
    summary="Emits a new event, or calls an action of a provider.",
    config=EventConfig,
    build=build_event,
    has_effect=True,
)
