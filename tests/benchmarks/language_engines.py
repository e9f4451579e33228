"""The engines of the language benchmark. In: nothing. Out: per work, a statement to be timed.

A statement sees the event as the dict `event` and must leave a plain Python value. Each engine
does it in the way its documentation recommends for speed; where one cannot read a Python dict, the
conversion is part of the statement. Rivals are imported only when they are prepared.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from grammar import Limits, compile_condition, compile_script
from tests.benchmarks.language_event import ORDER

WORKS = ("W1", "W2", "W3", "compile")


@dataclass(frozen=True, slots=True)
class Statement:
    """What is timed, and the names it uses besides `event`."""

    text: str
    names: Mapping[str, Any]

    def once(self) -> Any:
        return eval(self.text, {"event": ORDER, **self.names})  # noqa: S307 - our own text


Statements = Mapping[str, Statement]

W1 = "event.event_type == 'order.created' && event.payload.total > 100"
W2 = """
let subtotal = 0.0;
for item in event.payload.items {
    subtotal += item.price * item.quantity;
}
let discount = if subtotal > 100.0 { subtotal * 0.1 } else { 0.0 };
let tax = (subtotal - discount) * 0.19;
#{subtotal: subtotal, discount: discount, tax: tax, total: subtotal - discount + tax}
"""
W3 = """
fn fib(n) { if n < 2 { n } else { fib(n - 1) + fib(n - 2) } }
fib(18)
"""
W3_LIMITS = Limits(operations=1_000_000)
"""8,361 calls are more than the 100,000 operations that a script gets unasked."""
PYTHON = """
def w1(event):
    return event["event_type"] == "order.created" and event["payload"]["total"] > 100
def w2(event):
    subtotal = 0.0
    for item in event["payload"]["items"]:
        subtotal += item["price"] * item["quantity"]
    discount = subtotal * 0.1 if subtotal > 100.0 else 0.0
    tax = (subtotal - discount) * 0.19
    return {"subtotal": subtotal, "discount": discount, "tax": tax,
            "total": subtotal - discount + tax}
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
"""
PYTHON_W2 = PYTHON[PYTHON.index("def w2") : PYTHON.index("def fib")]
JAVASCRIPT = """
function w1(text) {
  const event = JSON.parse(text);
  return event.event_type === "order.created" && event.payload.total > 100;
}
function w2(text) {
  let subtotal = 0.0;
  for (const item of JSON.parse(text).payload.items) subtotal += item.price * item.quantity;
  const discount = subtotal > 100.0 ? subtotal * 0.1 : 0.0;
  const tax = (subtotal - discount) * 0.19;
  return JSON.stringify({subtotal, discount, tax, total: subtotal - discount + tax});
}
function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
"""
JAVASCRIPT_W2 = JAVASCRIPT[JAVASCRIPT.index("function w2") : JAVASCRIPT.index("function fib")]
# lupa reads the dict in place. Its wrappers can outlive their objects: with LuaJIT and Lua 5.5 the
# loop then met a wrong item after some hundred events, so W1 and W2 run on Lua 5.4, which did not.
LUA_W2 = """
(function()
local len = python.builtins.len
return function(event)
  local subtotal = 0.0
  local items = event.payload.items
  for at = 0, len(items) - 1 do
    local item = items[at]
    subtotal = subtotal + item.price * item.quantity
  end
  local discount = 0.0
  if subtotal > 100.0 then discount = subtotal * 0.1 end
  local tax = (subtotal - discount) * 0.19
  return {subtotal = subtotal, discount = discount, tax = tax, total = subtotal - discount + tax}
end
end)()
"""
LUA_W1 = (
    "function(event) return event.event_type == 'order.created' and event.payload.total > 100 end"
)
LUA_W3 = """
(function()
  local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
  return fib
end)()
"""
JSONATA_W1 = "event_type = 'order.created' and payload.total > 100"
JSONATA_W2 = """(
  $subtotal := $sum(payload.items.(price * quantity));
  $discount := $subtotal > 100.0 ? $subtotal * 0.1 : 0.0;
  $tax := ($subtotal - $discount) * 0.19;
  {"subtotal": $subtotal, "discount": $discount, "tax": $tax, "total": $subtotal - $discount + $tax}
)"""
JSONATA_W3 = "($fib := function($n) { $n < 2 ? $n : $fib($n - 1) + $fib($n - 2) }; $fib(18))"


def greentic() -> Statements:
    run = "program.run({'event': event})"
    return {
        "W1": Statement(run, {"program": compile_condition(W1)}),
        "W2": Statement(run, {"program": compile_script(W2)}),
        "W3": Statement(run, {"program": compile_script(W3, limits=W3_LIMITS)}),
        "compile": Statement(
            "compile_script(text)", {"compile_script": compile_script, "text": W2}
        ),
    }


def native() -> Statements:
    space: dict[str, Any] = {}
    exec(PYTHON, space)  # noqa: S102 - our own text
    return _python(space, Statement("compile(text, 'w2', 'exec')", {"text": PYTHON_W2}))


def restricted_python() -> Statements:
    package = import_module("RestrictedPython")
    guards = import_module("RestrictedPython.Eval")
    space: dict[str, Any] = {
        "__builtins__": package.safe_builtins,
        "_getitem_": guards.default_guarded_getitem,
        "_getiter_": guards.default_guarded_getiter,
        "_inplacevar_": lambda _operator, left, right: left + right,
    }
    exec(package.compile_restricted(PYTHON, "bench", "exec"), space)  # noqa: S102 - our own text
    names = {"compile": package.compile_restricted, "text": PYTHON_W2}
    return _python(space, Statement("compile(text, 'w2', 'exec')", names))


def _python(space: Mapping[str, Any], compiling: Statement) -> Statements:
    return {
        "W1": Statement("w1(event)", {"w1": space["w1"]}),
        "W2": Statement("w2(event)", {"w2": space["w2"]}),
        "W3": Statement("fib(18)", {"fib": space["fib"]}),
        "compile": compiling,
    }


def common_expression_language() -> Statements:
    program = import_module("cel").compile(W1)
    return {"W1": Statement("program.execute({'event': event})", {"program": program})}


def cel_python() -> Statements:
    package = import_module("celpy")
    environment = package.Environment()
    program = environment.program(environment.compile(W1))
    names = {"program": program, "convert": package.json_to_cel}
    return {"W1": Statement("bool(program.evaluate({'event': convert(event)}))", names)}


def jsonata_python() -> Statements:
    jsonata = import_module("jsonata").Jsonata
    texts = {"W1": JSONATA_W1, "W2": JSONATA_W2, "W3": JSONATA_W3}
    run = "program.evaluate(event)"
    return {
        **{work: Statement(run, {"program": jsonata(text)}) for work, text in texts.items()},
        "compile": Statement("jsonata(text)", {"jsonata": jsonata, "text": JSONATA_W2}),
    }


def quickjs() -> Statements:
    codec = import_module("msgspec.json")
    context = import_module("quickjs").Context()
    context.eval(JAVASCRIPT)
    names = {"encode": codec.encode, "decode": codec.decode}
    call = "f(encode(event).decode())"
    return {
        "W1": Statement(call, {"f": context.get("w1"), **names}),
        "W2": Statement(f"decode({call})", {"f": context.get("w2"), **names}),
        "W3": Statement("fib(18)", {"fib": context.get("fib")}),
        "compile": Statement("evaluate(text)", {"evaluate": context.eval, "text": JAVASCRIPT_W2}),
    }


def lupa() -> Statements:
    runtime = import_module("lupa.lua54").LuaRuntime()
    w1, w2 = runtime.eval(LUA_W1), runtime.eval(LUA_W2)
    fib = import_module("lupa.luajit21").LuaRuntime().eval(LUA_W3)
    return {
        "W1": Statement("f(event)", {"f": w1}),
        "W2": Statement("dict(f(event))", {"f": w2}),
        "W3": Statement("fib(18)", {"fib": fib}),
        "compile": Statement("evaluate(text)", {"evaluate": runtime.eval, "text": LUA_W2}),
    }


ENGINES: tuple[tuple[str, str | None, Callable[[], Statements]], ...] = (
    ("greentic", None, greentic),
    ("native Python", None, native),
    ("RestrictedPython", "RestrictedPython", restricted_python),
    ("common-expression-language", "cel", common_expression_language),
    ("cel-python", "celpy", cel_python),
    ("jsonata-python", "jsonata", jsonata_python),
    ("quickjs", "quickjs", quickjs),
    ("lupa", "lupa", lupa),
)
"""Name, module to look for, and what prepares it."""
