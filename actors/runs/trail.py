"""The steps a run took, as its record tells of them.

In: the marks that the walker leaves at each step: two references and a time, so that runs which
nobody looks at pay next to nothing. Out: the last `STEPS_KEPT` steps, made when somebody asks for
them first. By then the run has ended; what its steps had and gave is never changed by anybody.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, overload

from actors.outcomes import Advance, CallFlow, Sleep, StepOutcome
from actors.ports import ABSENT, STEPS_KEPT, RunStep, StepEnd
from actors.runs.run import Mark, Run

_UNKNOWN: Final = "internal"


class Trail(Sequence[RunStep]):
    """A run's last steps. ``code`` is the error's that the run ended with, if it did with one."""

    __slots__ = ("_code", "_made", "_run")

    def __init__(self, run: Run, code: str | None) -> None:
        self._run = run
        self._code = code
        self._made: tuple[RunStep, ...] | None = None

    def __len__(self) -> int:
        return min(len(self._run.path), STEPS_KEPT)

    @overload
    def __getitem__(self, index: int) -> RunStep: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RunStep]: ...
    def __getitem__(self, index: int | slice) -> RunStep | Sequence[RunStep]:
        return self.steps[index]

    def __repr__(self) -> str:
        return f"Trail{self.steps!r}"

    def __iter__(self) -> Iterator[RunStep]:
        return iter(self.steps)

    def __reversed__(self) -> Iterator[RunStep]:
        return iter(self.steps[::-1])

    @property
    def steps(self) -> tuple[RunStep, ...]:
        """The steps, in the order taken."""
        if self._made is None:
            self._made = _steps_of(self._run, self._code or _UNKNOWN)
        return self._made


def _steps_of(run: Run, code: str) -> tuple[RunStep, ...]:
    """Make the steps, the last one first. Written out, since every run's record passes here."""
    path, marks, zero_at, replayed = run.path, _whole(run), run.zero_at, run.replayed
    retries = run.request.retries
    next_at = run.ended_at
    steps = []
    for number in range(len(path) - 1, max(0, len(path) - STEPS_KEPT) - 1, -1):
        began, node, end, ended, given = marks[number]
        if ended is None:
            ended = next_at  # what never waits ends where the next step begins
        next_at = began
        name, had, gave, failure = _ends(end, given, code)
        at_ms, took_us = int((began - zero_at) * 1000), int((ended - began) * 1_000_000)
        steps.append(
            RunStep(
                path[number],
                "" if node is None else node.type,
                max(0, at_ms),
                max(0, took_us),
                name,
                1 + _retries(run, number) if retries else 1,
                node is not None and node.is_journalled,
                number < replayed,
                had,
                gave,
                failure,
            )
        )
    steps.reverse()
    return tuple(steps)


def _whole(run: Run) -> list[Mark]:
    """Give the marks of all steps: one that ended the run with no outcome may have left none."""
    if len(run.marks) == len(run.path):
        return run.marks
    frame = run.frame
    node = None if frame.target is None else frame.flow.nodes.get(frame.target)
    at = max(run.zero_at, run.ended_at, *(mark[3] or mark[0] for mark in run.marks[-1:]))
    return [*run.marks, (at, node, None, at, ABSENT)]


def _retries(run: Run, number: int) -> int:
    step = run.path[number]
    return run.retries(f"{step}:{run.path[: number + 1].count(step)}")


def _ends(
    end: StepOutcome | str | None, given: Any, code: str
) -> tuple[StepEnd, Any, Any, str | None]:
    """Say how a step ended, what it had, what it gave, and the code of its error."""
    if isinstance(end, Advance):
        return "done", given, end.value if end.binds else ABSENT, None
    if isinstance(end, CallFlow):
        return "called", {"flow": end.flow, "payload": end.payload}, ABSENT, None
    if isinstance(end, Sleep):
        return "slept", {"due_ms": end.due_ms}, ABSENT, None
    return "failed", given, ABSENT, code if end is None else end
