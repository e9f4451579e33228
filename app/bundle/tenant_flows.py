"""The flows of a bundle's tenants: chosen by the apps each runs, compiled once for all alike.

In: sources, a tenant's apps, zone and providers. Out: compiled flows, and what is wrong with them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from actors.flows.compiled import CompiledFlow
from actors.nodes.resources import ActionForms
from app.bundle.collecting import ROOT_APP, Collected
from app.bundle.files import BundleFiles
from app.bundle.flow_cache import FlowCache, FlowsKey
from app.bundle.flows import FlowSource, load_flows
from app.bundle.models import TenantEntry
from app.bundle.problems import Problem
from app.providers.catalog import find_provider


@dataclass(slots=True)
class TenantFlows:
    """Compiles the flows of one bundle."""

    files: BundleFiles
    collected: Collected
    cache: FlowCache
    problems: list[Problem] = field(default_factory=list)
    _flows: dict[tuple[FlowsKey, bool], Mapping[str, CompiledFlow]] = field(default_factory=dict)

    def load(
        self, entry: TenantEntry, zone: str, providers: frozenset[str], *, has_timers: bool
    ) -> Mapping[str, CompiledFlow]:
        """Give a tenant's flows by their names; ``providers`` are those that are on for it."""
        actions = _actions_of(providers)
        apps = None if entry.apps is None else tuple(sorted(entry.apps))
        key = FlowsKey(apps, zone, tuple(actions))
        # A thousand tenants that are alike are looked at once.
        if (known := self._flows.get((key, has_timers))) is not None:
            return known
        sources = _sources_of(entry, self.collected, zone, actions)
        loaded = self.cache.loaded(self.files, key, partial(load_flows, sources))
        self.problems += loaded.problems
        if not has_timers:
            self.problems += _silent_timers(sources, loaded.flows)
        self._flows[key, has_timers] = loaded.flows
        return loaded.flows


def _actions_of(names: frozenset[str]) -> ActionForms:
    """Give what the enabled providers can do."""
    specs = [spec for name in sorted(names) if (spec := find_provider(name)) is not None]
    return {
        spec.name: {action.name: action for action in spec.actions}
        for spec in specs
        if spec.actions
    }


def _sources_of(
    entry: TenantEntry, collected: Collected, zone: str, actions: ActionForms
) -> list[FlowSource]:
    """Give the tenant's flow files, with its zone and its providers among their resources."""
    apps = entry.apps
    return [
        replace(source, resources=replace(source.resources, timezone=zone, actions=actions))
        for app, sources in collected.sources.items()
        if app is ROOT_APP or apps is None or app in apps
        for source in sources
    ]


def _silent_timers(
    sources: Sequence[FlowSource], flows: Mapping[str, CompiledFlow]
) -> list[Problem]:
    """Warn of timers that will not fire, since the timer provider is off."""
    return [
        source.document.problem(
            ("triggers",),
            "bundle.timer_off",
            "the timers of this flow will not fire: events-timer is off",
            severity="warning",
        )
        for source in sources
        if (flow := flows.get(source.name or "")) is not None
        and any(trigger.type == "timer" for trigger in flow.triggers)
    ]
