"""Kept flows: what comes back from their document runs as what was kept, or does not come back."""

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from actors.errors import DefinitionError
from actors.events import Event
from actors.flows.compiled import CompiledFlow
from actors.flows.compiler import compile_flow
from actors.flows.keeping import FORMAT, flows_document, restore_flows
from actors.nodes.resources import ActionForms, FlowResources
from actors.outcomes import Completed
from actors.testing.actions import MemoryActions
from actors.testing.clock import VirtualClock
from actors.testing.http import MemoryHttp
from actors.testing.ids import CountingIds
from actors.testing.local import LocalWorld, run_locally
from grammar import compile_functions
from tests.support.builders import a_flow, by_name

Document = dict[str, Any]


class Arguments(BaseModel):
    """What the action takes."""

    model_config = ConfigDict(extra="forbid")

    to: str
    html: str


@dataclass(frozen=True)
class Form:
    """An action as the bundle knows it."""

    arguments: type[BaseModel] = Arguments
    html_arguments: frozenset[str] = frozenset({"html"})


ACTIONS: ActionForms = {"events-mail": {"send": Form()}}
TAX = "fn tax(n) { cent(n) * 2 }"
CENT = "fn cent(n) { n * 100 }"
RESOURCES = FlowResources(
    library=compile_functions(TAX, name="scripts/tax.rhai").merge(
        compile_functions(CENT, name="scripts/cent.rhai")
    ),
    scripts={"scripts/price.rhai": "tax(payload.n) + 1", "scripts/unused.rhai": "0"},
    templates={
        "templates/mail.hbs": "{{> greeting}} it costs {{price}}",
        "templates/greeting.hbs": "Hello {{payload.name}},",
    },
    timezone="Europe/Berlin",
    actions=ACTIONS,
    library_digest="of-tax-and-cent",
)


def compiled(
    flow: Callable[..., Document], *nodes: Any, resources: FlowResources = RESOURCES, **top: Any
) -> CompiledFlow:
    return compile_flow(flow(*nodes, **top), resources)


@pytest.fixture
def shop(flow: Callable[..., Document]) -> Mapping[str, CompiledFlow]:
    """Flows that use everything a bundle has to offer."""
    price = {"id": "price", "type": "script", "config": {"script_file": "scripts/price.rhai"}}
    mail = {"id": "text", "type": "template", "config": {"template_file": "templates/mail.hbs"}}
    send = {
        "id": "send",
        "type": "event",
        "config": {
            "provider": "events-mail",
            "action": "send",
            "to": "{{payload.name}}@example.org",
            "html": "<p>{{payload.name}}</p>",
        },
    }
    call = {
        "id": "call",
        "type": "flow2flow",
        "config": {"target_flow": "billing", "input": "{{payload}}"},
    }
    nightly = {"type": "timer", "cron": "0 3 * * *", "target": "call"}
    main = flow(call | {"next": "send"}, send | {"next": "done"})
    main["triggers"].append(nightly)
    billing = flow(price | {"next": "text"}, mail, name="billing")
    return by_name(compile_flow(main, RESOURCES), compile_flow(billing, RESOURCES))


def kept(*flows: CompiledFlow) -> Any:
    """The document as the store has it."""
    return json.loads(json.dumps(flows_document(flows)))


async def told(flows: Mapping[str, CompiledFlow]) -> tuple[Any, Any]:
    """Run the first flow; give its output and what the provider was asked."""
    provider = MemoryActions(lambda _: {"sent": True})
    place = LocalWorld(
        "test", "demo", MemoryHttp(), VirtualClock(), CountingIds(), actions=provider
    )
    event = Event("evt-1", "order.created", "webhook", 0, {"n": 7, "name": "<ada>"})
    run = await run_locally(flows["orders"], flows, event, place)
    assert isinstance(run.outcome, Completed), run.outcome
    return run.path, [request.arguments for request in provider.requests]


async def test_what_comes_back_is_the_same_and_runs_the_same(
    shop: Mapping[str, CompiledFlow],
) -> None:
    restored = restore_flows(kept(*shop.values()), ACTIONS)
    assert {flow.digest for flow in restored.values()} == {flow.digest for flow in shop.values()}
    assert restored.keys() == shop.keys()
    path, arguments = await told(restored)
    assert (path, arguments) == await told(shop)
    assert path == ("call", "call/price", "call/text", "send")
    assert arguments == [{"to": "<ada>@example.org", "html": "<p>&lt;ada&gt;</p>"}]


async def test_what_comes_back_can_be_kept_again(shop: Mapping[str, CompiledFlow]) -> None:
    document = kept(*shop.values())
    restored = restore_flows(document, ACTIONS)
    again = kept(*restored.values())
    assert restore_flows(again, ACTIONS).keys() == shop.keys()
    assert [flow["digest"] for flow in again["flows"]] == [
        flow["digest"] for flow in document["flows"]
    ]


def test_the_timers_zone_comes_back(shop: Mapping[str, CompiledFlow]) -> None:
    timer = restore_flows(kept(*shop.values()), ACTIONS)["orders"].triggers[1]
    assert timer == shop["orders"].triggers[1]
    assert timer.schedule is not None
    assert timer.schedule.timezone == "Europe/Berlin"


def test_only_what_the_flow_uses_is_kept(shop: Mapping[str, CompiledFlow]) -> None:
    orders, billing = kept(*shop.values())["flows"]
    assert (orders["scripts"], orders["templates"]) == ({}, {})
    assert list(billing["scripts"]) == ["scripts/price.rhai"]
    assert billing["templates"] == RESOURCES.templates  # it includes one by name
    assert [name for name, _ in billing["library"]] == ["scripts/tax.rhai", "scripts/cent.rhai"]


def test_flow_control_and_retries_come_back(flow: Callable[..., Document]) -> None:
    policy = {"max_retries": 3, "backoff": "fixed"}
    call = {"id": "call", "type": "http", "config": {"url": "https://x.test", "retry": policy}}
    one = compiled(
        flow, call, config={"retry_policy": policy, "concurrency": {"limit": 1}, "timeout": 5000}
    )
    back = restore_flows(kept(one), ACTIONS)["orders"]
    assert (back.retry, back.control, back.timeout_seconds) == (one.retry, one.control, 5.0)
    assert back.nodes["call"].retry == one.nodes["call"].retry
    assert back.lane == one.lane == "orders"


def test_a_flow_without_anything_beside_it_is_kept_too(flow: Callable[..., Document]) -> None:
    one = compiled(flow, resources=FlowResources())
    assert restore_flows(kept(one), {})["orders"].digest == one.digest


def test_a_flow_that_only_starts_others_does_without_them(flow: Callable[..., Document]) -> None:
    start = {"id": "start", "type": "async", "config": {"flow": "elsewhere", "payload": {}}}
    one = compiled(flow, start)
    assert restore_flows(kept(one), ACTIONS)["orders"].calls == {"elsewhere"}


@pytest.mark.parametrize(
    "change",
    [
        lambda flow: flow["document"]["nodes"][0].update(next="done"),
        lambda flow: flow["document"].update(version="2.0"),
        lambda flow: flow["scripts"].update({"scripts/price.rhai": "tax(payload.n) + 2"}),
        lambda flow: flow["templates"].update({"templates/greeting.hbs": "Hi"}),
        lambda flow: flow.update(library_digest="of-others"),
        lambda flow: flow.update(timezone="UTC"),
        lambda flow: flow.update(digest="0" * 40),
    ],
    ids=["node", "version", "script", "partial", "library", "timezone", "digest"],
)
def test_what_was_changed_is_refused(
    shop: Mapping[str, CompiledFlow], change: Callable[[Any], None]
) -> None:
    document = kept(shop["billing"])
    assert restore_flows(copy.deepcopy(document), ACTIONS)
    change(document["flows"][0])
    with pytest.raises(ValueError, match="billing"):
        restore_flows(document, ACTIONS)


def test_a_script_that_is_missing_is_refused(shop: Mapping[str, CompiledFlow]) -> None:
    document = kept(shop["billing"])
    document["flows"][0]["scripts"] = {}
    with pytest.raises(DefinitionError):
        restore_flows(document, ACTIONS)


def test_a_provider_that_this_program_lacks_is_refused(
    shop: Mapping[str, CompiledFlow],
) -> None:
    with pytest.raises(DefinitionError, match="events-mail"):
        restore_flows(kept(shop["orders"]), {})


@pytest.mark.parametrize("number", [None, 0, FORMAT + 1, "1"])
def test_another_format_is_refused(number: Any) -> None:
    with pytest.raises(ValueError, match="unknown format"):
        restore_flows({"format": number, "flows": []}, ACTIONS)


@pytest.mark.parametrize("missing", ["digest", "document", "library", "library_digest"])
def test_a_part_that_is_missing_is_refused(shop: Mapping[str, CompiledFlow], missing: str) -> None:
    document = kept(shop["billing"])
    del document["flows"][0][missing]
    with pytest.raises(KeyError):
        restore_flows(document, ACTIONS)


def test_a_flow_made_by_hand_cannot_be_kept() -> None:
    with pytest.raises(ValueError, match="not compiled from a document"):
        flows_document([a_flow()])


def test_flows_with_other_libraries_keep_their_own(flow: Callable[..., Document]) -> None:
    """Two versions of a shared function in one document: neither gets the other's."""
    node = {"id": "price", "type": "script", "config": {"script": "tax(1)"}}
    flows = [
        compiled(
            flow, node, name=name,
            resources=replace(
                RESOURCES, library=compile_functions(text, name="tax.rhai"), library_digest=text
            ),
        )
        for name, text in (("one", "fn tax(n) { 1 }"), ("two", "fn tax(n) { 2 }"))
    ]  # fmt: skip
    back = restore_flows(kept(*flows), ACTIONS)
    sources = [back[name].source for name in ("one", "two")]
    texts = [
        part.place.text
        for source in sources
        if source is not None and source.resources.library is not None
        for part in source.resources.library.parts
    ]
    assert texts == ["fn tax(n) { 1 }", "fn tax(n) { 2 }"]
