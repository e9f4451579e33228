"""A tenant's deployment: the flows of one revision, and since when each trigger counts.

In: compiled flows. Out: an immutable value that routers, schedulers and executors share.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from actors.flows.compiled import CompiledFlow, CompiledTrigger

_VERSION_BYTES: Final = 20


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
    leftover_lanes: Collection[str] = ()
    """Lanes that no flow has any more, and on which something may lie."""

    def lanes(self) -> dict[str, bool]:
        """Give the private lanes of the flows, and whether one worker at a time must see all."""
        found: dict[str, bool] = {}
        for flow in self.flows.values():
            if flow.lane is not None and flow.control is not None:
                found[flow.lane] = found.get(flow.lane, False) or flow.control.is_exclusive
        return found

    def version_of(self, name: str) -> str:
        """Name a flow's version: the same for two deployments if it runs the same in both.

        All flows it calls are part of it, since they run inside its runs.
        """
        flow = self.flows[name]
        if flow.calls_any:
            return self.revision
        reached = self._reached(name)
        if len(reached) == 1:
            return flow.digest
        joined = "".join(self.flows[one].digest for one in sorted(reached))
        return hashlib.blake2b(joined.encode(), digest_size=_VERSION_BYTES).hexdigest()

    def has_effects(self, name: str) -> bool:
        """Tell whether a step of the flow's runs, of called flows too, may be journalled."""
        reached = [self.flows[one] for one in self._reached(name)]
        return any(
            flow.calls_any or any(node.is_journalled for node in flow.nodes.values())
            for flow in reached
        )

    def closure_of(self, name: str) -> list[CompiledFlow]:
        """Give a flow and all that may run inside its runs, by name."""
        flow = self.flows[name]
        names = self.flows.keys() if flow.calls_any else self._reached(name)
        return [self.flows[one] for one in sorted(names)]

    def _reached(self, name: str) -> set[str]:
        reached, pending = {name}, [name]
        while pending:
            for called in self.flows[pending.pop()].calls:
                if called in self.flows and called not in reached:
                    reached.add(called)
                    pending.append(called)
        return reached

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
