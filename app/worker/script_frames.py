"""What a host and its script processes say to each other: JSON in frames with their length first.

In: requests and answers as structs. Out: bytes, and back. Nothing is ever unpickled. Refuses, with
`FrameError`, what is no such struct and frames of more than 32 MiB. Integers stay exact.
"""

from typing import Any, Final

import msgspec

LENGTH_BYTES: Final = 4
FRAME_BYTES_MAX: Final = 32 * 1024 * 1024


class FrameError(Exception):
    """Bytes that are no frame, or a value that no frame can carry."""


class Load(msgspec.Struct, tag="load", frozen=True):
    """Compile a script and keep it."""

    digest: str
    name: str
    text: str
    library: tuple[tuple[str, str], ...]
    """Names and texts of shared scripts."""


class Run(msgspec.Struct, tag="run", frozen=True):
    """Run a script that was loaded."""

    digest: str
    scope: dict[str, Any]
    state: dict[str, Any] | None
    operations: int
    wall_ms: float


class Loaded(msgspec.Struct, tag="loaded", frozen=True):
    """The script is compiled."""


class Unknown(msgspec.Struct, tag="unknown", frozen=True):
    """No such script is loaded, or not any more."""


class Done(msgspec.Struct, tag="done", frozen=True):
    """The script came to a value."""

    value: Any
    printed: tuple[tuple[str, str], ...]
    writes: dict[str, Any]
    removed: frozenset[str]
    operations: int = 0


class Wanted(msgspec.Struct, tag="wanted", frozen=True):
    """The script reads a key of the state that it was not given."""

    key: str
    operations: int = 0


class Failed(msgspec.Struct, tag="failed", frozen=True):
    """The script failed; the fields are those of `grammar.EvaluationError`."""

    code: str
    kind: str
    message: str
    hint: str | None = None
    source: str | None = None
    span: tuple[int, int, int, int] | None = None
    """Start, end, line, column."""


class Refused(msgspec.Struct, tag="refused", frozen=True):
    """A value that a run may not carry; the fields are those of `actors.errors.PermanentError`."""

    reason: str
    message: str


Request = Load | Run
Answer = Loaded | Unknown | Done | Wanted | Failed | Refused

_ENCODER: Final = msgspec.json.Encoder()
_REQUESTS: Final[msgspec.json.Decoder[Request]] = msgspec.json.Decoder(Request)
_ANSWERS: Final[msgspec.json.Decoder[Answer]] = msgspec.json.Decoder(Answer)


def encode_frame(message: Request | Answer) -> bytes:
    """Write a frame."""
    try:
        data = _ENCODER.encode(message)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise FrameError(f"is no JSON value: {type(error).__name__}") from None
    if len(data) > FRAME_BYTES_MAX:
        raise FrameError(f"is larger than {FRAME_BYTES_MAX} bytes")
    return len(data).to_bytes(LENGTH_BYTES) + data


def frame_length(head: bytes) -> int:
    """Read how long the rest of a frame is."""
    length = int.from_bytes(head)
    if len(head) != LENGTH_BYTES or length > FRAME_BYTES_MAX:
        raise FrameError("is no frame")
    return length


def decode_request(data: bytes) -> Request:
    """Read what a host says."""
    try:
        return _REQUESTS.decode(data)
    except (ValueError, RecursionError) as error:
        raise FrameError(str(error)) from None


def decode_answer(data: bytes) -> Answer:
    """Read what a script process says."""
    try:
        return _ANSWERS.decode(data)
    except (ValueError, RecursionError) as error:
        raise FrameError(str(error)) from None
