"""An event loop without time of its own: several processes in one, each of which may freeze or die.

In: a seed's chance, and callbacks as asyncio makes them. Out: they run, one process' turn after
another's, in an order that the seed alone decides; when nobody can run, time jumps to the next
timer. What a dead process was about to do never happens, not even its `finally`; what a frozen one
was about to do happens once it is thawed. It refuses sockets, threads and signals: it has none.
"""

import asyncio
import contextlib
import heapq
import inspect
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")

TURNS_MAX = 3_000_000
"""Turns of processes in one simulation: past it somebody spins."""

TASKS_KEPT = 1000
"""Tasks of a process that are remembered; past it those that have ended are forgotten."""


def chance_of(*parts: object) -> Random:
    """Give the chance that these parts of a seed have, and no others."""
    return Random(":".join(map(str, parts)))  # noqa: S311 - it decides faults, and hides nothing


class Process:
    """Something that runs: a worker, or the world itself."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready: deque[asyncio.Handle] = deque()
        self.is_frozen = False
        self.is_dead = False
        self.tasks: list[SimulatedTask] = []

    def __repr__(self) -> str:
        return self.name


PROCESS: ContextVar[Process | None] = ContextVar("PROCESS", default=None)


class SimulatedFuture(asyncio.Future[Any]):
    """A future whose place in a set is decided by when it was made, not by its address."""

    def __init__(self, *, loop: "SimulatedLoop") -> None:
        super().__init__(loop=loop)
        self._number = loop.next_number()

    def __hash__(self) -> int:
        return self._number


class SimulatedTask(asyncio.Task[Any]):
    """A task, likewise."""

    def __init__(self, work: Any, *, loop: "SimulatedLoop", name: Any, context: Any) -> None:
        self._number = loop.next_number()
        super().__init__(work, loop=loop, name=name, context=context)

    def __hash__(self) -> int:
        return self._number

    def drop(self) -> None:
        """Close it where it stands: its process is no more."""
        self._log_destroy_pending = False
        _close(self.get_coro())


def _close(work: Any) -> None:
    """Close a coroutine, and those it would have begun with if it had ever begun."""
    if not inspect.iscoroutine(work):
        return
    if inspect.getcoroutinestate(work) == inspect.CORO_CREATED:
        frame = work.cr_frame
        for argument in [] if frame is None else list(frame.f_locals.values()):
            _close(argument)
    with contextlib.suppress(RuntimeError, ValueError):  # it wants to wait once more
        work.close()


class SimulatedLoop(asyncio.AbstractEventLoop):
    """Runs everything of one simulation."""

    def __init__(self, random: Random) -> None:
        self.world = Process("world")
        self.complaints: list[str] = []
        """What nobody caught."""
        self.turns = 0
        self._random = random
        self._now = 0.0
        self._numbers = 0
        self._timers: list[tuple[float, int, Process, asyncio.TimerHandle]] = []
        self._processes: list[Process] = [self.world]
        self._dead: list[Process] = []
        self._is_running = False

    # ── Processes ────────────────────────────────────────────────────────────────────────────

    def start(self, process: Process, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Begin a process with its first task."""
        self._processes.append(process)
        return self.start_in(process, work)

    def start_in(self, process: Process, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Begin one more task of a process."""
        context = copy_context()
        context.run(PROCESS.set, process)
        return self.create_task(work, context=context)

    def kill(self, process: Process) -> None:
        """End a process in the middle of whatever it does."""
        process.is_dead = True
        process.ready.clear()
        self._processes.remove(process)
        self._dead.append(process)

    def call_later_in(
        self, process: Process, seconds: float, callback: Callable[..., object], *args: Any
    ) -> None:
        """Have a process do something later; it need not be the one that asks."""
        context = copy_context()
        context.run(PROCESS.set, process)
        self.call_at(self._now + seconds, callback, *args, context=context)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the world's main task to its end, and close what is left of the others."""
        asyncio._set_running_loop(self)
        self._is_running = True
        main = self.start_in(self.world, work)
        try:
            while not main.done():
                self._turn()
            return main.result()
        finally:
            self._drop_all(main)
            self._is_running = False
            asyncio._set_running_loop(None)

    def unfinished(self, process: Process) -> list[str]:
        """Names of the tasks of a process that have not ended."""
        return [task.get_name() for task in process.tasks if not task.done()]

    def next_number(self) -> int:
        """Count."""
        self._numbers += 1
        return self._numbers

    def _drop_all(self, main: "asyncio.Task[Any]") -> None:
        self._timers.clear()
        for process in self._everybody():
            process.is_dead = True
            for task in process.tasks:
                if not task.done() and task is not main:
                    task.drop()
            process.ready.clear()
            process.tasks.clear()

    def _everybody(self) -> list[Process]:
        return [*self._processes, *self._dead]

    # ── Turns ────────────────────────────────────────────────────────────────────────────────

    def _turn(self) -> None:
        able = [one for one in self._processes if one.ready and not one.is_frozen]
        if not able:
            self._jump()
            return
        self.turns += 1
        if self.turns > TURNS_MAX:
            raise RuntimeError(f"somebody spins: more than {TURNS_MAX} turns")
        process = able[0] if len(able) == 1 else self._random.choice(able)
        for _ in range(len(process.ready)):
            if not process.ready:
                return  # it has died of what it did
            handle = process.ready.popleft()
            if not handle.cancelled():
                handle._run()
            if process.is_frozen:
                return

    def _jump(self) -> None:
        if not self._timers:
            raise RuntimeError("nothing will ever happen again")
        self._now = max(self._now, self._timers[0][0])
        while self._timers and self._timers[0][0] <= self._now:
            _, _, process, handle = heapq.heappop(self._timers)
            if not process.is_dead and not handle.cancelled():
                process.ready.append(handle)

    # ── What asyncio asks of a loop ──────────────────────────────────────────────────────────

    def time(self) -> float:
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        context = copy_context() if context is None else context
        handle = asyncio.Handle(callback, args, self, context)
        owner = context.get(PROCESS) or self.world
        if not owner.is_dead:
            owner.ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        context = copy_context() if context is None else context
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        owner = context.get(PROCESS) or self.world
        heapq.heappush(self._timers, (when, self.next_number(), owner, handle))
        return handle

    def create_future(self) -> "asyncio.Future[Any]":
        return SimulatedFuture(loop=self)

    def create_task(
        self, work: Any, *, name: Any = None, context: Context | None = None
    ) -> "asyncio.Task[Any]":
        context = copy_context() if context is None else context
        owner = context.get(PROCESS) or self.world
        name = name or f"{getattr(work, '__qualname__', work)}"
        task = SimulatedTask(work, loop=self, name=name, context=context)
        if len(owner.tasks) > TASKS_KEPT:
            owner.tasks = [one for one in owner.tasks if not one.done()]
        owner.tasks.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.complaints.append(f"{context.get('message')}: {error!r}")

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return self._is_running

    def is_closed(self) -> bool:
        return False

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing to do: cancelled timers are passed over when their time comes."""
