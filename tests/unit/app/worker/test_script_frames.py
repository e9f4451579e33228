"""Frames between a host and its script processes. In: structs, bytes. Out: the same, or no."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.worker.script_frames import (
    FRAME_BYTES_MAX,
    LENGTH_BYTES,
    Answer,
    Done,
    Failed,
    FrameError,
    Load,
    Loaded,
    Refused,
    Run,
    Unknown,
    Wanted,
    decode_answer,
    decode_request,
    encode_frame,
    frame_length,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("ab\u00e9"), inner, max_size=4)
    ),
    max_leaves=12,
)


def body(frame: bytes) -> bytes:
    assert frame_length(frame[:LENGTH_BYTES]) == len(frame) - LENGTH_BYTES
    return frame[LENGTH_BYTES:]


@given(value=JSON)
def test_values_cross_exactly(value: Any) -> None:
    there = decode_request(body(encode_frame(Run("d", {"x": value}, None, 1, 1.5))))
    assert isinstance(there, Run)
    assert repr(there.scope["x"]) == repr(value)
    back = decode_answer(
        body(encode_frame(Done(value, (("print", "a"),), {"k": value}, frozenset({"k"}))))
    )
    assert isinstance(back, Done)
    assert repr((back.value, back.writes["k"])) == repr((value, value))


@pytest.mark.parametrize(
    "answer",
    [
        Loaded(),
        Unknown(),
        Wanted("k"),
        Refused("too_large", "text"),
        Failed("grammar.evaluation", "arithmetic", "no"),
        Failed("c", "k", "m", "hint", "scripts/a.rhai", (1, 2, 3, 4)),
    ],
)
def test_answers_read_back(answer: Answer) -> None:
    assert decode_answer(body(encode_frame(answer))) == answer


def test_a_script_to_load_reads_back() -> None:
    load = Load("d", "n", "1", (("a", "fn f() {}"),))
    assert decode_request(body(encode_frame(load))) == load


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"null", b'{"type":"exec"}', b'{"type":"run"}', b"\xff", b"[" * 5000],
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(FrameError):
        decode_request(data)
    with pytest.raises(FrameError):
        decode_answer(data)


@pytest.mark.parametrize("head", [b"", b"abc", (FRAME_BYTES_MAX + 1).to_bytes(4)])
def test_what_is_no_length_is_refused(head: bytes) -> None:
    with pytest.raises(FrameError):
        frame_length(head)


@pytest.mark.parametrize("value", ["\ud800", object(), {1: 1}])
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    if value == {1: 1}:
        value = {object(): 1}
    with pytest.raises(FrameError):
        encode_frame(Done(value, (), {}, frozenset()))


def test_a_frame_has_a_largest_size() -> None:
    with pytest.raises(FrameError, match="larger"):
        encode_frame(Done("x" * FRAME_BYTES_MAX, (), {}, frozenset()))
