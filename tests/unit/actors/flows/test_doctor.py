"""The doctor. In: flows with something wrong. Out: every finding, at its place."""

from collections.abc import Callable
from typing import Any

import pytest

from actors.diagnostics import Diagnostic
from actors.flows.doctor import called_flows, examine, read_graph
from actors.nodes.resources import FlowResources

Flow = Callable[..., dict[str, Any]]
Examine = Callable[..., list[Diagnostic]]


def log(name: str, following: str | None = None, **more: Any) -> dict[str, Any]:
    node = {"id": name, "type": "log", "config": {"message": "x"}, **more}
    return node if following is None else {**node, "next": following}


def codes(found: list[Diagnostic]) -> list[str]:
    return [item.code for item in found]


def test_right_flow_has_no_findings(flow: Flow, findings: Examine) -> None:
    assert findings(flow()) == []


def test_everything_is_told_at_once_in_document_order(flow: Flow, findings: Examine) -> None:
    document = flow(
        {"id": "a", "type": "scirpt", "next": "b"},
        {"id": "b", "type": "script", "config": {"script": "1 +"}, "next": "nowhere"},
        log("c", "d"),
        log("d", "c"),
        {"id": "e", "type": "http", "config": {"ulr": "x"}},
        triggers=[
            {"type": "event", "event_type": "x.result", "target": "a"},
            {"type": "timer", "cron": "61 * * * *", "target": "c"},
        ],
        config={"timeout": 0, "batch": {"max_size": 3}},
    )
    found = [(item.code, item.path) for item in findings(document)]
    assert found == [
        ("flow.missing_key", ("config", "batch", "max_wait")),
        ("flow.bad_value", ("config", "timeout")),
        ("flow.unknown_node_type", ("nodes", 0, "type")),
        ("flow.script", ("nodes", 1, "config", "script")),
        ("flow.dangling_target", ("nodes", 1, "next")),
        ("flow.endless_loop", ("nodes", 2, "next")),
        ("flow.unknown_key", ("nodes", 4, "config", "ulr")),
        ("flow.missing_key", ("nodes", 4, "config", "url")),
        ("flow.unreachable_node", ("nodes", 4, "id")),
        ("flow.bad_event_type", ("triggers", 0, "event_type")),
        ("flow.bad_cron", ("triggers", 1, "cron")),
    ]


@pytest.mark.parametrize("document", [None, [], "text", {}, {"nodes": 3, "triggers": {}}])
def test_any_document_can_be_examined(document: object, findings: Examine) -> None:
    assert any(item.severity == "error" for item in findings(document))


def test_document_that_is_no_json_is_an_error(flow: Flow, findings: Examine) -> None:
    found = findings(flow(log("a", config={"message": object()})))
    assert [(item.code, item.path) for item in found] == [
        ("flow.not_json", ("nodes", 0, "config", "message"))
    ]


@pytest.mark.parametrize(
    "broken", [3, None, [], {}, {"id": 3}, {"id": "x", "type": []}, {"type": "event"}]
)
def test_broken_node_or_trigger_hides_nothing_else(
    flow: Flow, findings: Examine, broken: Any
) -> None:
    document = flow(log("a", "nowhere"))
    document["nodes"].append(broken)
    document["triggers"].append(broken)
    found = findings(document)
    assert "flow.dangling_target" in codes(found)
    assert any(item.path[:2] == ("nodes", 1) for item in found)
    assert any(item.path[:2] == ("triggers", 1) for item in found)


def test_id_of_a_broken_node_is_still_a_target(flow: Flow, findings: Examine) -> None:
    document = flow(
        log("a", "b"), {"id": "b", "type": "log", "timeout": "x", "next": "c"}, log("c")
    )
    assert codes(findings(document)) == ["flow.bad_value"]


def test_ways_of_a_broken_branch_are_still_ways(flow: Flow, findings: Examine) -> None:
    config = {"conditions": [{"expression": "true", "next": "b", "x": 1}, 3], "default": "c"}
    document = flow({"id": "a", "type": "branch", "config": config}, log("b"), log("c"))
    assert "flow.unreachable_node" not in codes(findings(document))


# ── Types ────────────────────────────────────────────────────────────────────────────────────


def test_unknown_node_type_gets_a_hint(flow: Flow, findings: Examine) -> None:
    (finding,) = findings(flow({"id": "a", "type": "htpp_response"}))
    assert finding.hint == "did you mean 'http_response'?"
    (finding,) = findings(flow({"id": "a", "type": "zzz"}))
    assert finding.hint is not None
    assert "script" in finding.hint


@pytest.mark.parametrize("node_type", ["message", "mcp-tool", "adaptive-card", "fast2flow"])
def test_documented_type_we_lack_is_a_warning(
    flow: Flow, findings: Examine, node_type: str
) -> None:
    node = {"id": "a", "type": node_type, "config": {"any": ["thing"]}, "next": "done"}
    (finding,) = findings(flow(node))
    assert (finding.severity, finding.code) == ("warning", "flow.unsupported_node")


@pytest.mark.parametrize("node_type", ["reply", "llm", "config"])
def test_type_of_a_later_version_is_an_error_that_names_it(
    flow: Flow, findings: Examine, node_type: str
) -> None:
    (finding,) = findings(flow({"id": "a", "type": node_type, "config": {"x": 1}}))
    assert (finding.severity, finding.code) == ("error", "flow.not_yet")
    assert node_type in finding.message


def test_what_asks_for_nothing_is_fine(flow: Flow, findings: Examine) -> None:
    config = {"isolated": False, "retry_policy": {"max_retries": 0}, "batch": None}
    assert findings(flow(config=config)) == []


def test_provider_that_the_bundle_lacks_is_an_error_that_names_it(flow: Flow) -> None:
    config = {"provider": "events-sms-twilio", "action": "send", "to": "+41", "body": "x"}
    document = flow({"id": "a", "type": "event", "config": config})
    assert examine(document, FlowResources()) == []  # a loose file: nobody knows its bundle
    (finding,) = examine(document, FlowResources(actions={}))
    assert (finding.code, finding.path) == (
        "flow.unknown_provider",
        ("nodes", 0, "config", "provider"),
    )


# ── Names ────────────────────────────────────────────────────────────────────────────────────


def test_duplicate_id_is_found_at_the_second(flow: Flow, findings: Examine) -> None:
    (finding,) = findings(flow(log("a", "done"), log("a", "done")))
    assert (finding.code, finding.path) == ("flow.duplicate_id", ("nodes", 1, "id"))


@pytest.mark.parametrize(
    "name",
    ["event", "payload", "headers", "query", "flow", "state", "tenant_id", "env", "team_id",
     "session_id", "message", "now", "secrets", "http_response", "script_result", "done", "end",
     "ignore"],
)  # fmt: skip
def test_reserved_id_is_refused(flow: Flow, findings: Examine, name: str) -> None:
    assert codes(findings(flow(log(name)))) == ["flow.reserved_id"]


def test_respond_may_be_a_node(flow: Flow, findings: Examine) -> None:
    assert findings(flow(log("a", "respond"), log("respond"))) == []


def test_output_may_not_hide_a_name_of_the_run(flow: Flow, findings: Examine) -> None:
    assert codes(findings(flow(log("a", output="payload")))) == ["flow.reserved_output"]
    assert findings(flow(log("a", output="http_response"))) == []


def test_word_of_the_language_as_a_name_is_a_warning(flow: Flow, findings: Examine) -> None:
    found = findings(flow(log("switch", output="loop")))
    assert [(item.severity, item.code) for item in found] == [("warning", "flow.keyword_name")] * 2


def test_output_in_and_beside_the_config_must_agree(flow: Flow, findings: Examine) -> None:
    config = {"action": "get", "key": "k", "output": "x"}
    node = {"id": "a", "type": "state", "config": config}
    assert findings(flow({**node, "output": "x"})) == []
    assert codes(findings(flow({**node, "output": "y"}))) == ["flow.two_outputs"]
    reserved = {**node, "config": {**config, "output": "now"}}
    assert codes(findings(flow(reserved))) == ["flow.reserved_output"]


# ── Targets and shape ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("target", ["done", "end", "ignore", "respond"])
def test_reserved_targets_need_no_node(flow: Flow, findings: Examine, target: str) -> None:
    assert findings(flow(log("a", target, on_error=target))) == []


def test_every_kind_of_dangling_target_is_found(flow: Flow, findings: Examine) -> None:
    branch = {
        "id": "a", "type": "branch", "next": "n1",
        "config": {"conditions": [{"expression": "true", "next": "handle_pr"}]}, "on_error": "n2",
    }  # fmt: skip
    document = flow(branch)
    document["triggers"].append({"type": "default", "target": "n3"})
    found = {item.path: item for item in findings(document) if item.code == "flow.dangling_target"}
    assert set(found) == {
        ("nodes", 0, "next"),
        ("nodes", 0, "on_error"),
        ("nodes", 0, "config", "conditions", 0, "next"),
        ("triggers", 1, "target"),
    }
    hint = found["nodes", 0, "config", "conditions", 0, "next"].hint
    assert hint is not None
    assert "done" in hint


def test_dangling_target_gets_the_closest_name(flow: Flow, findings: Examine) -> None:
    found = findings(flow(log("a", "send_mial"), log("send_mail", "a")))
    assert found[0].hint == "did you mean 'send_mail'?"


def test_unreachable_node_is_a_warning(flow: Flow, findings: Examine) -> None:
    (finding,) = findings(flow(log("a"), log("b")))
    assert (finding.severity, finding.path) == ("warning", ("nodes", 1, "id"))


def test_node_that_only_an_ignored_trigger_reaches_is_reachable(
    flow: Flow, findings: Examine
) -> None:
    document = flow(log("a"), log("b"))
    document["triggers"].append({"type": "message", "target": "b", "pattern": "hi"})
    assert codes(findings(document)) == ["flow.unsupported_trigger"]
    labels = [edge.label for edge in read_graph(document, FlowResources()).edges]
    assert "" in labels


def test_loop_without_exit_is_an_error(flow: Flow, findings: Examine) -> None:
    (finding,) = findings(flow(log("a", "b"), log("b", "c"), log("c", "b")))
    assert (finding.code, finding.path) == ("flow.endless_loop", ("nodes", 1, "next"))
    assert "b → c → b" in finding.message


def test_loop_with_an_exit_is_fine(flow: Flow, findings: Examine) -> None:
    config = {"conditions": [{"expression": "payload.n > 3", "next": "done"}], "default": "a"}
    assert findings(flow(log("a", "b"), {"id": "b", "type": "branch", "config": config})) == []
    assert findings(flow(log("a", "b"), log("b", "a", on_error="done"))) == []


def test_next_that_is_never_taken_is_a_warning(flow: Flow, findings: Examine) -> None:
    config = {"conditions": [{"expression": "true", "next": "done"}], "default": "end"}
    branch = {"id": "a", "type": "branch", "config": config, "next": "ignore"}
    (finding,) = findings(flow(branch))
    assert (finding.code, finding.severity) == ("flow.unused_next", "warning")
    error = {"id": "a", "type": "error", "config": {"message": "x"}, "next": "done"}
    assert codes(findings(flow(error))) == ["flow.unused_next"]


def test_flow_that_nothing_starts_is_a_warning(flow: Flow, findings: Examine) -> None:
    found = findings(flow(log("a"), triggers=[]))
    assert [(item.severity, item.code) for item in found] == [("warning", "flow.no_trigger")]


def test_too_many_nodes_are_refused(flow: Flow, findings: Examine) -> None:
    nodes = [log(f"n{number}", f"n{number + 1}") for number in range(500)] + [log("n500")]
    assert "flow.too_many" in codes(findings(flow(*nodes)))
    assert findings(flow(*nodes[:499], log("n499"))) == []


def test_empty_flow_is_refused(flow: Flow, findings: Examine) -> None:
    document = flow(nodes=[], triggers=[])
    assert codes(findings(document)) == ["flow.bad_value"]


# ── Other flows and events ───────────────────────────────────────────────────────────────────


def call(name: str, target: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "flow2flow", "config": {"target_flow": target}, **more}


@pytest.mark.parametrize("known", [{"mail", "orders"}, {"mail": ["x"], "orders": []}])
def test_unknown_flow_gets_a_hint(flow: Flow, findings: Examine, known: Any) -> None:
    start = {"id": "b", "type": "async", "config": {"flow": "nowhere"}}
    found = findings(flow(call("a", "mali", next="b"), start), known)
    assert [(item.code, item.path) for item in found] == [
        ("flow.unknown_flow", ("nodes", 0, "config", "target_flow")),
        ("flow.unknown_flow", ("nodes", 1, "config", "flow")),
    ]
    assert found[0].hint == "did you mean 'mail'?"
    assert findings(flow(call("a", "mail")), known) == []


def test_flows_that_are_not_known_are_not_judged(flow: Flow, findings: Examine) -> None:
    assert findings(flow(call("a", "mali")), None) == []


def test_flow_that_always_calls_itself_is_an_error(flow: Flow, findings: Examine) -> None:
    (finding,) = findings(flow(call("a", "orders")), {"orders"})
    assert (finding.severity, finding.code) == ("error", "flow.endless_recursion")


def test_flow_that_may_call_itself_is_a_warning(flow: Flow, findings: Examine) -> None:
    config = {"conditions": [{"expression": "payload.n > 3", "next": "done"}], "default": "b"}
    document = flow({"id": "a", "type": "branch", "config": config}, call("b", "orders"))
    (finding,) = findings(document, {"orders"})
    assert (finding.severity, finding.code) == ("warning", "flow.recursion")
    assert "orders → orders" in finding.message


def test_call_that_comes_back_through_others_is_a_warning(flow: Flow, findings: Examine) -> None:
    known = {"orders": ["mail"], "mail": ["audit", "x"], "audit": ["mail", "orders"], "x": []}
    (finding,) = findings(flow(call("a", "mail")), known)
    assert "orders → mail → audit → orders" in finding.message


def test_nesting_too_deep_is_a_warning(flow: Flow, findings: Examine) -> None:
    known = {f"f{n}": [f"f{n + 1}"] for n in range(1, 9)} | {"f9": [], "f8": []}
    assert findings(flow(call("a", "f1")), known) == []
    (finding,) = findings(flow(call("a", "f1")), known | {"f8": ["f9"]})
    assert finding.code == "flow.nesting"


def test_called_flows_are_told(flow: Flow) -> None:
    document = flow(call("a", "mail", next="b"), call("b", "{{payload.x}}"))
    assert called_flows(document, FlowResources()) == {"mail"}


@pytest.mark.parametrize("pattern", ["order.created", "order.*", ">"])
def test_event_that_feeds_its_own_flow_is_a_warning(
    flow: Flow, findings: Examine, pattern: str
) -> None:
    node = {"id": "a", "type": "event", "config": {"event_type": "order.created"}}
    trigger = {"type": "event", "event_type": pattern, "target": "a"}
    (finding,) = findings(flow(node, triggers=[trigger]))
    assert (finding.severity, finding.code) == ("warning", "flow.event_loop")


def test_event_for_others_is_fine(flow: Flow, findings: Examine) -> None:
    node = {"id": "a", "type": "event", "config": {"event_type": "order.paid"}}
    assert findings(flow(node)) == []


# ── The picture ──────────────────────────────────────────────────────────────────────────────


def test_graph_has_every_way(flow: Flow) -> None:
    config = {"conditions": [{"expression": "true", "next": "b"}], "default": "done"}
    document = flow({"id": "a", "type": "branch", "config": config, "on_error": "b"}, log("b"))
    document["triggers"] += [
        {"type": "timer", "cron": "0 9 * * *", "target": "a"},
        {"type": "default", "target": "b"},
    ]
    graph = read_graph(document, FlowResources())
    assert graph.nodes == ("a", "b")
    assert graph.roots == ("a", "a", "b")
    assert {(e.source, e.target, e.kind, e.label) for e in graph.edges} == {
        ("a", "b", "condition", "true"),
        ("a", "done", "default", ""),
        ("a", "b", "error", ""),
        ("b", None, "next", ""),
        ("trigger 1", "a", "trigger", "order.created"),
        ("trigger 2", "a", "trigger", "0 9 * * *"),
        ("trigger 3", "b", "trigger", "default"),
    }
