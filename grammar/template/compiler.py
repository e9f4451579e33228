"""Compiles templates. In: checked programs. Out: one Python function a template and partial.

A function renders into a list of pieces. Contexts, loop values and block parameters are locals;
reads are plain subscripts that fall back to `reading.read` when one does not apply. Refuses
nothing: the checker did.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from types import CodeType
from typing import Final

from grammar.span import SourceText, Span
from grammar.template.checker import DATA_NAMES, Unit
from grammar.template.emitter import OUT, Emitter, call, constant, load
from grammar.template.formatting import CHARACTERS_UNPAID
from grammar.template.helpers.catalog import KEYWORDS, HelperSpec
from grammar.template.naming import (
    as_path,
    block_kind,
    helper_of,
    partial_name,
    pushes_context,
)
from grammar.template_syntax import (
    Block,
    Call,
    Expression,
    Literal,
    Output,
    Partial,
    Path,
    Program,
    Text,
)

FILE_NAME: Final = "<compiled template>"
PARAMS: Final = ("c0", "root", "budget", "frame", "level")
MAIN: Final = "main"
VALUE: Final = "value"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A module's code, and the place in a source for each of its line numbers (from 1)."""

    code: CodeType
    places: tuple[tuple[SourceText, Span], ...]
    partials: tuple[tuple[str, str], ...]
    """The function name of each partial."""


@dataclass(frozen=True, slots=True)
class _Loop:
    """The locals of one loop; `frame` is the local that holds its frame for partials."""

    index: str
    last: str
    key: str


@dataclass(frozen=True, slots=True)
class _Sight:
    """What names mean at a place: contexts (innermost last), loops, block parameters."""

    contexts: tuple[str, ...] = ("c0",)
    loops: tuple[_Loop, ...] = ()
    names: dict[str, str] = field(default_factory=dict)


class Compiler:
    """Compiles one template with its partials into one module."""

    def __init__(self, *, is_html: bool, partials: dict[str, Unit]) -> None:
        self._is_html = is_html
        self._partials = partials
        self._numbers = {name: f"p{number}" for number, name in enumerate(partials)}
        self._places: list[tuple[SourceText, Span]] = []

    def compile(self, unit: Unit) -> Compiled:
        """Compile everything; the single-value form as `value`, when the template has one."""
        body: list[ast.stmt] = [self._function(MAIN, unit)]
        single = single_output(unit.program)
        if single is not None:
            body.append(_FunctionCompiler(self, unit.source).value(single))
        body += [self._function(self._numbers[name], part) for name, part in self._partials.items()]
        module = ast.fix_missing_locations(ast.Module(body, []))
        return Compiled(
            compile(module, FILE_NAME, "exec"), tuple(self._places), tuple(self.numbers.items())
        )

    @property
    def numbers(self) -> dict[str, str]:
        """The function name of each partial."""
        return self._numbers

    @property
    def is_html(self) -> bool:
        """Whether plain tags are escaped."""
        return self._is_html

    def place(self, source: SourceText, span: Span) -> int:
        """Register a place and return its line number."""
        self._places.append((source, span))
        return len(self._places)

    def _function(self, name: str, unit: Unit) -> ast.FunctionDef:
        return _FunctionCompiler(self, unit.source).rendering(name, unit.program)


def single_output(program: Program) -> Output | None:
    """Return the tag of a template that is exactly one value."""
    only = program.statements[0] if len(program.statements) == 1 else None
    return only if isinstance(only, Output) else None


def cost_of(program: Program | None) -> int:
    """Return the operations a program costs once, the bodies of its loops not included."""
    cost = 1
    for node in () if program is None else program.statements:
        cost += 1
        if isinstance(node, Block):
            is_loop = block_kind(node) in {"each", "section"}
            cost += cost_of(node.otherwise) + (0 if is_loop else cost_of(node.body))
    return cost


class _FunctionCompiler:
    """Compiles one function."""

    def __init__(self, module: Compiler, source: SourceText) -> None:
        self._module = module
        self._source = source
        self._emit = Emitter()

    def rendering(self, name: str, program: Program) -> ast.FunctionDef:
        """Return the function that gives the list of pieces."""
        self._enter(program)
        self._emit.assign(ast.List([], ast.Load()), OUT)
        self._program(program, _Sight())
        return self._emit.function(name, PARAMS, load(OUT))

    def value(self, output: Output) -> ast.FunctionDef:
        """Return the function that gives the value of a template's only tag."""
        self._enter(Program((output,)))
        return self._emit.function(VALUE, PARAMS, self._call(output.call, _Sight()))

    def _enter(self, program: Program) -> None:
        self._at(Span(0, 0, 1, 1))
        entered = call("enter", load("budget"), load("level"), constant(cost_of(program)))
        self._emit.add(ast.Expr(entered))

    def _at(self, span: Span) -> None:
        self._emit.place = self._module.place(self._source, span)

    def _program(self, program: Program | None, sight: _Sight) -> None:
        for node in () if program is None else program.statements:
            if isinstance(node, Text):
                self._emit.write_text(node.value)
            elif isinstance(node, Output):
                self._output(node, sight)
            elif isinstance(node, Partial):
                self._partial(node, sight)
            else:
                assert isinstance(node, Block)  # noqa: S101 - trimming dropped the comments
                self._block(node, sight)

    def _output(self, node: Output, sight: _Sight) -> None:
        value = self._call(node.call, sight)
        self._at(node.call.span)
        name = self._emit.assign(value)
        convert = "to_text"
        is_other: ast.expr = ast.Compare(call("type", load(name)), [ast.IsNot()], [load("str")])
        if node.is_escaped and self._module.is_html:
            # Only short texts are searched here: searching a long one has to be paid for.
            convert = "escape_html"
            size = call("len", load(name))
            is_long: ast.expr = ast.Compare(size, [ast.Gt()], [constant(CHARACTERS_UNPAID)])
            is_other = ast.BoolOp(ast.Or(), [is_other, is_long, call("find_special", load(name))])
        text = call(convert, load(name), load("budget"))
        self._emit.add(ast.If(is_other, [ast.Assign([_store(name)], text)], []))
        self._emit.write(load(name))

    # ── Values ────────────────────────────────────────────────────────────────────────────────

    def _value(self, node: Expression, sight: _Sight) -> ast.expr:
        if isinstance(node, Literal):
            return constant(node.value)
        if isinstance(node, Path):
            return self._path(node, sight)
        return self._call(node, sight)

    def _call(self, node: Call, sight: _Sight) -> ast.expr:
        spec = helper_of(node, frozenset(sight.names))
        if spec is None:
            return self._path(as_path(node.head), sight)
        args = [self._value(param, sight) for param in node.params]
        named = {KEYWORDS.get(key, key): self._value(value, sight) for key, value in node.hash}
        self._at(node.span)
        if spec.reads_now:
            named["now"] = self._read(load("root"), ("now",))
        self._at(node.span)
        result = call(helper_global(spec), load("budget"), *args, **named)
        return load(self._emit.assign(result))

    def _path(self, node: Path, sight: _Sight) -> ast.expr:
        self._at(node.span)
        if node.is_data:
            return self._data(node, sight)
        keys = node.keys
        if not node.up and not node.is_scoped and keys and keys[0] in sight.names:
            return self._read(load(sight.names[keys[0]]), keys[1:])
        if node.up >= len(sight.contexts):
            return constant(None)
        return self._read(load(sight.contexts[-1 - node.up]), keys)

    def _data(self, node: Path, sight: _Sight) -> ast.expr:
        if node.keys[0] == "root":
            return self._read(load("root"), node.keys[1:])
        slot = DATA_NAMES.index(node.keys[0])
        if node.up < len(sight.loops):
            value = _slots(sight.loops[-1 - node.up])[slot]
        else:
            up = constant(node.up - len(sight.loops))
            value = call("frame_value", load("frame"), up, constant(slot))
        return self._read(value, node.keys[1:])

    def _read(self, base: ast.expr, keys: tuple[str, ...]) -> ast.expr:
        """Read keys: by subscripts, and by `read` when they miss."""
        if not keys:
            return base
        slow = call("read", base, constant(keys))
        if any(key.isdigit() or key == "length" for key in keys):
            return load(self._emit.assign(slow))
        fast = base
        for key in keys:
            fast = ast.Subscript(fast, constant(key), ast.Load())
        name = self._emit.fresh()
        store: list[ast.expr] = [ast.Name(name, ast.Store())]
        again: list[ast.stmt] = [ast.Assign(store, slow)]
        handler = ast.ExceptHandler(load("MISSES"), None, again)
        self._emit.add(ast.Try([ast.Assign(store, fast)], [handler], [], []))
        return load(name)

    # ── Blocks ────────────────────────────────────────────────────────────────────────────────

    def _block(self, node: Block, sight: _Sight) -> None:
        kind = block_kind(node)
        if kind in {"each", "section"}:
            self._loop(node, kind, sight)
            return
        value = self._value(node.call if kind == "test" else node.call.params[0], sight)
        inner = sight
        if kind == "with":
            name = self._emit.assign(value)
            value = load(name)
            contexts = (*sight.contexts, name) if pushes_context(node) else sight.contexts
            names = {**sight.names, **dict.fromkeys(node.names, name)}
            inner = replace(sight, contexts=contexts, names=names)
        condition = value if kind == "test" else self._condition(node, kind, value, sight)
        self._branch(condition, (node.body, inner), (node.otherwise, sight))

    def _condition(self, node: Block, kind: str, value: ast.expr, sight: _Sight) -> ast.expr:
        if kind == "with":
            return call("truthy_or_zero", value)
        value = load(self._emit.assign(value))
        is_text = ast.Compare(call("type", value), [ast.Is()], [load("str")])
        test: ast.expr = ast.IfExp(is_text, value, call("truthy", value))
        for _, option in node.call.hash:
            zero = call("truthy", self._value(option, sight))
            test = ast.IfExp(zero, call("truthy_or_zero", value), test)
        return ast.UnaryOp(ast.Not(), test) if kind == "unless" else test

    def _branch(
        self,
        condition: ast.expr,
        yes: tuple[Program | None, _Sight],
        no: tuple[Program | None, _Sight],
    ) -> None:
        outer = self._emit.open()
        self._program(*yes)
        body = self._emit.close(outer)
        outer = self._emit.open()
        self._program(*no)
        otherwise = self._emit.close(outer)
        self._emit.add(ast.If(condition, body, otherwise))

    def _loop(self, node: Block, kind: str, sight: _Sight) -> None:
        emit, cost = self._emit, constant(cost_of(node.body))
        here = load(sight.contexts[-1])
        if kind == "each":
            value = load(emit.assign(self._value(node.call.params[0], sight)))
            items = emit.assign(call("each_values", value, load("budget"), cost))
        else:
            value = load(emit.assign(self._path(as_path(node.call.head), sight)))
            items = emit.assign(call("section_values", value, here, load("budget"), cost))
        loop = _Loop(emit.fresh("i"), emit.fresh("n"), emit.fresh("k"))
        item = emit.fresh("c")
        names = {**sight.names, **dict(zip(node.names, (item, loop.key), strict=False))}
        inner = _Sight((*sight.contexts, item), sight.loops, names)
        if kind == "each":
            inner = replace(inner, loops=(*sight.loops, loop))
        outer = emit.open()
        emit.assign(ast.BinOp(call("len", load(items)), ast.Sub(), constant(1)), loop.last)
        body_outer = emit.open()
        self._program(node.body, inner)
        body = emit.close(body_outer)
        keys = call("each_keys", value)
        pair: ast.expr = ast.Tuple([_store(item), _store(loop.key)], ast.Store())
        target: ast.expr = ast.Tuple([_store(loop.index), pair], ast.Store())
        source = call("enumerate", call("zip", load(items), keys))
        emit.add(_for_loop(target, source, body, items, item, loop))
        yes = emit.close(outer)
        outer = emit.open()
        self._program(node.otherwise, sight)
        no = emit.close(outer)
        emit.add(ast.If(load(items), yes, no))

    # ── Partials ──────────────────────────────────────────────────────────────────────────────

    def _partial(self, node: Partial, sight: _Sight) -> None:
        params = node.call.params
        context = self._value(params[0], sight) if params else load(sight.contexts[-1])
        if node.call.hash:
            keys = [constant(key) for key, _ in node.call.hash]
            values = [self._value(value, sight) for _, value in node.call.hash]
            own = ast.Dict(list(keys), values)
            context = load(self._emit.assign(call("overlay", context, own, load("budget"))))
        name = partial_name(node.call.head)
        if name is None:
            chosen = self._value(node.call.head, sight)
            self._at(node.call.span)
            function = self._emit.assign(call("choose", chosen))
        else:
            function = self._module.numbers[name]
        self._at(node.call.span)
        level = ast.BinOp(load("level"), ast.Add(), constant(1))
        frame = _frame(sight.loops)
        pieces = call(function, context, load("root"), load("budget"), frame, level)
        if node.indent:
            text = call("indented", pieces, constant(node.indent), load("budget"))
            self._emit.write(load(self._emit.assign(text)))
        else:
            self._emit.extend(pieces)


def helper_global(spec: HelperSpec) -> str:
    """Return the global name of a helper in compiled modules."""
    return f"helper_{spec.name}"


def _store(name: str) -> ast.expr:
    return ast.Name(name, ast.Store())


def _slots(loop: _Loop) -> tuple[ast.expr, ast.expr, ast.expr, ast.expr]:
    index = load(loop.index)
    first = ast.Compare(index, [ast.Eq()], [constant(0)])
    last = ast.Compare(index, [ast.Eq()], [load(loop.last)])
    return index, load(loop.key), first, last


def _frame(loops: tuple[_Loop, ...]) -> ast.expr:
    frame = load("frame")
    for loop in loops:
        frame = ast.Tuple([*_slots(loop), frame], ast.Load())
    return frame


def _for_loop(
    target: ast.expr,
    source: ast.expr,
    body: list[ast.stmt],
    items: str,
    item: str,
    loop: _Loop,
) -> ast.stmt:
    """Walk only what the body reads: items alone when neither index nor key is used."""
    used = {node.id for stmt in body for node in ast.walk(stmt) if isinstance(node, ast.Name)}
    if loop.key in used:
        return ast.For(target, source, body, [])
    if loop.index in used:
        pair: ast.expr = ast.Tuple([_store(loop.index), _store(item)], ast.Store())
        return ast.For(pair, call("enumerate", load(items)), body, [])
    return ast.For(_store(item), load(items), body, [])
