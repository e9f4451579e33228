"""Flows in the documentation's style must load (SPEC 12.6). In: such flows. Out: they compile."""

from typing import Any

import pytest

from actors.diagnostics import has_errors
from actors.flows.compiler import compile_flow
from actors.flows.doctor import examine
from actors.nodes.resources import FlowResources

PUSHES = {
    "name": "repository_events",
    "version": "1.0",
    "nodes": [
        {
            "id": "route",
            "type": "branch",
            "config": {
                "conditions": [
                    {"expression": "headers['x-github-event'] == 'push'", "next": "count"},
                    {"expression": "headers['x-github-event'] == 'ping'", "next": "done"},
                ],
                "default": "ignore",
            },
        },
        {
            "id": "count",
            "type": "script",
            "config": {"script": 'let n = payload.commits.len();\n#{text: format!("{} new", n)}'},
            "next": "respond",
        },
    ],
    "triggers": [{"type": "event", "event_type": "github.push", "target": "route"}],
}

CALL_BACK = {
    "name": "support/call_back",
    "version": "2.1.0",
    "description": "Ask the desk to call somebody back",
    "variables": {"desk_url": "https://desk.test"},
    "config": {"timeout": 30_000, "logging": {"level": "info"}},
    "nodes": [
        {
            "id": "ask",
            "type": "http",
            "config": {
                "method": "POST",
                "url": "{{flow.desk_url}}/calls",
                "body": {"phone": "{{user_phone}}", "all": "{{event.payload}}"},
                "timeout": 5000,
            },
            "next": "check",
            "on_error": "tell",
        },
        {
            "id": "check",
            "type": "branch",
            "config": {
                "conditions": [{"expression": "http_response.status != 200", "next": "tell"}],
                "default": "done",
            },
        },
        {"id": "tell", "type": "log", "config": {"level": "error", "message": "{{http_response}}"}},
    ],
    "triggers": [
        {"type": "event", "event_type": "call.wanted", "target": "ask"},
        {"type": "timer", "cron": "*/5 * * * *", "target": "check", "timezone": "Europe/London"},
        {"type": "default", "target": "done"},
    ],
}

CHAT = {
    "name": "greeter",
    "version": "1.0.0",
    "nodes": [
        {"id": "card", "type": "adaptive-card", "config": {"card": "hello"}, "next": "tool"},
        {"id": "tool", "type": "mcp-tool", "config": {"tool": "x", "parameters": {}}},
    ],
    "triggers": [
        {"type": "message", "pattern": "hi", "target": "card"},
        {"type": "callback_query", "target": "tool"},
    ],
}


@pytest.mark.parametrize("document", [PUSHES, CALL_BACK, CHAT], ids=["pushes", "calls", "chat"])
def test_flow_loads(document: dict[str, Any]) -> None:
    assert not has_errors(examine(document, FlowResources()))
    assert compile_flow(document, FlowResources()).name == document["name"]


def test_only_messaging_parts_are_warned_of() -> None:
    assert examine(PUSHES, FlowResources()) == []
    assert examine(CALL_BACK, FlowResources()) == []
    assert {item.code for item in examine(CHAT, FlowResources())} == {
        "flow.unsupported_node",
        "flow.unsupported_trigger",
    }
