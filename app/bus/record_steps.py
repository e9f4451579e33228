"""Steps in a run's record: what each did, and the beginning of what it had and gave.

In: the steps of a run that has ended. Out: their JSON. Refuses nothing: values are shown as far as
`PREVIEW_BYTES_MAX` goes, those of the last steps first, until all of a record's previews together
have `PREVIEWS_BYTES_MAX`; the rest is marked. What is called like a credential is hidden: services
hand out tokens, which nobody gave us as secrets.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from actors.events import JSON_DEPTH_MAX, json_depth_exceeds
from actors.ports import ABSENT, RunStep

PREVIEW_BYTES_MAX: Final = 1024
"""Of one value."""
PREVIEWS_BYTES_MAX: Final = 16 * 1024
"""Of all values of a record."""
CODE_CHARS_MAX: Final = 64

HIDDEN: Final = "[hidden]"

_TELLTALES: Final = (
    "passw",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "authoriz",
    "cookie",
    "apikey",
    "api-key",
    "api_key",
    "credential",
    "private",
    "session",
    "signature",
)
"""In a key's name: its value is nobody's business."""
_TELLTALE_BYTES: Final = tuple(word.encode() for word in _TELLTALES)

_OMITTED: Final = msgspec.Raw(b'{"truncated":true}')

_NO_JSON: Final = b'{"truncated":true,"reason":"no JSON"}'

_ENCODER: Final = msgspec.json.Encoder()

_ITEMS_MAX: Final = 256
"""Of a large value, what is looked at for its beginning."""


class _StepDocument(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    step: str
    node: str
    at_ms: int
    took_us: int
    outcome: str
    attempt: int
    is_journalled: bool
    is_replayed: bool
    input: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    output: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    code: str | msgspec.UnsetType = msgspec.UNSET


@dataclass(slots=True)
class _Room:
    """What is left for previews."""

    bytes: int = PREVIEWS_BYTES_MAX


def encode_steps(steps: Sequence[RunStep], *, with_values: bool = True) -> bytes:
    """Write a record's steps as a JSON array."""
    room = _Room()
    backwards = [_document(step, room, with_values=with_values) for step in reversed(steps)]
    backwards.reverse()
    return _ENCODER.encode(backwards)


def _document(step: RunStep, room: _Room, *, with_values: bool) -> _StepDocument:
    output = _preview(step.output, room) if with_values else msgspec.UNSET
    given = _preview(step.input, room) if with_values else msgspec.UNSET
    return _StepDocument(
        step.step,
        step.node,
        step.at_ms,
        step.took_us,
        step.outcome,
        step.attempt,
        step.is_journalled,
        step.is_replayed,
        given,
        output,
        msgspec.UNSET if step.code is None else step.code[:CODE_CHARS_MAX],
    )


# ── One value ────────────────────────────────────────────────────────────────────────────────


def _preview(value: Any, room: _Room) -> "msgspec.Raw | msgspec.UnsetType":
    if value is ABSENT:
        return msgspec.UNSET
    if room.bytes <= 0:
        return _OMITTED
    data = _begin(value)
    room.bytes -= len(data)
    return msgspec.Raw(data) if room.bytes >= 0 else _OMITTED


def encode_value(value: Any) -> bytes | None:
    """Write a value that was checked when it came to be; None for one that is no JSON after all."""
    try:
        return _ENCODER.encode(value)
    except (UnicodeEncodeError, RecursionError, TypeError, ValueError, OverflowError):
        return None


def _begin(value: Any) -> bytes:
    """Give a value as JSON, or of a larger one the beginning."""
    data = encode_value(value)
    if data is None:
        return _NO_JSON
    if len(data) > PREVIEW_BYTES_MAX or _is_deep(value, data):
        return _cut(value, len(data))
    low = data.lower()
    if any(word in low for word in _TELLTALE_BYTES):
        return _ENCODER.encode(_hide(value, iter(range(_ITEMS_MAX))))
    return data


def _is_deep(value: Any, data: bytes) -> bool:
    """Tell whether readers of the record would find it too deep."""
    return data.count(b"{") + data.count(b"[") > JSON_DEPTH_MAX and json_depth_exceeds(value)


def _cut(value: Any, whole_bytes: int) -> bytes:
    head = _ENCODER.encode(_hide(value, iter(range(_ITEMS_MAX))))
    keep = PREVIEW_BYTES_MAX
    while True:
        text = head[:keep].decode(errors="ignore")
        document = {"truncated": True, "bytes": whole_bytes, "preview": text}
        data = _ENCODER.encode(document)
        if len(data) <= PREVIEW_BYTES_MAX:
            return data
        keep = keep * PREVIEW_BYTES_MAX // len(data) - 1


def _hide(value: Any, left: Iterator[int]) -> Any:
    """Give the beginning of a value, with what is called like a credential hidden."""
    if isinstance(value, str):
        return value[:PREVIEW_BYTES_MAX]
    if isinstance(value, dict):
        return {
            key: HIDDEN if _is_telltale(key) else _hide(item, left)
            for (key, item), _ in zip(value.items(), left, strict=False)
        }
    if isinstance(value, list):
        return [_hide(item, left) for item, _ in zip(value, left, strict=False)]
    return value


def _is_telltale(name: object) -> bool:
    low = str(name).lower()
    return any(word in low for word in _TELLTALES)
