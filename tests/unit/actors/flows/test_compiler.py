"""The compiler. In: documents. Out: flows ready to run, or every diagnostic."""

from collections.abc import Callable
from typing import Any

import pytest

from actors.diagnostics import Diagnostic
from actors.errors import DefinitionError
from actors.flows.compiler import compile_flow
from actors.nodes.resources import FlowResources
from actors.nodes.step import WaitingNode
from actors.nodes.unsupported import UnsupportedNode

Flow = Callable[..., dict[str, Any]]
NONE = FlowResources()


def test_nodes_know_where_they_lead(flow: Flow) -> None:
    document = flow(
        {
            "id": "fetch", "type": "http", "config": {"url": "https://x"}, "next": "keep",
            "on_error": "done", "output": "answer", "timeout": 1500,
        },
        {"id": "keep", "type": "state", "config": {"action": "get", "key": "k", "output": "old"}},
        config={"timeout": 60_000},
        variables={"limit": 3},
    )  # fmt: skip
    compiled = compile_flow(document, NONE, known_flows={"orders"})
    assert (compiled.name, compiled.version) == ("orders", "1.0")
    assert compiled.timeout_seconds == 60
    assert compiled.variables == {"limit": 3}
    fetch, keep = compiled.nodes.values()
    assert (fetch.id, fetch.type, fetch.next, fetch.on_error) == ("fetch", "http", "keep", "done")
    assert (fetch.output, fetch.value_name) == ("answer", "http_response")
    assert fetch.timeout_seconds == 1.5
    assert not fetch.is_inline
    assert (keep.output, keep.value_name, keep.next) == ("old", None, None)


@pytest.mark.parametrize(
    ("node_type", "config", "is_inline"),
    [
        ("script", {"script": "1"}, True),
        ("script", {"script": "state.get('x')"}, False),
        ("log", {"message": "{{payload}}"}, True),
        ("log", {"message": "{{state.x}}"}, False),
        ("http_response", {"body": 1}, True),
        ("event", {"event_type": "a"}, False),
    ],
)
def test_inline_is_decided_at_compile_time(
    flow: Flow, node_type: str, config: dict[str, Any], is_inline: bool
) -> None:
    document = flow({"id": "a", "type": node_type, "config": config})
    node = compile_flow(document, NONE).nodes["a"]
    assert node.is_inline is is_inline
    assert isinstance(node.behaviour, WaitingNode) is not is_inline


def test_errors_refuse_the_flow_with_all_diagnostics(flow: Flow) -> None:
    document = flow({"id": "a", "type": "log", "next": "x"}, {"id": "b", "type": "nope"})
    with pytest.raises(DefinitionError, match=r"flow 'orders': .* \(and 2 more\)") as caught:
        compile_flow(document, NONE)
    codes = [item.code for item in caught.value.diagnostics if isinstance(item, Diagnostic)]
    assert codes == [
        "flow.missing_key", "flow.dangling_target", "flow.unreachable_node",
        "flow.unknown_node_type",
    ]  # fmt: skip


def test_warnings_do_not_refuse_the_flow(flow: Flow) -> None:
    document = flow({"id": "a", "type": "mcp-tool", "config": {"tool": "x"}})
    node = compile_flow(document, NONE).nodes["a"]
    assert node.behaviour == UnsupportedNode("mcp-tool")
    assert node.is_inline


LOG = {"id": "a", "type": "log", "config": {"message": "x"}}


@pytest.mark.parametrize(
    ("nodes", "can_answer"),
    [
        ([LOG], False),
        ([{**LOG, "next": "respond"}], True),
        ([{**LOG, "on_error": "respond"}], True),
        ([{**LOG, "next": "respond"}, {**LOG, "id": "respond"}], False),
        ([{"id": "a", "type": "http_response"}], True),
        ([{"id": "a", "type": "flow2flow", "config": {"target_flow": "b"}}], True),
        ([{"id": "a", "type": "async", "config": {"flow": "b"}}], False),
        (
            [{"id": "a", "type": "branch",
              "config": {"conditions": [{"expression": "true", "next": "respond"}]}}],
            True,
        ),
    ],
)  # fmt: skip
def test_whether_a_webhook_may_wait_is_known(flow: Flow, nodes: Any, can_answer: bool) -> None:
    assert compile_flow(flow(*nodes), NONE).can_answer is can_answer


def test_trigger_may_lead_to_respond_at_once(flow: Flow) -> None:
    document = flow(triggers=[{"type": "event", "event_type": "a", "target": "respond"}])
    assert compile_flow(document, NONE).can_answer


def test_called_and_started_flows_are_known(flow: Flow) -> None:
    document = flow(
        {"id": "a", "type": "flow2flow", "config": {"target_flow": "b"}, "next": "c"},
        {"id": "c", "type": "async", "config": {"flow": "d"}},
    )
    assert compile_flow(document, NONE).calls == {"b", "d"}


def with_files(flow: Flow, template: str = "hi") -> dict[str, Any]:
    return flow(
        {"id": "a", "type": "script", "config": {"script_file": "./s.rhai"}, "next": "b"},
        {"id": "b", "type": "template", "config": {"template_file": "t.hbs"}, "next": "c"},
        {"id": "c", "type": "template", "config": {"template": template}},
    )


def resources(**changes: Any) -> FlowResources:
    scripts = {"s.rhai": "1", "other.rhai": "2"}
    templates = {"t.hbs": "x", "other.hbs": "y"}
    return FlowResources(**{"scripts": scripts, "templates": templates, **changes})


def test_digest_repeats_itself(flow: Flow) -> None:
    document = with_files(flow)
    backwards = dict(reversed(document.items()))
    first = compile_flow(document, resources()).digest
    assert compile_flow(backwards, resources()).digest == first


@pytest.mark.parametrize(
    "changes",
    [
        {"scripts": {"s.rhai": "2"}},
        {"templates": {"t.hbs": "z"}},
        {"library_digest": "abc"},
        {"timezone": "Asia/Tokyo"},
    ],
)
def test_digest_tells_of_everything_used(flow: Flow, changes: dict[str, Any]) -> None:
    document = with_files(flow)
    before = compile_flow(document, resources()).digest
    assert compile_flow(document, resources(**changes)).digest != before
    changed = {**document, "description": "new"}
    assert compile_flow(changed, resources()).digest != before


def test_digest_ignores_what_is_not_used(flow: Flow) -> None:
    document = with_files(flow)
    before = compile_flow(document, resources()).digest
    other = resources(
        scripts={"s.rhai": "1", "other.rhai": "9"}, templates={"t.hbs": "x", "other.hbs": "z"}
    )
    assert compile_flow(document, other).digest == before


def test_digest_of_a_flow_with_partials_tells_of_every_template(flow: Flow) -> None:
    document = with_files(flow, "{{> other}}")
    before = compile_flow(document, resources()).digest
    other = resources(templates={"t.hbs": "x", "other.hbs": "z"})
    assert compile_flow(document, other).digest != before
