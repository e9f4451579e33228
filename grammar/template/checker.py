"""Checks templates and finds what they read. In: trimmed programs. Out: names, paths, partials.

Refuses (FlowCheckError, all findings of a source at once): unknown helpers, partials and `@`
names (with the nearest known one), wrong numbers of arguments, loops nested too deeply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Final

from grammar.errors import Diagnostic, FlowCheckError
from grammar.span import SourceText, Span
from grammar.template.helpers.catalog import BY_NAME, HelperSpec
from grammar.template.naming import (
    BLOCKS,
    as_path,
    block_kind,
    has_arguments,
    helper_of,
    partial_name,
    pushes_context,
    simple_name,
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
)

LOOPS_MAX: Final = 16
"""Loops inside loops; CPython compiles at most 20 nested blocks in one function."""
DATA_NAMES: Final = ("index", "key", "first", "last")
_BLOCK_HASHES: Final = {"if": ("includeZero",), "unless": ("includeZero",)}


@dataclass(frozen=True, slots=True)
class Unit:
    """One source with its trimmed program: the template itself, or one of its partials."""

    source: SourceText
    program: Program


@dataclass(slots=True)
class Reads:
    """What a template reads from its scope. `is_whole`: also the scope itself, as `this`."""

    names: set[str] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a node stands: `roots` tells for each context, innermost last, if it is the scope."""

    roots: tuple[bool, ...]
    names: frozenset[str] = frozenset()
    loops: int = 0


class Checker:
    """Walks a template and the partials it reaches, each at most twice (scope or other context)."""

    def __init__(self, unit_of: Callable[[str], Unit | None], known: Iterable[str]) -> None:
        self.reads = Reads()
        self.units: dict[str, Unit] = {}
        self._unit_of = unit_of
        self._known = tuple(known)
        self._seen: set[tuple[str, bool]] = set()
        self._found: dict[Diagnostic, None] = {}
        self._waiting: list[tuple[str, bool]] = []

    def check(self, unit: Unit) -> None:
        """Check a template with its partials. Raises FlowCheckError, or FlowSyntaxError of one."""
        self._check_unit(unit, is_root=True)
        while self._waiting:
            name, is_root = self._waiting.pop()
            self._check_unit(self.units[name], is_root=is_root)

    def _check_unit(self, unit: Unit, *, is_root: bool) -> None:
        self._program(unit.program, _Place((is_root,)))
        if self._found:
            raise FlowCheckError(tuple(self._found), source=unit.source)

    def _report(self, message: str, span: Span, hint: str | None = None) -> None:
        self._found[Diagnostic("parse", message, span, hint)] = None

    def _program(self, program: Program | None, place: _Place) -> None:
        for node in () if program is None else program.statements:
            if isinstance(node, Output):
                self._call(node.call, place)
            elif isinstance(node, Partial):
                self._partial(node, place)
            elif isinstance(node, Block):
                self._block(node, place)

    def _value(self, node: Expression, place: _Place) -> None:
        if isinstance(node, Path):
            self._path(node, place)
        elif isinstance(node, Call):
            self._call(node, place, is_nested=True)

    def _values(self, call: Call, place: _Place) -> None:
        for node in (*call.params, *(value for _, value in call.hash)):
            self._value(node, place)

    def _call(self, call: Call, place: _Place, *, is_nested: bool = False) -> None:
        if isinstance(call.head, Call):
            self._report("A call cannot be called", call.head.span)
            return
        spec = helper_of(call, place.names)
        self._values(call, place)
        if spec is not None:
            self._helper(spec, call)
        elif has_arguments(call) or is_nested:
            self._unknown_helper(call.head)
        else:
            self._path(as_path(call.head), place)

    def _unknown_helper(self, head: Literal | Path) -> None:
        name = simple_name(head)
        if name in BY_NAME:
            self._report(f"Helper `{name}` needs arguments", head.span)
        elif name in BLOCKS:
            self._report(f"`{name}` is a block", head.span, f"write `{{{{#{name} …}}}}`")
        else:
            hint = _nearest(head.original, (*BY_NAME, *BLOCKS))
            self._report(f"Unknown helper `{head.original}`", head.span, hint)

    def _helper(self, spec: HelperSpec, call: Call) -> None:
        count = len(call.params)
        if not spec.params_min <= count <= spec.params_max:
            wanted = f"{spec.params_min} to {spec.params_max}"
            if spec.params_min == spec.params_max:
                wanted = str(spec.params_min)
            self._report(f"`{spec.name}` takes {wanted} arguments, not {count}", call.span)
        if spec.reads_now:
            self._read(("now",))
        first = spec.params_max - len(spec.hash_names)
        for name, value in call.hash:
            if name not in spec.hash_names:
                hint = _nearest(name, spec.hash_names)
                self._report(f"`{spec.name}` has no option `{name}`", value.span, hint)
            elif first + spec.hash_names.index(name) < count:
                self._report(f"`{spec.name}`: `{name}` is given twice", value.span)
        self._repeated(call)

    def _repeated(self, call: Call) -> None:
        names = [name for name, _ in call.hash]
        if len(set(names)) < len(names):
            self._report("An option is given twice", call.span)

    def _path(self, path: Path, place: _Place) -> None:
        if path.is_data:
            self._data(path)
        elif not path.up and not path.is_scoped and path.keys[:1] and path.keys[0] in place.names:
            return
        elif path.up < len(place.roots) and place.roots[-1 - path.up]:
            self._read(path.keys)

    def _data(self, path: Path) -> None:
        if path.keys[:1] == ("root",):
            self._read(path.keys[1:])
        elif path.keys[:1] and path.keys[0] in DATA_NAMES:
            return
        else:
            hint = _nearest(path.original[1:], ("root", *DATA_NAMES), mark="@")
            self._report(f"Unknown name `{path.original}`", path.span, hint)

    def _read(self, keys: tuple[str, ...]) -> None:
        if keys:
            self.reads.names.add(keys[0])
            self.reads.paths.add(".".join(keys))
        else:
            self.reads.is_whole = True

    def _partial(self, node: Partial, place: _Place) -> None:
        call = node.call
        self._values(call, place)
        self._repeated(call)
        if len(call.params) > 1:
            self._report("A partial takes one context and options", call.span)
        context = call.params[0] if call.params else None
        is_root = place.roots[-1] if context is None else self._is_root(context, place)
        name = partial_name(call.head)
        if name is None:
            self._value(call.head, place)
            for known in self._known:
                self._reach(known, call, is_root=is_root)
        else:
            self._reach(name, call, is_root=is_root)

    def _reach(self, name: str, call: Call, *, is_root: bool) -> None:
        if name not in self.units:
            unit = self._unit_of(name)
            if unit is None:
                hint = _nearest(name, self._known)
                self._report(f"Unknown partial `{name}`", call.span, hint)
                return
            self.units[name] = unit
        if (name, is_root) not in self._seen:
            self._seen.add((name, is_root))
            self._waiting.append((name, is_root))

    def _is_root(self, node: Expression, place: _Place) -> bool:
        if not isinstance(node, Path):
            return False
        if node.is_data:
            return node.keys == ("root",)
        return not node.keys and node.up < len(place.roots) and place.roots[-1 - node.up]

    def _block(self, block: Block, place: _Place) -> None:
        kind = block_kind(block)
        self._head(block, kind, place)
        inner = replace(place, names=place.names | frozenset(block.names))
        if kind in {"each", "section"}:
            inner = replace(inner, loops=place.loops + 1)
            if inner.loops > LOOPS_MAX:
                self._report(f"More than {LOOPS_MAX} loops inside each other", block.call.span)
        if kind == "section":
            # `{{#flag}}` keeps the context when the flag is true: it may still be the scope.
            inner = replace(inner, roots=(*place.roots, place.roots[-1]))
        elif kind == "each":
            inner = replace(inner, roots=(*place.roots, False))
        elif kind == "with" and block.call.params and pushes_context(block):
            is_root = self._is_root(block.call.params[0], place)
            inner = replace(inner, roots=(*place.roots, is_root))
        self._program(block.body, inner)
        self._program(block.otherwise, place)

    def _head(self, block: Block, kind: str, place: _Place) -> None:
        call = block.call
        if kind == "test":
            self._call(call, place)
            names_max = 0
        elif kind == "section":
            self._section(call, place)
            names_max = 0
        else:
            self._values(call, place)
            names_max = {"each": 2, "with": 1}.get(kind, 0)
            if len(call.params) != 1:
                self._report(f"`#{kind}` takes one argument", call.span)
            for name, value in call.hash:
                if name not in _BLOCK_HASHES.get(kind, ()):
                    self._report(f"`#{kind}` has no option `{name}`", value.span)
            self._repeated(call)
        if len(block.names) > names_max:
            self._report(f"The block gives {names_max} names, not {len(block.names)}", call.span)
        elif len(set(block.names)) < len(block.names):
            self._report("The block gives both values the same name", call.span)

    def _section(self, call: Call, place: _Place) -> None:
        if has_arguments(call) or isinstance(call.head, Call):
            hint = _nearest(getattr(call.head, "original", ""), BLOCKS)
            self._report("Unknown block helper", call.span, hint)
        else:
            self._path(as_path(call.head), place)


def _nearest(name: str, known: Iterable[str], mark: str = "") -> str | None:
    close = get_close_matches(name[:64], list(known), n=1, cutoff=0.6)
    return f"did you mean `{mark}{close[0]}`?" if close else None
