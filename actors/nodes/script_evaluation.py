"""Evaluating a script call: what happens in a worker process, and in memory for tests.

In: scripts as text, calls. Out: results, by the same rules as on the event loop. Compiled programs
are kept by their digest; the oldest go first. Refuses nothing that the language takes.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, TypeVar

from actors.nodes.output import check_output
from actors.nodes.state_view import REMOVED, KeyWantedError, StateView
from actors.ports import ScriptCall, ScriptResult, ScriptText, StateEntry, StateWanted
from grammar import (
    Budget,
    FunctionLibrary,
    Program,
    SourceText,
    compile_functions,
    compile_script,
)

PROGRAMS_MAX: Final = 256
LIBRARIES_MAX: Final = 16
"""Libraries are large, and shared by all scripts of an app."""

_STATE: Final = "state"

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class ScriptEvaluator:
    """Compiles scripts once and evaluates them as often as asked. For one thread."""

    def __init__(self, programs_max: int = PROGRAMS_MAX) -> None:
        self._programs_max = programs_max
        self._programs: OrderedDict[str, Program] = OrderedDict()
        self._libraries: OrderedDict[tuple[SourceText, ...], FunctionLibrary] = OrderedDict()

    def has(self, digest: str) -> bool:
        """Tell whether a script is compiled already."""
        return digest in self._programs

    def load(self, script: ScriptText) -> None:
        """Compile a script. Raises what the language raises: it was compiled before elsewhere."""
        library = self._library(script.library) if script.library else None
        program = compile_script(script.source.text, name=script.source.name, library=library)
        _keep(self._programs, script.digest, program, self._programs_max)

    def evaluate(self, call: ScriptCall) -> ScriptResult | StateWanted:
        """Evaluate once; raises as `actors.ports.ScriptPool.run` does."""
        digest = call.script.digest
        if digest not in self._programs:
            self.load(call.script)
        self._programs.move_to_end(digest)
        budget = Budget(call.limits)
        scope = dict(call.scope)
        view = StateView({})
        if call.state is not None:
            view = StateView({key: StateEntry(value, 0) for key, value in call.state.items()})
            scope[_STATE] = view
        try:
            value = check_output(self._programs[digest].run(scope, budget))
        except KeyWantedError as wanted:
            return StateWanted(wanted.key, budget.operations)
        removed = frozenset(key for key, written in view.writes.items() if written is REMOVED)
        writes = {k: None if k in removed else written for k, written in view.writes.items()}
        printed = tuple(budget.output or ())
        return ScriptResult(value, printed, writes, removed, budget.operations)

    def _library(self, texts: tuple[SourceText, ...]) -> FunctionLibrary:
        library = self._libraries.get(texts)
        if library is None:
            first, *rest = (compile_functions(text.text, name=text.name) for text in texts)
            library = first.merge(*rest)
        _keep(self._libraries, texts, library, LIBRARIES_MAX)
        return library


def _keep(kept: "OrderedDict[Key, Value]", key: Key, value: Value, most: int) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
