"""Steps in a run's record: what each did, and the beginning of what it had and gave.

In: the steps of a run that has ended. Out: their JSON. Refuses nothing: values are shown as far as
`PREVIEW_BYTES_MAX` goes, those of the last steps first, until all of a record's previews together
have `PREVIEWS_BYTES_MAX`; the rest is marked. What is called like a credential is hidden: services
hand out tokens, which nobody gave us as secrets.
"""

import re
from collections.abc import Iterator, Sequence
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

_TELLTALE: Final = re.compile(
    rb"passw|pwd|secret|token|authoriz|cookie|apikey|api[-_]key|credential|private[-_]?key"
)
"""In a key's name, in lower case: its value is nobody's business."""

_OMITTED: Final = msgspec.Raw(b'{"truncated":true}')

_NO_JSON: Final = b'{"truncated":true,"reason":"no JSON"}'

_UNSET: Final = msgspec.UNSET
_ENCODER: Final = msgspec.json.Encoder()

_ITEMS_MAX: Final = 256
"""Of a large value, what is looked at for its beginning."""


class _StepDocument(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    step: str
    node: str
    at_ms: int
    took_us: int
    outcome: str
    attempt: int = 1
    is_journalled: bool = False
    is_replayed: bool = False
    input: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    output: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    code: str | msgspec.UnsetType = msgspec.UNSET


def encode_steps(steps: Sequence[RunStep], *, with_values: bool = True) -> bytes:
    """Write a record's steps as a JSON array."""
    left = PREVIEWS_BYTES_MAX
    backwards = []
    for step in reversed(steps):
        name, node, at_ms, took_us, end, attempt, is_kept, is_replayed, had, gave, code = step
        given: msgspec.Raw | msgspec.UnsetType = _UNSET
        output: msgspec.Raw | msgspec.UnsetType = _UNSET
        if with_values and gave is not ABSENT:
            output, left = _preview(gave, left)
        if with_values and had is not ABSENT:
            given, left = _preview(had, left)
        backwards.append(
            _StepDocument(
                name,
                node,
                at_ms,
                took_us,
                end,
                attempt,
                is_kept,
                is_replayed,
                given,
                output,
                _UNSET if code is None else code[:CODE_CHARS_MAX],
            )
        )
    backwards.reverse()
    return _ENCODER.encode(backwards)


# ── One value ────────────────────────────────────────────────────────────────────────────────


def _preview(value: Any, left: int) -> tuple[msgspec.Raw, int]:
    """Give a value's preview, and how many bytes are left for others'."""
    if left <= 0:
        return _OMITTED, 0
    data = _begin(value)
    left -= len(data)
    return (msgspec.Raw(data) if left >= 0 else _OMITTED), left


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
    if type(value) in (dict, list) and _TELLTALE.search(data.lower()):
        return _ENCODER.encode(_hide(value, iter(range(_ITEMS_MAX))))
    return data


def _is_deep(value: Any, data: bytes) -> bool:
    """Tell whether readers of the record would find it too deep."""
    return data.count(b"[") + data.count(b"{") > JSON_DEPTH_MAX and json_depth_exceeds(value)


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
    return _TELLTALE.search(str(name).lower().encode("utf-8", "replace")) is not None
