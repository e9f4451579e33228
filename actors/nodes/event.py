"""`event`: emits a new event.

In: `event_type` and `payload`. Out: the event, stored; the value is its id and type. Its message id
is the step's effect key, so a repeated step is the same event within the duplicate window. Refuses
reserved and malformed types, and chains of more than 32 events.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from actors.errors import InvalidEventError, PermanentError
from actors.events import Event, check_event_type, is_reserved
from actors.ids import effect_key
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

_PROVIDER_KEYS: Final = ("provider", "action")


class EventConfig(BaseModel):
    """The event to emit."""

    model_config = STRICT

    event_type: str
    """Dotted lower-case tokens; not `….result`, `timer.…`, `email.…` or `twilio.…`."""
    payload: Any = None
    """Any JSON value."""


@dataclass(frozen=True, slots=True)
class EventNode:
    """Builds an event and publishes it."""

    content: Rendering

    async def step_waiting(self, context: StepContext) -> Advance:
        """Publish and wait until it is stored; UnavailableError when it may not be."""
        parts = await fill_waiting(self.content, context)
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
    metadata = {"causation_id": context.event.id}
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
    """Compile the event and check a type that is known already."""
    emits = None
    if TAG not in config.event_type:
        emits = Reference(config.event_type, ("event_type",))
        problem = event_type_problem(config.event_type)
        if problem is not None:
            site.report("flow.bad_event_type", ("event_type",), problem)
    content = site.rendering({"event_type": config.event_type, "payload": config.payload})
    return NodePlan(EventNode(content), emits=emits)


def _wants_provider(config: Mapping[str, Any]) -> str | None:
    asked = any(key in config for key in _PROVIDER_KEYS)
    return "event with 'provider' and 'action': provider actions" if asked else None


EVENT = NodeSpec(
    type="event",
    summary="Emits a new event.",
    config=EventConfig,
    build=build_event,
    has_effect=True,
    feature_not_yet=_wants_provider,
)
