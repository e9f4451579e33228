"""Processes for scripts that ask for more than the event loop may give.

In: script calls of any tenant. Out: what the scripts come to. No process is started before a script
needs one. A script that overruns its limit has its process killed, and so has one whose run is
cancelled; the next call starts another. Tenants share the processes fairly (`app.worker.turns`).
"""

import asyncio
import os
import time
from typing import Final

from actors.errors import PermanentError, TransientError, UnavailableError
from actors.observations import ScriptPooled, ScriptProcessLost
from actors.ports import Observer, ScriptCall, ScriptResult, StateWanted
from app.worker.script_process import ProcessLostError, ScriptProcess
from app.worker.turns import FairTurns
from grammar import BudgetExceededError, EvaluationError

MIB: Final = 1024 * 1024
MEMORY_BYTES_DEFAULT: Final = 512 * MIB
WAITING_MAX: Final = 256
"""Scripts that may wait for a process; past it a run fails as one that may be tried again."""
_MS: Final = 1000


class ScriptProcessPool:
    """`actors.ports.ScriptPool` on processes. `close` ends them."""

    def __init__(
        self,
        observer: Observer,
        *,
        processes: int | None = None,
        memory_bytes: int = MEMORY_BYTES_DEFAULT,
    ) -> None:
        self._observer = observer
        self._memory_bytes = memory_bytes
        self._turns = FairTurns(processes or processes_default(), WAITING_MAX)
        self._idle: list[ScriptProcess] = []
        self._busy: set[ScriptProcess] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @property
    def pids(self) -> frozenset[int]:
        """The processes that are up."""
        return frozenset(process.pid for process in (*self._idle, *self._busy))

    async def run(self, call: ScriptCall) -> ScriptResult | StateWanted:
        """Run one script in a process; see `actors.ports.ScriptPool`."""
        asked = time.monotonic()
        await self._turns.take(call.tenant)
        begun = time.monotonic()
        try:
            return await self._run(call)
        finally:
            self._turns.give_back(call.tenant)
            wait_ms, run_ms = (begun - asked) * _MS, (time.monotonic() - begun) * _MS
            self._observer.observe(ScriptPooled(call.tenant, wait_ms, run_ms))

    async def close(self) -> None:
        """End all processes; scripts under way fail."""
        self._is_closed = True
        for process in [*self._idle, *self._busy]:
            self._end(process)
        self._idle.clear()
        while self._ending:
            await asyncio.wait(self._ending)

    async def _run(self, call: ScriptCall) -> ScriptResult | StateWanted:
        process = await self._take_process()
        how = "abandoned"
        try:
            result = await process.run(call)
            how = ""
        except ProcessLostError as lost:
            how = lost.how
            raise _error_of(lost, call) from None
        except BudgetExceededError as error:
            # A process that ran out of memory ends of itself: it must not get another call.
            how = "memory" if error.kind == "limit_memory" else ""
            raise
        except (EvaluationError, PermanentError):
            how = ""
            raise
        else:
            return result
        finally:
            self._put_back(process, call.tenant, how)

    async def _take_process(self) -> ScriptProcess:
        if self._is_closed:
            raise UnavailableError("this worker is going away")
        while self._idle:
            process = self._idle.pop()
            if process.is_alive:
                self._busy.add(process)
                return process
            self._end(process)
        try:
            process = await ScriptProcess.start(self._memory_bytes)
        except ProcessLostError:
            raise TransientError("no process to run it", reason="script.worker_died") from None
        self._busy.add(process)
        return process

    def _put_back(self, process: ScriptProcess, tenant: str, how: str) -> None:
        """Keep a process for the next call, or end it; ``how`` says why it is lost."""
        self._busy.discard(process)
        if how:
            self._observer.observe(ScriptProcessLost(tenant, how, process.pid))
        if how or self._is_closed:
            self._end(process)
        else:
            self._idle.append(process)

    def _end(self, process: ScriptProcess) -> None:
        process.kill()
        task = asyncio.create_task(process.wait_ended())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def _error_of(lost: ProcessLostError, call: ScriptCall) -> Exception:
    if lost.how == "overran":
        limit = call.limits.wall_ms or 0
        return BudgetExceededError(f"Took too long: the limit is {limit:g} ms", kind="limit_time")
    return TransientError("the script's process ended", reason="script.worker_died")


def processes_default() -> int:
    """Give one less than the cores that this process may use, but one at least."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, (cores or 1) - 1)
