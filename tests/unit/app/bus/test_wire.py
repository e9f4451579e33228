"""Frames are what the server reads, and nothing can smuggle in a second one."""

import pytest

from app.bus.wire import build_frame, build_headers


def test_frame_without_headers_is_a_pub_command() -> None:
    assert build_frame("a.b", b"hi") == b"PUB a.b  2\r\nhi\r\n"
    assert build_frame("a.b", b"", reply="r.1") == b"PUB a.b r.1 0\r\n\r\n"


def test_frame_with_headers_names_both_sizes() -> None:
    headers = build_headers([("Nats-Msg-Id", "m1")])
    assert headers == b"NATS/1.0\r\nNats-Msg-Id: m1\r\n\r\n"
    frame = build_frame("a", b"hi", reply="r", headers=headers)
    assert frame == b"HPUB a r %d %d\r\n%bhi\r\n" % (len(headers), len(headers) + 2, headers)


@pytest.mark.parametrize("subject", ["", "a b", "a\r\nPUB b", "a\tb", "ä", "a\x00", "a" * 1025])
def test_subject_that_cannot_stand_on_its_line_is_refused(subject: str) -> None:
    with pytest.raises(ValueError, match="subject"):
        build_frame(subject, b"")
    if subject:
        with pytest.raises(ValueError, match="subject"):
            build_frame("a", b"", reply=subject)


@pytest.mark.parametrize(
    "value", ["", " ", "a\r\nX: y", "a\n", "ä", "a\x7f", " a", "a ", "x" * 1025]
)
def test_header_value_that_would_not_arrive_unchanged_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="header value"):
        build_headers([("X", value)])


def test_longest_header_value_is_taken() -> None:
    assert b"x" * 1024 in build_headers([("X", "x" * 1024)])
