"""One script process, seen from the host: started, asked, ended.

In: script calls. Out: results, or the script's own failure. Raises `ProcessLostError` when the
process cannot be used any more: it died, took too long or said what is no answer; then `kill` it.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, Self, assert_never

from actors.errors import PermanentError
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
    decode_answer,
    encode_frame,
    frame_length,
)
from grammar import (
    BudgetExceededError,
    EvaluationError,
    SourceText,
    Span,
    ValueMismatchError,
)

OVERRUN_SECONDS_MAX: Final = 1.0
"""How much longer than its own limit a script may take before its process is killed."""

LOAD_SECONDS_MAX: Final = 30.0
"""For starting Python and compiling a script with all that it may call."""

_MS: Final = 1000
_INHERITED: Final = ("LD_LIBRARY_PATH", "PYTHONHOME")
"""What Python may need to start at all; nothing else of the environment goes to a script."""

_KINDS: Final = {
    kind.code: kind for kind in (EvaluationError, BudgetExceededError, ValueMismatchError)
}

Loss = Literal["died", "overran", "garbled"]


class ProcessLostError(Exception):
    """The process cannot be used any more."""

    def __init__(self, how: Loss) -> None:
        super().__init__(how)
        self.how: Final = how


class ScriptProcess:
    """A running process; one call at a time. Make one with `start`."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, memory_bytes: int) -> Self:
        """Start a process and wait until it is ready; ProcessLostError if it does not come up."""
        arguments = ["-P", "-s", "-m", "app.worker.script_child"]
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                str(os.getpid()),
                str(memory_bytes),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env=_environment(),
                cwd="/",
                start_new_session=True,  # Ctrl-C on the terminal is for the program
            )
        except OSError:
            raise ProcessLostError("died") from None
        started = cls(process)
        try:
            await started._expect_loaded(b"")
        except BaseException:  # cancelled: nobody else knows of the process yet
            started.kill()
            raise
        return started

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it has not been seen to end."""
        return self._process.returncode is None

    def kill(self) -> None:
        """End it at once, whatever it does."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def wait_ended(self) -> None:
        """Wait until it is gone."""
        await self._process.wait()

    async def run(self, call: ScriptCall) -> ScriptResult | StateWanted:
        """Run one script; raises as `actors.ports.ScriptPool.run`, and ProcessLostError."""
        limits = call.limits
        request = Run(
            digest=call.script.digest,
            scope=dict(call.scope),
            state=None if call.state is None else dict(call.state),
            operations=limits.operations or 0,
            wall_ms=limits.wall_ms or 0,
        )
        seconds = request.wall_ms / _MS + OVERRUN_SECONDS_MAX
        frame = _frame_of(request)
        answer = await self._receive(frame, seconds)
        if isinstance(answer, Unknown):
            await self._load(call.script)
            answer = await self._receive(frame, seconds)
        return _result_of(answer, call.script)

    async def _load(self, script: ScriptText) -> None:
        library = tuple((text.name, text.text) for text in script.library)
        request = Load(script.digest, script.source.name, script.source.text, library)
        await self._expect_loaded(_frame_of(request))

    async def _expect_loaded(self, frame: bytes) -> None:
        if not isinstance(await self._receive(frame, LOAD_SECONDS_MAX), Loaded):
            raise ProcessLostError("garbled")

    async def _receive(self, frame: bytes, seconds: float) -> Answer:
        """Send a frame, if there is one to send, and wait for the answer."""
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(frame)
        except TimeoutError:
            raise ProcessLostError("overran") from None
        except (OSError, asyncio.IncompleteReadError):
            raise ProcessLostError("died") from None
        except FrameError:
            raise ProcessLostError("garbled") from None

    async def _exchange(self, frame: bytes) -> Answer:
        writer, reader = self._process.stdin, self._process.stdout
        assert writer is not None  # noqa: S101 - both are pipes
        assert reader is not None  # noqa: S101
        writer.write(frame)
        await writer.drain()
        length = frame_length(await reader.readexactly(LENGTH_BYTES))
        return decode_answer(await reader.readexactly(length))


def _frame_of(request: Request) -> bytes:
    try:
        return encode_frame(request)
    except FrameError as error:
        raise PermanentError(f"what the script reads {error}", reason="not_json") from None


def _environment() -> dict[str, str]:
    """Give a process what it needs to find our own code, and nothing else."""
    paths = os.pathsep.join(str(Path(path).absolute()) for path in sys.path)
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {"PYTHONPATH": paths, **inherited}


def _result_of(answer: Answer, script: ScriptText) -> ScriptResult | StateWanted:
    match answer:
        case Done():
            return ScriptResult(
                answer.value, answer.printed, answer.writes, answer.removed, answer.operations
            )
        case Wanted():
            return StateWanted(answer.key, answer.operations)
        case Failed():
            raise _error_of(answer, script)
        case Refused():
            raise PermanentError(answer.message, reason=answer.reason)
        case Loaded() | Unknown():
            raise ProcessLostError("garbled")
        case _:
            assert_never(answer)


def _error_of(failed: Failed, script: ScriptText) -> EvaluationError:
    """Give the script's error again, with its place in the texts of this side."""
    kind = _KINDS.get(failed.code, EvaluationError)
    texts: dict[str | None, SourceText] = {text.name: text for text in script.library}
    texts[script.source.name] = script.source
    return kind(
        failed.message,
        kind=failed.kind,
        hint=failed.hint,
        span=None if failed.span is None else Span(*failed.span),
        source=texts.get(failed.source),
    )
