"""Binds names. In: a syntax tree. Out: a Resolution, and every diagnostic found on the way.

The walk recurses; its depth is the expression depth, which it limits before anything else.
Refuses nothing by itself: `resolve` in `grammar.resolver.check` raises what was found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from grammar.budget import Limits, utf8_bytes
from grammar.dialect import Dialect
from grammar.errors import Diagnostic
from grammar.resolver.model import Frame, Resolution, Variable
from grammar.resolver.switches import check_switch
from grammar.span import Span
from grammar.syntax import (
    ArrayLiteral,
    Assign,
    Binary,
    Block,
    Call,
    Closure,
    Do,
    For,
    FunctionDefinition,
    Group,
    If,
    Index,
    Jump,
    Let,
    Literal,
    Logical,
    MapLiteral,
    MethodCall,
    Name,
    Property,
    RangeOf,
    Script,
    Switch,
    Template,
    This,
    Try,
    Unary,
    While,
)

DIAGNOSTICS_MAX: Final = 50


class TooDeep(Exception):  # noqa: N818 - ends the walk, never leaves the package
    """The expression depth limit was passed at `span`."""

    def __init__(self, span: Span) -> None:
        super().__init__("too deep")
        self.span = span


class ScopeWalker:
    """One walk over one tree."""

    def __init__(self, limits: Limits, dialect: Dialect, mutators: frozenset[str]) -> None:
        self.found = Resolution()
        self.diagnostics: list[Diagnostic] = []
        self._limits = limits
        self._dialect = dialect
        self._mutators = mutators
        self._frame = Frame(None, None, is_function=False)
        self._scopes: list[dict[str, Variable]] = [{}]
        self._alive = 0
        self._loops = 0
        self._depth = 1
        self._depth_max = limits.expression_depth
        self._receivers: list[Variable] = []
        self._visits: dict[type, Callable[[Any], None]] = {
            Literal: self._literal, Name: self._name, This: self._this, Group: self._group,
            ArrayLiteral: self._array, MapLiteral: self._map, Template: self._template,
            Closure: self._closure, Unary: self._unary, Binary: self._pair, Logical: self._pair,
            RangeOf: self._range, Property: self._property, Index: self._index,
            MethodCall: self._method, Call: self._call, Block: self._block, If: self._if,
            Switch: self._switch, While: self._while, Do: self._do, For: self._for,
            Let: self._let, Assign: self._assign, Jump: self._jump, Try: self._try,
        }  # fmt: skip

    def script(self, tree: Script) -> None:
        """Walk a whole script: its functions first, so that their names are known."""
        for function in tree.functions:
            key = (function.name, len(function.parameters))
            if key in self.found.functions:
                count = f"{key[1]} parameter{'' if key[1] == 1 else 's'}"
                self._report(f"Function {key[0]} with {count} already exists", function.span)
            self.found.functions[key] = function
            self.found.function_names.add(function.name)
        if len(tree.functions) > self._limits.functions:
            self._report("Too many functions", tree.functions[-1].span)
        self.found.main = self._frame
        self._all(tree.statements)
        for function in tree.functions:
            self._function(function)
        if self.found.mutates_this:
            for variable in self._receivers:
                variable.is_owned = True

    def _report(
        self, message: str, span: Span, kind: str = "parse", hint: str | None = None
    ) -> None:
        if len(self.diagnostics) < DIAGNOSTICS_MAX:
            self.diagnostics.append(Diagnostic(kind, message, span, hint))

    def _visit(self, node: Any) -> None:
        self._depth += 1
        if self._depth > self._depth_max:
            raise TooDeep(node.span)
        self._visits[type(node)](node)
        self._depth -= 1

    def _all(self, nodes: Iterable[Any]) -> None:
        for node in nodes:
            self._visit(node)

    # Scopes

    def _declare(self, name: Name, *, constant: bool = False, source: Any = None) -> Variable:
        variable = Variable(name.name, len(self.found.uses), self._frame, is_constant=constant)
        variable.sources.append(source)
        self._scopes[-1][name.name] = variable
        self.found.uses[name] = variable
        self._alive += 1
        if self._alive > self._limits.variables:
            self._report("Too many variables", name.span, kind="limit_variables")
        return variable

    def _scoped(self, nodes: Iterable[Any], names: Iterable[Name] = ()) -> None:
        alive = self._alive
        self._scopes.append({})
        for name in names:
            self._declare(name)
        self._all(nodes)
        self._scopes.pop()
        self._alive = alive

    def _lookup(self, name: str) -> Variable | None:
        for scope in reversed(self._scopes):
            variable = scope.get(name)
            if variable is not None:
                return self._capture(variable)
        return None

    def _capture(self, variable: Variable) -> Variable:
        frame: Frame | None = self._frame
        while frame is not None and frame is not variable.frame:
            variable.is_captured = True
            if variable not in frame.captures:
                frame.captures.append(variable)
            frame = frame.parent
        return variable

    def _outermost(self) -> Frame:
        frame = self._frame
        while frame.parent is not None:
            frame = frame.parent
        return frame

    def _in_function(self) -> bool:
        return self._outermost().is_function

    def _use_scope(self, name: str) -> None:
        self.found.names.add(name)
        frame: Frame | None = self._frame
        while frame is not None:
            frame.uses_scope = True
            frame = frame.parent

    def _name(self, node: Name) -> None:
        variable = self._lookup(node.name)
        if variable is not None:
            self.found.uses[node] = variable
        elif not self._in_function():
            self._use_scope(node.name)

    def _target(self, node: Any, *, is_direct: bool) -> Variable | None:
        """Note that the root of a chain is assigned (`is_direct`) or changed in place."""
        while isinstance(node, Property | Index | Group):
            node = node.inner if isinstance(node, Group) else node.target
        if isinstance(node, This):
            self.found.mutates_this = True
            return None
        if not isinstance(node, Name):
            return None
        variable = self._lookup(node.name)
        if variable is None:
            if self._in_function():
                return None
            self._use_scope(node.name)
            variable = self._host(node.name)
        self.found.uses[node] = variable
        variable.is_owned = variable.is_owned or not is_direct
        variable.is_assigned = True
        return variable

    def _host(self, name: str) -> Variable:
        main = self._outermost()
        variable = Variable(name, -len(main.hosts) - 1, main, is_host=True)
        variable.number = 1_000_000 + len(main.hosts)
        variable.sources.append(None)
        main.hosts.append(variable)
        self._scopes[0][name] = variable
        return self._capture(variable)

    # Frames

    def _function(self, node: FunctionDefinition) -> None:
        frame = Frame(node, None, is_function=True)
        self._enter(frame, node.parameters, node.body.statements, [{}], self._limits)

    def _closure(self, node: Closure) -> None:
        frame = Frame(node, self._frame, is_function=False)
        body = node.body.statements if isinstance(node.body, Block) else (node.body,)
        self._enter(frame, node.parameters, body, self._scopes, None)

    def _enter(self, frame: Frame, parameters: tuple[Name, ...], body: tuple[Any, ...],
               scopes: list[dict[str, Variable]], limits: Limits | None) -> None:  # fmt: skip
        saved = (self._frame, self._scopes, self._alive, self._loops, self._depth_max, self._depth)
        self._frame, self._scopes, self._loops = frame, scopes, 0
        if limits is not None:
            self._alive, self._depth = 0, 1
            self._depth_max = limits.function_expression_depth
        self.found.frames[frame.node] = frame
        frame.number = len(self.found.frames)
        self._scoped(body, parameters)
        (self._frame, self._scopes, self._alive, self._loops, self._depth_max, self._depth) = saved

    # Expressions

    def _literal(self, node: Literal) -> None:
        cap = self._limits.string_bytes
        if cap is not None and isinstance(node.value, str) and utf8_bytes(node.value) > cap:
            self._report("Length of string is over the maximum", node.span)

    def _this(self, node: This) -> None:  # noqa: ARG002
        self._frame.uses_this = True

    def _group(self, node: Group) -> None:
        self._visit(node.inner)

    def _array(self, node: ArrayLiteral) -> None:
        cap = self._limits.array_elements
        if cap is not None and len(node.items) > cap:
            self._report("Size of array is over the maximum", node.span)
        self._all(node.items)

    def _map(self, node: MapLiteral) -> None:
        cap = self._limits.map_entries
        if cap is not None and len(node.entries) > cap:
            self._report("Size of object map is over the maximum", node.span)
        self._all(value for _, value in node.entries)

    def _template(self, node: Template) -> None:
        for part in node.parts:
            if not isinstance(part, str):
                self._visit(part)
            else:
                cap = self._limits.string_bytes
                if cap is not None and utf8_bytes(part) > cap:
                    self._report("Length of string is over the maximum", node.span)

    def _unary(self, node: Unary) -> None:
        self._visit(node.operand)

    def _pair(self, node: Any) -> None:
        self._visit(node.left)
        self._visit(node.right)

    def _range(self, node: RangeOf) -> None:
        self._all(end for end in (node.first, node.last) if end is not None)

    def _property(self, node: Property) -> None:
        self._visit(node.target)

    def _index(self, node: Index) -> None:
        self._visit(node.target)
        self._visit(node.index)

    def _method(self, node: MethodCall) -> None:
        self._visit(node.target)
        self._all(node.arguments)
        self._receiver(node.target, node.name)

    def _receiver(self, target: Any, name: str) -> None:
        if name in self._mutators:
            self._target(target, is_direct=False)
            return
        while isinstance(target, Property | Index | Group):
            target = target.inner if isinstance(target, Group) else target.target
        if isinstance(target, Name) and target in self.found.uses:
            self._receivers.append(self.found.uses[target])

    def _call(self, node: Call) -> None:
        self._all(node.arguments)
        key = (node.name, len(node.arguments))
        if node.name in self._mutators and node.arguments and key not in self.found.functions:
            self._target(node.arguments[0], is_direct=False)
        if key == ("is_def_var", 1) and isinstance(node.arguments[0], Literal):
            self._is_defined(node, str(node.arguments[0].value))

    def _is_defined(self, node: Call, name: str) -> None:
        if self._lookup(name) is not None:
            self.found.defined[node] = True
        elif self._in_function():
            self.found.defined[node] = False
        else:
            self.found.defined[node] = None
            self._use_scope(name)

    # Statements

    def _block(self, node: Block) -> None:
        self._scoped(node.statements)

    def _if(self, node: If) -> None:
        for condition, block in node.branches:
            self._visit(condition)
            self._visit(block)
        if node.otherwise is not None:
            self._visit(node.otherwise)

    def _switch(self, node: Switch) -> None:
        self._visit(node.subject)
        for message, span in check_switch(node):
            self._report(message, span)
        for arm in node.arms:
            self._all(arm.cases)
            if arm.guard is not None:
                self._visit(arm.guard)
            self._scoped((arm.body,))

    def _while(self, node: While) -> None:
        if node.condition is not None:
            self._visit(node.condition)
        self._loop(node.body)

    def _do(self, node: Do) -> None:
        self._loop(node.body)
        self._visit(node.condition)

    def _loop(self, body: Block) -> None:
        self._loops += 1
        self._visit(body)
        self._loops -= 1

    def _for(self, node: For) -> None:
        iterable = node.iterable
        while isinstance(iterable, Group):
            iterable = iterable.inner
        is_literal = isinstance(iterable, Literal) and type(iterable.value) is not str
        if is_literal or isinstance(iterable, MapLiteral):
            self._report("Expecting an iterable value", iterable.span, hint="a map has `keys()`")
        self._visit(node.iterable)
        names = [node.item] if node.counter is None else [node.item, node.counter]
        self._loops += 1
        self._scoped((node.body,), names)
        self._loops -= 1

    def _let(self, node: Let) -> None:
        if node.value is not None:
            self._visit(node.value)
        self._declare(
            node.name, constant=node.is_constant, source=node.value or Literal(None, node.span)
        )

    def _assign(self, node: Assign) -> None:
        self._visit(node.value)
        self._visit(node.target)
        target = node.target
        while isinstance(target, Group):
            target = target.inner
        variable = self._target(target, is_direct=isinstance(target, Name))
        if variable is None or not isinstance(target, Name):
            return
        variable.sources.append(
            node.value if node.operator is None
            else Binary(node.operator, Literal(None, node.span), node.value, node.span)
        )  # fmt: skip
        variable.is_grown = variable.is_grown or node.operator == "+"
        if variable.is_constant and variable.frame is self._frame:
            self._report(f"Cannot assign to constant {variable.name}", target.span)

    def _jump(self, node: Jump) -> None:
        if node.kind in ("break", "continue") and not self._loops:
            self._report(f"`{node.kind}` should only be used inside a loop", node.span)
        if node.value is not None:
            self._visit(node.value)

    def _try(self, node: Try) -> None:
        self._visit(node.body)
        names = () if node.error is None else (node.error,)
        self._scoped((node.handler,), names)
