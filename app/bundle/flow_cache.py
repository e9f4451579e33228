"""What bundles' flows compile to, kept: a thousand tenants of one archive compile them once.

In: files and ways to read and compile them. Out: the results, those kept where there are any.
Refuses to keep anything of files that may change: those that have no digest.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import RLock
from typing import Final, Generic, TypeVar

from app.bundle.collecting import Collected
from app.bundle.files import BundleFiles
from app.bundle.flows import LoadedFlows
from app.bundle.problems import Problem

COLLECTED_MAX: Final = 8
"""Sources weigh much more than what they compile to, and serve only to compile."""
LOADED_MAX: Final = 256

Value = TypeVar("Value")


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


class _Latest(Generic[Value]):
    """As many values as it may keep, those that were asked for last."""

    def __init__(self, values_max: int) -> None:
        self._values_max = values_max
        self._values: OrderedDict[object, Value] = OrderedDict()

    def get(self, key: object, make: Callable[[], Value]) -> Value:
        """Give the value that is kept, or make it and keep it."""
        if key not in self._values:
            self._values[key] = make()
            while len(self._values) > self._values_max:
                self._values.popitem(last=False)
        self._values.move_to_end(key)
        return self._values[key]
