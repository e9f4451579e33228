"""A script process: ``python -m app.worker.script_child PARENT_PID MEMORY_BYTES``.

In: requests of `app.worker.script_frames` on standard input. Out: answers on standard output. It
ends with its input, and on Linux with its parent. It has no environment, no files but those two
pipes, and no more memory than it is told; it refuses to outgrow that, and then ends.
"""

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO, Final

from actors.errors import NodeError
from actors.nodes.script_evaluation import ScriptEvaluator
from actors.ports import ScriptCall, ScriptResult, ScriptText, StateWanted
from app.worker.script_frames import (
    LENGTH_BYTES,
    Answer,
    Done,
    Failed,
    FrameError,
    Load,
    Loaded,
    Refused,
    Request,
    Run,
    Unknown,
    Wanted,
    decode_request,
    encode_frame,
    frame_length,
)
from grammar import DEFAULT_LIMITS, BudgetExceededError, EvaluationError, SourceText

PR_SET_PDEATHSIG: Final = 1
FILES_MAX: Final = 16
"""Open files: the pipes, and what Python itself may open."""
MIB: Final = 1024 * 1024


class ScriptServer:
    """Answers one request after the other."""

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._evaluator = ScriptEvaluator()
        self._scripts: dict[str, ScriptText] = {}
        self.is_spent = False
        """The memory is full, and may be in pieces: better to begin afresh."""

    def serve(self, requests: BinaryIO, answers: BinaryIO) -> None:
        """Tell that it is ready, then answer until the requests end."""
        answers.write(encode_frame(Loaded()))
        answers.flush()
        while not self.is_spent and len(head := requests.read(LENGTH_BYTES)) == LENGTH_BYTES:
            request = decode_request(requests.read(frame_length(head)))
            answers.write(self._answer_frame(request))
            answers.flush()

    def _answer_frame(self, request: Request) -> bytes:
        try:
            answer = self._answer(request)
        except MemoryError:
            self.is_spent = True
            answer = self._out_of_memory()
        try:
            return encode_frame(answer)
        except FrameError as error:
            return encode_frame(Refused("not_json", f"what the script gives {error}"))

    def _answer(self, request: Request) -> Answer:
        if isinstance(request, Load):
            return self._load(request)
        script = self._scripts.get(request.digest)
        if script is None or not self._evaluator.has(request.digest):
            self._scripts.pop(request.digest, None)
            return Unknown()
        return self._run(request, script)

    def _load(self, request: Load) -> Answer:
        library = tuple(SourceText(name, text) for name, text in request.library)
        script = ScriptText(SourceText(request.name, request.text), library, request.digest)
        self._evaluator.load(script)
        self._scripts[script.digest] = script
        for digest in [digest for digest in self._scripts if not self._evaluator.has(digest)]:
            del self._scripts[digest]
        return Loaded()

    def _run(self, request: Run, script: ScriptText) -> Answer:
        limits = replace(DEFAULT_LIMITS, operations=request.operations, wall_ms=request.wall_ms)
        call = ScriptCall("", script, request.scope, limits, request.state)
        try:
            return _answer_of(self._evaluator.evaluate(call))
        except EvaluationError as error:
            return _failed(error)
        except NodeError as error:
            return Refused(error.reason, str(error))

    def _out_of_memory(self) -> Answer:
        mib = self._memory_bytes // MIB
        message = f"Too much memory: the limit is {mib} MiB"
        return Failed(BudgetExceededError.code, "limit_memory", message)


def _answer_of(result: ScriptResult | StateWanted) -> Answer:
    if isinstance(result, StateWanted):
        return Wanted(result.key, result.operations)
    writes = dict(result.writes)
    return Done(result.value, result.printed, writes, result.removed, result.operations)


def _failed(error: EvaluationError) -> Failed:
    span = error.span
    return Failed(
        code=error.code,
        kind=error.kind,
        message=error.message,
        hint=error.hint,
        source=None if error.source is None else error.source.name,
        span=None if span is None else (span.start, span.end, span.line, span.column),
    )


# ── The process ──────────────────────────────────────────────────────────────────────────────


def main(arguments: list[str]) -> None:
    """Shut the process in, then serve."""
    parent_pid, memory_bytes = int(arguments[0]), int(arguments[1])
    die_with(parent_pid)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.environ.clear()
    requests, answers = _take_pipes()
    limit_resources(memory_bytes)
    with requests, answers, suppress(BrokenPipeError):
        ScriptServer(memory_bytes).serve(requests, answers)


def die_with(parent_pid: int) -> None:
    """Ask Linux to kill this process with its parent; elsewhere the end of the input does."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it ended before: no signal will ever come
        sys.exit("the parent process is gone")


def limit_resources(memory_bytes: int) -> None:
    """Bound memory and files, for good. A system without one of the limits has the others."""
    for kind, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, FILES_MAX),
    ):
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (most, most))


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep the pipes for ourselves: nothing that is printed by accident may get into a frame."""
    open_pipe: Callable[[int, str], BinaryIO] = os.fdopen  # type: ignore[assignment]
    pipes = open_pipe(os.dup(0), "rb"), open_pipe(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    _close_others([pipe.fileno() for pipe in pipes])
    return pipes


def _close_others(kept: list[int]) -> None:
    """Close what was inherited beside: not every event loop leaves nothing open for a child."""
    first = 3  # behind the standard ones
    for descriptor in (*sorted(kept), os.sysconf("SC_OPEN_MAX")):
        if first < descriptor:  # closing an empty range can close everything
            os.closerange(first, descriptor)
        first = descriptor + 1


if __name__ == "__main__":
    main(sys.argv[1:])
