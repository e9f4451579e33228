"""A thread that watches whether the event loop turns.

In: the running loop. Out: how late it turns (a histogram), a line with the loop's stack *while* it
stands still, and `is_stuck` for the readiness page. Refuses to show more of the stack than places
in the code: a variable may hold a payload or a secret.

The loop beats ten times a second; the thread looks at the last beat. It counts only time in which
it ran itself: a process that was stopped as a whole (SIGSTOP, a frozen machine) is told as paused,
and its loop gets the same time again to show that it turns. If the processor was busy meanwhile,
one long call held the interpreter and kept the thread from looking: that is a stall, told late.
"""

import asyncio
import sys
import threading
import time
from dataclasses import dataclass
from types import FrameType
from typing import Final

from actors.ports import Observer
from app.observability.crashes import place_of
from app.observability.metrics import Metrics

BEAT_SECONDS: Final = 0.1
LOOK_SECONDS: Final = 0.05
STALL_SECONDS: Final = 0.25
"""How long past its beat a loop is called stalled."""
STUCK_SECONDS: Final = 5.0
"""How long until the process is called not ready."""
PAUSE_SECONDS: Final = 1.0
"""How long the thread itself must not have run for the process to be called paused."""
BUSY_SHARE: Final = 0.5
"""Of such a time, what the process must have computed for the time to count as the loop's own."""
STACK_EVERY_SECONDS: Final = 10.0
"""At most one stack in so long: a loop that stalls all the time must not fill the log too."""
FRAMES_MAX: Final = 16
JOIN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class LoopStalled:
    """The event loop stands still; ``stack`` is where, innermost first. Said once per stall."""

    stalled_seconds: float
    stack: list[str]
    untold: int
    """Stalls since the last line that were only counted."""


@dataclass(frozen=True, slots=True)
class LoopStuck:
    """The event loop has stood still for so long that the process is not ready."""

    stalled_seconds: float
    stack: list[str]


@dataclass(frozen=True, slots=True)
class LoopResumed:
    """The event loop turns again after a stall that was told."""

    stalled_seconds: float


@dataclass(frozen=True, slots=True)
class ProcessPaused:
    """The whole process was stopped for a while, from outside."""

    paused_seconds: float


class LoopWatchdog:
    """Watches the loop it is started in, from `start` to `stop`."""

    def __init__(
        self,
        metrics: Metrics,
        observer: Observer,
        *,
        stall_seconds: float = STALL_SECONDS,
        stuck_seconds: float = STUCK_SECONDS,
        stack_every_seconds: float = STACK_EVERY_SECONDS,
    ) -> None:
        self._metrics = metrics
        self._observer = observer
        self._stall_seconds = stall_seconds
        self._stuck_seconds = stuck_seconds
        self._stack_every_seconds = stack_every_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._beat: asyncio.TimerHandle | None = None
        self._beats = 0
        self._due_at = 0.0
        self._loop_thread = 0
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        # What only the thread writes:
        self._stalled_seconds = 0.0
        self._is_told = False
        self._is_stuck_told = False
        self._told_at = float("-inf")
        self._untold = 0

    @property
    def is_stuck(self) -> bool:
        """Whether the loop has not turned for `STUCK_SECONDS`; False again once it has."""
        return self._stalled_seconds >= self._stuck_seconds

    def reasons(self) -> list[str]:
        """Say why the process is not ready; whoever asks over HTTP hears it just after a stall."""
        return ["the event loop stands still"] if self.is_stuck else []

    # ── In the loop ──────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Begin to watch the running loop."""
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._schedule_beat()
        self._thread = threading.Thread(target=self._watch, name="loop-watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the beat and the thread."""
        if self._beat is not None:
            self._beat.cancel()
        self._ending.set()
        if self._thread is not None:
            self._thread.join(JOIN_SECONDS)

    def _on_beat(self) -> None:
        self._metrics.loop_lag_seconds.observe(max(0.0, time.monotonic() - self._due_at))
        self._schedule_beat()

    def _schedule_beat(self) -> None:
        if self._loop is None:
            return
        self._due_at = time.monotonic() + BEAT_SECONDS
        self._beats += 1
        self._beat = self._loop.call_later(BEAT_SECONDS, self._on_beat)

    # ── In the thread ────────────────────────────────────────────────────────────────────────

    def _watch(self) -> None:
        beats, since = self._beats, self._due_at
        looked_at, computed = time.monotonic(), time.process_time()
        while not self._ending.wait(LOOK_SECONDS):
            now, computed_now = time.monotonic(), time.process_time()
            away = now - looked_at - LOOK_SECONDS
            is_own = computed_now - computed >= BUSY_SHARE * away
            looked_at, computed = now, computed_now
            if away > PAUSE_SECONDS and not is_own:
                self._observer.observe(ProcessPaused(round(away, 3)))
                since += away
            if beats != self._beats:
                beats, since = self._beats, self._due_at
                self._on_turn()
            elif now - since > self._stall_seconds:
                self._on_stall(now, now - since)

    def _on_turn(self) -> None:
        stalled_seconds, self._stalled_seconds = self._stalled_seconds, 0.0
        self._is_stuck_told = False
        if self._is_told:
            self._is_told = False
            self._observer.observe(LoopResumed(round(stalled_seconds, 3)))

    def _on_stall(self, now: float, stalled_seconds: float) -> None:
        # Marked before it is said: writing a line may itself be what the loop waits for.
        is_new, self._stalled_seconds = self._stalled_seconds == 0.0, stalled_seconds
        if is_new:
            self._metrics.loop_stalls.inc()
            self._tell_stall(now, stalled_seconds)
        if self.is_stuck and not self._is_stuck_told:
            self._is_stuck_told = self._is_told = True
            self._observer.observe(LoopStuck(round(stalled_seconds, 3), self._stack()))

    def _tell_stall(self, now: float, stalled_seconds: float) -> None:
        if now - self._told_at < self._stack_every_seconds:
            self._untold += 1
            return
        self._told_at, self._is_told = now, True
        untold, self._untold = self._untold, 0
        self._observer.observe(LoopStalled(round(stalled_seconds, 3), self._stack(), untold))

    def _stack(self) -> list[str]:
        places: list[str] = []
        frame: FrameType | None = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - there is no other way to see another thread
        while frame is not None and len(places) < FRAMES_MAX:
            code = frame.f_code
            places.append(place_of(code.co_filename, frame.f_lineno, code.co_qualname))
            frame = frame.f_back
        return places
