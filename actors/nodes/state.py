"""`state`: gets, sets or deletes one key of the durable state (SPEC 4).

In: `action`, `key`, `value`, `ttl` in seconds, `output`. Out: the value got or set; a delete has
none. The state is the session's where the event names one, else the team's, else the tenant's.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from actors.errors import TransientError
from actors.nodes.filling import fill_waiting
from actors.nodes.output import check_output
from actors.nodes.rendering import Constant, Rendering, text_of
from actors.nodes.schema import STRICT
from actors.nodes.site import NodeSite
from actors.nodes.spec import NodePlan, NodeSpec, Reference
from actors.nodes.state_access import RACES_MAX
from actors.nodes.state_view import check_key
from actors.nodes.state_write import StateWrite
from actors.nodes.state_writes import apply_writes
from actors.nodes.step import StepContext
from actors.outcomes import Advance
from actors.ports import STATE_TTL_SECONDS_MAX

_NO_VALUE: Final = Advance(binds=False)


class StateConfig(BaseModel):
    """One operation on one key."""

    model_config = STRICT

    action: Literal["get", "set", "delete"]
    """What to do."""
    key: str
    """A text of 1 to 256 bytes."""
    value: Any = None
    """For `set`. Null forgets nothing: it is a value."""
    output: str | None = None
    """A further name for the value, the same as the node's own `output`."""
    ttl: float | None = Field(default=None, gt=0, le=STATE_TTL_SECONDS_MAX)
    """For `set`: seconds after which the key is forgotten."""


@dataclass(frozen=True, slots=True)
class StateNode:
    """Performs its operation."""

    action: Literal["get", "set", "delete"]
    content: Rendering
    ttl_seconds: float | None

    async def step_waiting(self, context: StepContext) -> Advance:
        """Perform it; TransientError (``state.conflict``) when others keep writing the key."""
        if self.action == "set":
            return await self._set(context)
        key = _key(await fill_waiting(self.content, context))
        context.given = {"key": key}
        if self.action == "get":
            return Advance((await context.world.state.get(context.state_scope, key)).value)
        write = StateWrite(key, is_removed=True)
        await context.journal.intend(_NO_VALUE, (write,), context.race)
        await apply_writes(context, (write,), context.race)
        return _NO_VALUE

    async def _set(self, context: StepContext) -> Advance:
        """Render and write; a lost race renders afresh, since the value may read the state."""
        while context.race < RACES_MAX:
            parts = await fill_waiting(self.content, context)
            key, value = _key(parts), check_output(parts["value"])
            context.given = {"key": key, "value": value}
            before = await context.world.state.get(context.state_scope, key)
            write = StateWrite(key, value, revision=before.revision, ttl_seconds=self.ttl_seconds)
            outcome = Advance(value)
            await context.journal.intend(outcome, (write,), context.race)
            if await apply_writes(context, (write,), context.race) is None:
                return outcome
            context.race += 1
        raise TransientError("other runs keep writing the same state", reason="state.conflict")


def _key(parts: dict[str, Any]) -> str:
    return check_key(text_of(parts["key"]))


def build_state(config: StateConfig, site: NodeSite) -> NodePlan:
    """Compile key and value; refuse what the action does not use."""
    given = config.model_fields_set
    if config.action == "set" and "value" not in given:
        site.report("flow.missing_key", ("value",), "'value' is required by 'action: set'")
    for name in ("value", "ttl"):
        if config.action != "set" and name in given:
            message = f"{name!r} has no meaning with 'action: {config.action}'"
            site.report("flow.bad_value", (name,), message)
    if config.action == "delete" and config.output is not None:
        site.report("flow.bad_value", ("output",), "'action: delete' has no value")
    content = site.rendering({"key": config.key, "value": config.value})
    if isinstance(content, Constant) and not config.key:
        site.report("flow.bad_value", ("key",), "must not be empty")
    output = None if config.output is None else Reference(config.output, ("output",))
    return NodePlan(StateNode(config.action, content, config.ttl), output=output)


STATE_NODE = NodeSpec(
    type="state",
    summary="Gets, sets or deletes a key of the durable state.",
    config=StateConfig,
    build=build_state,
    has_effect=True,
)
