"""Flows of two tenants: what both have, what the victim has, and what the attacker tries with."""

import json
from typing import Any

from tests.support.two_tenants import MARK

MANIFEST = """
apps: {both: {}, evil: {}, good: {}}
tenants:
  acme: {apps: [both, evil]}
  acme-eu: {apps: [both, good]}
"""


def a_flow(name: str, event_type: str, *nodes: dict[str, Any], **more: Any) -> str:
    chained = [
        {"next": "done" if "on_error" in node else following, **node}
        for node, following in zip(nodes, [*(n["id"] for n in nodes[1:]), "done"], strict=True)
    ]
    trigger = {"type": "event", "event_type": event_type, "target": nodes[0]["id"]}
    return json.dumps(
        {"name": name, "version": "1", "triggers": [trigger], "nodes": chained, **more}
    )


def a_script(node: str, text: str, **more: Any) -> dict[str, Any]:
    return {"id": node, "type": "script", "config": {"script": text}, **more}


def a_node(node: str, kind: str, config: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": node, "type": kind, "config": config, **more}


NAP = a_node("nap", "wait", {"for": "{{payload.for}}"})
KEEP = a_node("keep", "state", {"action": "set", "key": "pin", "value": "{{payload.value}}"})
FAIL = a_node("fail", "error", {"message": "no: {{payload.value}}"})
TELL = a_node("tell", "event", {"event_type": "twin.told", "payload": {"of": "{{tenant_id}}"}})
CLOCK = {
    "name": "clock",
    "version": "1",
    "triggers": [{"type": "timer", "cron": "0 0 1 1 *", "target": "say"}],
    "nodes": [a_node("say", "template", {"template": "tick"}, next="done")],
}
HOLD = {"concurrency": {"limit": 1, "scope": "tenant"}}
BOTH = {
    "twin": a_flow(
        "twin", "twin.asked", a_script("add", "state.n = (state.n ?? 0) + 1; state.n"), NAP, TELL
    ),
    "fail": a_flow("fail", "order.failed", FAIL),
    "sleep": a_flow("sleep", "sleep.asked", NAP),
    "hold": a_flow("hold", "hold.asked", NAP, config=HOLD),
    "line": a_flow("line", "line.asked", NAP, config={"ordered": "payload.key"}),
    "clock": json.dumps(CLOCK),
}
FORMULA = a_script("value", "formula()", on_error="tried")
TRIED = a_node("tried", "template", {"template": "{{json error}}"})
GOOD = {
    "formula": a_flow("formula", "formula.asked", FORMULA, TRIED),
    "keep": a_flow("keep", "keep.asked", KEEP),
    "private": a_flow("private/keep", "private.asked", a_script("say", f'"{MARK}"')),
}
SPY = a_script("see", "payload")
EVIL = {
    "formula": a_flow("formula", "formula.asked", FORMULA, TRIED),
    "all": a_flow("all", ">", SPY),
    "stars": a_flow("stars", "*.*", SPY),
    "tenant": a_flow("tenant", "acme-eu.*", SPY),
    "read": a_flow("read", "read.asked", a_node("got", "state", {"action": "get", "key": "{{payload.key}}"})),
    "write": a_flow("write", "write.asked", a_node("put", "state", {"action": "set", "key": "{{payload.key}}", "value": "stolen"})),
    "remove": a_flow("remove", "remove.asked", a_node("cut", "state", {"action": "delete", "key": "{{payload.key}}"})),
    "script": a_flow("script", "script.asked", a_script("got", "let got = state.get(payload.key); state.set(payload.key, 1); got")),
    "call": a_flow("call", "call.asked", a_node("go", "flow2flow", {"target_flow": "{{payload.flow}}", "pass_context": True}, on_error="tried"), TRIED),
    "start": a_flow("start", "start.asked", a_node("go", "async", {"flow": "{{payload.flow}}"}, on_error="tried"), TRIED),
    "emit": a_flow("emit", "emit.asked", a_node("go", "event", {"event_type": "{{payload.type}}", "payload": 1}, on_error="tried"), TRIED),
    "pin": a_flow("pin", "pin.asked", a_node("go", "http", {"url": "ECHO/echo", "headers": {"x-pin": "{{secrets.PIN}}"}}, on_error="tried"), TRIED),
    "only": a_flow("only", "only.asked", a_node("go", "http", {"url": "ECHO/echo", "body": "{{secrets.ONLY}}"}, on_error="tried"), TRIED),
    "other": a_flow("other", "other.asked", a_node("go", "http", {"url": "ECHO/echo", "body": "{{lookup secrets payload.name}}"}, on_error="tried"), TRIED),
    "who": a_flow("who", "who.asked", a_node("go", "flow2flow", {"target_flow": "who/inner", "input": "{{payload}}", "pass_context": True})),
    "inner": a_flow("who/inner", "who.inner", a_node("put", "state", {"action": "set", "key": "who", "value": 1}), a_node("say", "template", {"template": "{{tenant_id}} {{env}} {{lookup state 'pin'}}"})),
    "log": a_flow("log", "log.asked", a_node("say", "log", {"message": "{{payload.text}}"})),
}  # fmt: skip
APPS = {"both": BOTH, "good": GOOD, "evil": EVIL}
