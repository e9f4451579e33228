"""Flows drawn from a seed: chains with branches, loops, waits, retries and calls of each other.

In: a seed's chance. Out: flow documents that the real compiler takes, and how everybody outside
will answer them. Targets lead onwards, but for small loops that count; so every run ends.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from actors.flows.compiled import CompiledFlow
from actors.flows.compiler import compile_flow
from actors.nodes.resources import FlowResources
from tests.simulation.loop import chance_of
from tests.simulation.world import Mood

NODES_MAX: Final = 12
EVENT_TYPES: Final = ("order.created", "order.paid")
FILTER: Final = "payload.n % 4 != 3"
"""Of some flows' last trigger; what it does not take may be taken by the one before it."""

EMITTED: Final = "order.emitted"
"""What flows emit; a flow may listen to it, so chains grow."""

_RESOURCES: Final = FlowResources()
_WAITS: Final = ("1s", "20s", "45s", "2m", "10m")

Document = dict[str, Any]


@dataclass(slots=True)
class _Draft:
    """A flow being written."""

    name: str
    random: Random
    nodes: list[Document] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    """Nodes whose value is a number."""
    values: list[str] = field(default_factory=list)
    """Nodes that every way here has passed, so that their values are there."""
    calls: tuple[str, ...] = ()

    def add(self, node: Document) -> str:
        """Append a node; give its id."""
        node["id"] = self.at(0)
        self.nodes.append(node)
        return str(node["id"])

    def at(self, ahead: int) -> str:
        """Name the node that comes so many after the last; no two flows share a name."""
        return f"{self.name}_n{len(self.nodes) + ahead}"

    def number(self) -> str:
        """Give an expression of a number."""
        known = [*self.numbers, "payload.n", "payload.n"]
        return self.random.choice(known)

    def seen(self) -> dict[str, str]:
        """Give a body that tells all that is known."""
        body = {name: f"{{{{{name}}}}}" for name in self.values[-4:]}
        return {**body, "n": "{{payload.n}}"}


def draw_flows(random: Random) -> list[Document]:
    """Draw a tenant's flows: one or two that events start, and their sub-flows."""
    subs = [_draw_sub(random, f"sub{number}") for number in range(random.choice((0, 1, 1, 2)))]
    names = tuple(str(sub["name"]) for sub in subs)
    tops = [
        _draw_top(random, f"flow{number}", EVENT_TYPES[number], names)
        for number in range(random.choice((1, 1, 2)))
    ]
    if random.random() < 0.3:
        tops.append(_draw_top(random, "listener", EMITTED, ()))
    return [*tops, *subs]


def revised(documents: list[Document], random: Random) -> list[Document]:
    """Give the flows' next version: the same but for what they say to the outside."""
    return [
        {**one, "version": "2", "variables": {"salt": random.randint(1, 9)}} for one in documents
    ]


def compile_all(documents: list[Document]) -> Mapping[str, CompiledFlow]:
    """Compile a tenant's flows."""
    names = {str(one["name"]) for one in documents}
    flows = [compile_flow(one, _RESOURCES, known_flows=names) for one in documents]
    return {flow.name: flow for flow in flows}


def draw_mood(seed: int, key: str, *, trouble: float = 0.35) -> Mood:
    """Say how somebody outside answers the calls of one key, always alike."""
    random = chance_of(seed, key)
    seconds = random.choice((0.01, 0.05, 0.3, 2.0))
    if random.random() >= trouble:
        return Mood(seconds=seconds)
    if random.random() < 0.2:
        return Mood(is_hopeless=True, seconds=seconds)
    return Mood(
        failures=random.randint(1, 4),
        status=random.choice((None, 503)),
        retry_after_seconds=random.choice((None, None, 7)),
        seconds=seconds,
    )


# ── One flow ─────────────────────────────────────────────────────────────────────────────────


def _draw_top(random: Random, name: str, event_type: str, calls: tuple[str, ...]) -> Document:
    draft = _Draft(name, random, calls=calls)
    _draw_nodes(draft, random.randint(2, NODES_MAX))
    triggers = [{"type": "event", "event_type": event_type, "target": f"{name}_n0"}]
    if random.random() < 0.2:
        triggers[0]["filter"] = FILTER
    if random.random() < 0.2:
        second = {"type": "event", "event_type": event_type, "target": f"{name}_n1"}
        triggers.insert(0, {**second, "filter": "payload.n % 2 == 0"})
    document = {
        "name": name,
        "version": "1",
        "variables": {"salt": 0},
        "nodes": draft.nodes,
        "triggers": triggers,
        "config": {},
    }
    config: Document = {}
    if random.random() < 0.5:
        config["retry_policy"] = _draw_retry(random)
    if random.random() < 0.15:
        config["timeout"] = random.choice((3000, 20_000))
    return {**document, "config": config}


def _draw_sub(random: Random, name: str) -> Document:
    draft = _Draft(name, random)
    _draw_nodes(draft, random.randint(1, 4))
    return {
        "name": name,
        "version": "1",
        "variables": {"salt": 0},
        "nodes": draft.nodes,
        "triggers": [],
    }


def _draw_retry(random: Random) -> Document:
    return {
        "max_retries": random.randint(1, 5),
        "backoff": random.choice(("fixed", "linear", "exponential")),
        "initial_ms": random.choice((1000, 3000, 20_000)),
        "max_ms": random.choice((5000, 60_000, 86_400_000)),
    }


def _draw_nodes(draft: _Draft, count: int) -> None:
    random = draft.random
    kinds, weights = zip(*_KINDS, strict=True)
    while len(draft.nodes) < count:
        before = len(draft.nodes)
        (kind,) = random.choices(kinds, weights)
        kind(draft)
        _link(draft, before)
    _end(draft)


def _link(draft: _Draft, before: int) -> None:
    """Lead what was there to what is new, where it does not lead somewhere yet."""
    if not before:
        return
    first = draft.nodes[before]["id"]
    if draft.nodes[before - 1]["type"] != "error":
        draft.nodes[before - 1].setdefault("next", first)
    for node in draft.nodes[:before]:
        if node.get("on_error") == "":
            node["on_error"] = first


def _end(draft: _Draft) -> None:
    """Have the last ones lead to the end, or to a failure."""
    for node in draft.nodes:
        if node.get("on_error") == "":
            node["on_error"] = "done"
    if draft.random.random() < 0.1:
        _error(draft)
        _link(draft, len(draft.nodes) - 1)
        draft.nodes[-1].pop("on_error", None)


def _script(draft: _Draft) -> None:
    operation = draft.random.choice(("* 3 + 1", "+ flow.salt", "% 5", "- 2"))
    node = draft.add({"type": "script", "config": {"script": f"{draft.number()} {operation}"}})
    draft.numbers.append(node)
    draft.values.append(node)


def _branch(draft: _Draft) -> None:
    """Skip the next node or not; its value is known to nobody after."""
    test = draft.random.choice(("% 2 == 0", "> 3", "% 3 != 1"))
    expression = f"{draft.number()} {test}"
    if draft.random.random() < 0.2:
        expression = "now % 2 == 0"
    known = (draft.numbers[:], draft.values[:])
    conditions = [{"expression": expression, "next": draft.at(2)}]
    draft.add({"type": "branch", "config": {"conditions": conditions}, "next": draft.at(1)})
    draft.random.choice((_http, _emit, _action, _increment, _wait))(draft)
    draft.nodes[-1]["next"] = draft.at(0)
    draft.add({"type": "log", "config": {"message": "over"}})
    draft.numbers, draft.values = known


def _http(draft: _Draft) -> None:
    config: Document = {
        "url": f"http://outside/{draft.name}",
        "method": "POST",
        "body": draft.seen(),
    }
    if draft.random.random() < 0.4:
        config["retry"] = _draw_retry(draft.random)
    if draft.random.random() < 0.3:
        config["query"] = {"none": "{{state.nobody}}"}  # so that it waits before it calls
    node = draft.add({"type": "http", "config": config})
    if draft.random.random() < 0.15:
        draft.nodes[-1]["timeout"] = draft.random.choice((100, 1000))
    _guard(draft)
    draft.values.append(node)


def _emit(draft: _Draft) -> None:
    payload = {**draft.seen(), "n": "{{payload.n}}"}
    config = {
        "event_type": EMITTED if draft.name != "listener" else "order.done",
        "payload": payload,
    }
    draft.add({"type": "event", "config": config})


def _action(draft: _Draft) -> None:
    config = {"provider": "mail", "action": "send", "to": "a@example.org", "text": draft.seen()}
    draft.add({"type": "event", "config": config})
    _guard(draft)


def _increment(draft: _Draft) -> None:
    """Count under a key of its own: how often it was taken must be what it says."""
    key = draft.at(0)
    script = f'let c = state.get("{key}", 0) + 1; state.set("{key}", c); c'
    node = draft.add({"type": "script", "config": {"script": script}})
    draft.values.append(node)


def _state(draft: _Draft) -> None:
    action = draft.random.choice(("get", "set", "delete"))
    config: Document = {"action": action, "key": "shared"}
    if action == "set":
        config["value"] = "{{payload.n}}"
    node = draft.add({"type": "state", "config": config})
    if action != "delete":
        draft.values.append(node)


def _template(draft: _Draft) -> None:
    node = draft.add({"type": "template", "config": {"template": "n is {{payload.n}} at {{now}}"}})
    draft.values.append(node)


def _wait(draft: _Draft) -> None:
    config: Document = {"for": draft.random.choice(_WAITS)}
    if draft.random.random() < 0.2:
        config = {"until": "2023-11-14T22:14:00Z"}
    draft.add({"type": "wait", "config": config})


def _call(draft: _Draft) -> None:
    if not draft.calls:
        return _script(draft)
    waits = draft.random.random() < 0.7
    config = {
        "target_flow": draft.random.choice(draft.calls),
        "input": {"n": "{{payload.n}}"},
        "wait_for_completion": waits,
    }
    node = draft.add({"type": "flow2flow", "config": config})
    if draft.random.random() < 0.3:
        draft.nodes[-1]["on_error"] = ""
    draft.values.append(node)
    return None


def _async(draft: _Draft) -> None:
    if not draft.calls:
        return _http(draft)
    config = {"flow": draft.random.choice(draft.calls), "payload": {"n": "{{payload.n}}"}}
    draft.add({"type": "async", "config": config})
    return None


def _log(draft: _Draft) -> None:
    draft.add({"type": "log", "config": {"message": "at {{payload.n}}"}})


def _error(draft: _Draft) -> None:
    """Fail, and be caught by the node's own `on_error`."""
    draft.add({"type": "error", "config": {"message": "on purpose"}, "on_error": ""})


def _loop(draft: _Draft) -> None:
    """Do something with an effect some times over."""
    first, times = draft.at(0), draft.random.randint(2, 3)
    count = f'if is_def_var("{first}") {{ {first} + 1 }} else {{ 1 }}'
    draft.add({"type": "script", "config": {"script": count}, "next": draft.at(1)})
    draft.random.choice((_http, _increment, _emit, _wait))(draft)
    draft.nodes[-1]["next"] = draft.at(0)
    if draft.nodes[-1].get("on_error") == "":
        draft.nodes[-1]["on_error"] = draft.at(0)
    conditions = [{"expression": f"{first} < {times}", "next": first}]
    draft.add({"type": "branch", "config": {"conditions": conditions}})
    draft.numbers.append(first)


def _guard(draft: _Draft) -> None:
    if draft.random.random() < 0.4:
        draft.nodes[-1]["on_error"] = ""


_KINDS: Final[tuple[tuple[Callable[[_Draft], None], int], ...]] = (
    (_script, 3),
    (_branch, 3),
    (_http, 5),
    (_emit, 2),
    (_action, 3),
    (_increment, 4),
    (_state, 2),
    (_template, 1),
    (_wait, 3),
    (_call, 3),
    (_async, 2),
    (_log, 1),
    (_error, 1),
    (_loop, 2),
)
