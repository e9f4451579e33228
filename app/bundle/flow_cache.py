"""What bundles come to, kept: a thousand tenants of one archive compile its flows once.

In: files and ways to read and compile them. Out: the results, those kept where there are any.
Refuses to keep anything of files that may change: those that have no digest.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import RLock
from typing import Final, Generic, TypeVar

from pydantic import BaseModel

from app.bundle.collecting import Collected
from app.bundle.files import BundleFiles
from app.bundle.flows import LoadedFlows
from app.bundle.problems import Problem

COLLECTED_MAX: Final = 8
"""Sources weigh much more than what they compile to, and serve only to compile."""
LOADED_MAX: Final = 1280
"""Flows of a thousand tenants with apps of their own, which are in use anyway, and some more."""
OPTIONS_MAX: Final = 64

Value = TypeVar("Value")
Options = Mapping[str, BaseModel]


@dataclass(frozen=True, slots=True)
class FlowsKey:
    """What flows depend on besides the bundle's files."""

    apps: tuple[str, ...] | None
    """Those that a tenant runs, sorted; None: all."""
    zone: str
    providers: tuple[str, ...]
    """Those that are on and have actions, sorted."""


class FlowCache:
    """Keeps what was read and compiled last. May be used by several threads."""

    def __init__(self) -> None:
        # One lock for all: who waits for the same archive must not compile it again, and compiling
        # holds the interpreter anyway.
        self._lock = RLock()
        self._collected: _Latest[tuple[Collected, tuple[Problem, ...]]] = _Latest(COLLECTED_MAX)
        self._loaded: _Latest[LoadedFlows] = _Latest(LOADED_MAX)
        self._options: _Latest[Options] = _Latest(OPTIONS_MAX)

    def collected(self, files: BundleFiles, collect: Callable[[], Collected]) -> Collected:
        """Give the sources of an archive's flows; what its files refuse is told each time."""
        if files.digest is None:
            return collect()

        def make() -> tuple[Collected, tuple[Problem, ...]]:
            before = len(files.problems)
            collected = collect()
            refused = tuple(files.problems[before:])
            del files.problems[before:]
            return collected, refused

        with self._lock:
            collected, refused = self._collected.get(files.digest, make)
        files.problems += refused
        return collected

    def loaded(
        self, files: BundleFiles, key: FlowsKey, load: Callable[[], LoadedFlows]
    ) -> LoadedFlows:
        """Give what an archive's flows compile to."""
        if files.digest is None:
            return load()
        with self._lock:
            return self._loaded.get((files.digest, key), load)

    def shared(self, files: BundleFiles, options: Options) -> Options:
        """Give the options last seen of an archive if they are the same: one object for many.

        Whoever builds something of options builds it once for all tenants that have the same.
        """
        if files.digest is None:
            return options
        with self._lock:
            known = self._options.get(files.digest, lambda: options)
            if known != options:
                self._options.put(files.digest, options)
                return options
            return known


class _Latest(Generic[Value]):
    """As many values as it may keep, those that were asked for last."""

    def __init__(self, values_max: int) -> None:
        self._values_max = values_max
        self._values: OrderedDict[object, Value] = OrderedDict()

    def get(self, key: object, make: Callable[[], Value]) -> Value:
        """Give the value that is kept, or make it and keep it."""
        if key not in self._values:
            self.put(key, make())
        self._values.move_to_end(key)
        return self._values[key]

    def put(self, key: object, value: Value) -> None:
        """Keep a value; those that were not asked for lately are let go."""
        self._values[key] = value
        while len(self._values) > self._values_max:
            self._values.popitem(last=False)
