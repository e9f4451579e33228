"""The trigger table: which flows take an event of some type.

In: a deployment. Out: for an event type the flows that want it, each with the triggers that name
it. A `default` trigger takes the types that no other trigger of the deployment names (SPEC 4).
"""

from dataclasses import dataclass
from typing import Final

from actors.flows.compiled import CompiledFlow, CompiledTrigger
from actors.subjects import matches_pattern
from actors.tenants.deployment import Deployment, trigger_key

TYPES_REMEMBERED_MAX: Final = 4096
"""Event types whose match is kept; past it the memory starts afresh."""


@dataclass(frozen=True, slots=True)
class Match:
    """One flow that takes an event type, with the candidate triggers in file order."""

    flow: CompiledFlow
    triggers: tuple[CompiledTrigger, ...]
    activated: tuple[int, ...]
    """Beside each trigger the stream sequence after which it counts."""

    def triggers_for(self, sequence: int) -> tuple[CompiledTrigger, ...]:
        """Give the triggers that were in force when the event was stored."""
        if sequence > max(self.activated):
            return self.triggers
        pairs = zip(self.triggers, self.activated, strict=True)
        return tuple(trigger for trigger, since in pairs if sequence > since)


class RoutingTable:
    """Looks up the flows of an event type; answers are remembered per type."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.versions = {name: deployment.version_of(name) for name in deployment.flows}
        self._remembered: dict[str, tuple[Match, ...]] = {}

    def match(self, event_type: str) -> tuple[Match, ...]:
        """Give every flow that takes this type, in the deployment's order."""
        found = self._remembered.get(event_type)
        if found is None:
            if len(self._remembered) >= TYPES_REMEMBERED_MAX:
                self._remembered.clear()
            found = self._remembered[event_type] = self._search(event_type)
        return found

    def match_defaults(self, event_type: str) -> tuple[Match, ...]:
        """Give the flows whose `default` trigger has what nobody named when it was stored."""
        flows = self.deployment.flows.values()
        defaults = (self._matches(flow, event_type, default=True) for flow in flows)
        return tuple(match for match in defaults if match is not None)

    def answering_flows(self, event_type: str) -> int:
        """Count the flows that take this type and may answer a waiting webhook."""
        return sum(match.flow.can_answer for match in self.match(event_type))

    def _search(self, event_type: str) -> tuple[Match, ...]:
        flows = self.deployment.flows.values()
        named = tuple(self._matches(flow, event_type, default=False) for flow in flows)
        if any(named):
            return tuple(match for match in named if match is not None)
        return self.match_defaults(event_type)

    def _matches(self, flow: CompiledFlow, event_type: str, *, default: bool) -> Match | None:
        triggers = tuple(
            trigger
            for trigger in flow.triggers
            if (trigger.type == "default") is default
            and (trigger.pattern is None or matches_pattern(trigger.pattern, event_type))
        )
        if not triggers:
            return None
        since = self.deployment.activated
        activated = tuple(since.get(trigger_key(flow, trigger), 0) for trigger in triggers)
        return Match(flow, triggers, activated)
