"""A tenant's deployment: the flows of one revision, and since when each trigger counts.

In: compiled flows. Out: an immutable value that routers, schedulers and executors share.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from actors.flows.compiled import CompiledFlow, CompiledTrigger


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a tenant runs. ``revision`` names the content: equal revisions are the same flows."""

    tenant: str
    revision: str
    flows: Mapping[str, CompiledFlow]
    activated: Mapping[str, int] = field(default_factory=dict)
    """Trigger key to the stream sequence at which it came into force; older events are not its."""
    has_timers: bool = True
    """False where the timer provider is off: then no timer fires."""

    def patterns(self) -> dict[str, str]:
        """Give each trigger's event type pattern by its key; a `default` trigger wants all."""
        return {
            trigger_key(flow, trigger): trigger.pattern or ">"
            for flow in self.flows.values()
            for trigger in flow.triggers
        }


def trigger_key(flow: CompiledFlow, trigger: CompiledTrigger) -> str:
    """Name a trigger within its tenant."""
    return f"{flow.name}#{trigger.number}"
