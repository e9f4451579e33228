"""The bundles that are deployed: seeded variants of one set of flows, and what each of them wants.

In: a seed. Out: `Version`s, each a little different from the one before: flows come, go, change and
take up other types. Each flow's output names the version of the flow that made it.
"""

import itertools
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

DEFAULT: Final = "default"
"""In place of a pattern: the trigger that takes what no other one names."""
TYPES: Final = ("load.plain", "load.call", "load.sleep", "extra.one", "extra.two", "odd.thing")
"""Of the load's events. Those below ``load`` are always wanted, by ``watch``; the others at times."""
BURST: Final = "burst.made"
"""Of the bursts around a change, always wanted by ``busy``."""
CHANCE_OF_COMING: Final = 0.35
SPIN: Final = "let n = 0; for i in 0..1000 {{ n += i; }} n"
"""What ``busy`` computes three times before it tells: some milliseconds, of 5 that each may take."""
SLEEP_MS: Final = (300, 2500)

BROKEN: Final = (
    (
        'name: broken\nversion: "1"\n'
        "triggers: [{type: event, event_type: load.plain, target: nobody}]\n"
        "nodes: [{id: one, type: script, config: {script: '1'}}]\n"
    ),
    (
        'name: broken\nversion: "1"\n'
        "triggers: [{type: event, event_type: load.plain, target: one}]\n"
        "nodes: [{id: one, type: script, config: {script: 'let = 1'}}]\n"
    ),
)
"""Flows with a mistake, each of which refuses the whole bundle."""

_NODES: Final[Mapping[str, str]] = {
    "busy": "".join(
        f"\n  - {{{{id: {step}, type: script, config: {{{{script: {json.dumps(SPIN)}}}}}, next: {following}}}}}"
        for step, following in itertools.pairwise(("one", "two", "three", "tell"))
    ),
    "ring": """
  - {{id: call, type: http, config: {{method: POST, url: "{{{{payload.base}}}}/ok/{name}/{version}/{{{{payload.number}}}}"}}, next: tell}}""",
    "sleeper": """
  - {{id: first, type: template, config: {{template: "{version}"}}, next: sleep}}
  - {{id: sleep, type: wait, config: {{for: "{{{{payload.sleep_ms}}}}"}}, next: after}}
  - {{id: after, type: template, config: {{template: "{{{{first}}}} then {version}"}}}}""",
}
"""What comes after a flow's first step; the others just tell."""
_TELL: Final = """
  - {{id: tell, type: template, config: {{template: "{version}"}}}}"""
_FIRST: Final = """
nodes:
  - {{id: begin, type: log, config: {{message: "{begun} {version}"}}, next: {next}}}"""
BEGUN: Final = "deploys begin"
"""How each run's first step says which version it is of, in its process's log."""


@dataclass(frozen=True)
class Flow:
    """A flow as one bundle has it."""

    name: str
    version: int
    wants: tuple[str, ...]
    """Patterns of its triggers, or `DEFAULT`, in file order."""

    def triggers(self) -> Sequence[tuple[str, str]]:
        """Give each trigger's name and pattern."""
        return [(f"{self.name}#{number}", one) for number, one in enumerate(self.wants, 1)]

    def output(self) -> str:
        """Give what its runs come to."""
        text = str(self.version)
        return f"{text} then {text}" if self.name == "sleeper" else text

    def text(self) -> str:
        """Write its file."""
        rest = _NODES.get(self.name, "") + ("" if self.name == "sleeper" else _TELL)
        following = {"busy": "one", "ring": "call", "sleeper": "first"}.get(self.name, "tell")
        triggers = [
            {"type": "default", "target": "begin"}
            if one == DEFAULT
            else {"type": "event", "event_type": one, "target": "begin"}
            for one in self.wants
        ]
        head = f'name: {self.name}\nversion: "{self.version}"\ntriggers: {json.dumps(triggers)}'
        return head + (_FIRST + rest).format(
            name=self.name, version=self.version, begun=BEGUN, next=following
        )


@dataclass(frozen=True)
class Version:
    """One bundle."""

    number: int
    flows: Mapping[str, Flow] = field(default_factory=dict)

    def write(self, folder: Path, broken: str | None = None) -> Path:
        """Write it as a folder; ``broken``: with this flow too."""
        (folder / "flows").mkdir(parents=True)
        manifest = {"name": "deploys", "version": str(self.number)}
        (folder / "greentic.demo.yaml").write_text(json.dumps(manifest))
        (folder / "answers.json").write_text(json.dumps({"events-webhook": {"enabled": True}}))
        for flow in self.flows.values():
            (folder / "flows" / f"{flow.name}.ygtc").write_text(flow.text())
        if broken is not None:
            (folder / "flows" / "broken.ygtc").write_text(broken)
        return folder


def first_version() -> Version:
    """Give the version that all begins with."""
    flows = (
        Flow("watch", 1, ("load.>",)),
        Flow("steady", 1, ("load.plain",)),
        Flow("changing", 1, ("load.plain", "load.call")),
        Flow("ring", 1, ("load.call",)),
        Flow("sleeper", 1, ("load.sleep",)),
        Flow("busy", 1, (BURST,)),
    )
    return Version(1, {flow.name: flow for flow in flows})


_GUESTS: Final[Mapping[str, tuple[str, ...]]] = {
    "ring": ("load.call",),
    "extra": ("extra.*",),
    "one": ("extra.one",),
    "odd": ("odd.thing",),
    "rest": (DEFAULT,),
}
"""Flows that come and go."""


def next_version(before: Version, number: int, chance: random.Random) -> Version:
    """Change a version: ``changing`` and ``busy`` always do, and ``steady`` never."""
    flows = dict(before.flows)
    for name in ("watch", "sleeper", "ring", "extra", "rest"):
        if name in flows and chance.random() < CHANCE_OF_COMING:
            flows[name] = replace(flows[name], version=number)
    more = chance.random() < CHANCE_OF_COMING
    wants = ("load.plain", "load.call", *(("extra.two",) if more else ()))
    flows["changing"] = Flow("changing", number, wants)
    flows["busy"] = Flow("busy", number, (BURST,))
    for name, wants in _GUESTS.items():
        if chance.random() < CHANCE_OF_COMING and flows.pop(name, None) is None:
            flows[name] = Flow(name, number, wants)
    return Version(number, flows)
