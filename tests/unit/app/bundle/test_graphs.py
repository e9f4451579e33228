"""Flows as pictures, right or wrong."""

from typing import Any

from app.bundle.graphs import FlowGraph, as_dot, as_mermaid, build_graph

FLOW: dict[str, Any] = {
    "name": "orders",
    "triggers": [
        {"type": "event", "event_type": "order.*", "target": "check"},
        {"type": "timer", "cron": "0 * * * *", "target": "check"},
        {"type": "default", "target": "nowhere"},
    ],
    "nodes": [
        {
            "id": "check",
            "type": "branch",
            "config": {
                "conditions": [{"expression": 'a["x"] < 1', "next": "work"}],
                "default": "ignore",
            },
            "on_error": "work",
        },
        {"id": "work", "type": "script", "next": "respond"},
    ],
}


def drawn(data: Any) -> FlowGraph:
    graph = build_graph(data)
    assert graph is not None
    return graph


def test_a_graph_has_triggers_nodes_ends_and_what_is_missing() -> None:
    document = drawn(FLOW).as_document()
    assert {node["id"]: node["kind"] for node in document["nodes"]} == {
        "trigger:1": "trigger",
        "trigger:2": "trigger",
        "trigger:3": "trigger",
        "check": "node",
        "work": "node",
        "nowhere": "missing",
        "ignore": "end",
        "respond": "end",
    }
    assert [(edge["from"], edge["to"], edge["kind"]) for edge in document["edges"]] == [
        ("trigger:1", "check", "trigger"),
        ("trigger:2", "check", "trigger"),
        ("trigger:3", "nowhere", "trigger"),
        ("check", "work", "condition"),
        ("check", "ignore", "default"),
        ("check", "work", "on_error"),
        ("work", "respond", "next"),
    ]


def test_mermaid_is_drawn_exactly() -> None:
    assert as_mermaid(drawn(FLOW)) == (
        "%% orders\n"
        "flowchart TD\n"
        '  n0(["event order.*"])\n'
        '  n1(["timer 0 * * * *"])\n'
        '  n2(["default"])\n'
        '  n3["check<br/>branch"]\n'
        '  n4["work<br/>script"]\n'
        '  n5{{"nowhere ?"}}\n'
        '  n6(("ignore"))\n'
        '  n7(("respond"))\n'
        "  n0 --> n3\n"
        "  n1 --> n3\n"
        "  n2 --> n5\n"
        '  n3 -->|"a[#quot;x#quot;] #lt; 1"| n4\n'
        '  n3 -->|"default"| n6\n'
        '  n3 -.->|"on error"| n4\n'
        "  n4 --> n7\n"
    )


def test_dot_is_quoted() -> None:
    text = as_dot(drawn(FLOW))
    assert text.startswith('digraph "orders" {\n')
    assert '"check" -> "work" [label="a[\\"x\\"] < 1"];' in text
    assert '"check" -> "work" [label="on error", style=dashed];' in text
    assert '"nowhere" [label="nowhere ?", shape=diamond];' in text


def test_what_is_no_flow_has_no_picture() -> None:
    wrong: list[Any] = [None, [], {}, {"nodes": 5}, {"nodes": [1, {"id": 2}]}]
    for data in wrong:
        assert build_graph(data) is None


def test_broken_parts_are_left_out() -> None:
    graph = drawn(
        {
            "nodes": [{"id": "a", "config": 5, "next": 7}, "x"],
            "triggers": [{"target": 3}, 4],
        }
    )
    assert graph.name == "?"
    assert graph.edges == ()
    assert [node.label for node in graph.nodes] == ["?", "a\n?"]


def test_long_conditions_are_cut() -> None:
    condition = {"expression": "x " * 100, "next": "done"}
    graph = drawn({"nodes": [{"id": "a", "config": {"conditions": [condition, {"next": 1}]}}]})
    label = graph.edges[0].label
    assert label is not None
    assert len(label) == 60
    assert label.endswith("…")
