"""What strangers write into headers and reply subjects is read with care."""

import pytest

from app.bus.ack_subject import AckSubject, parse_ack_subject, waiting_behind
from app.bus.headers import HOPS, REPLY, checked_traceparent, read_hops, read_reply_to

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_reply_subject_of_our_form_is_read() -> None:
    assert read_reply_to({REPLY: "greentic.reply.i1.evt-1"}) == "greentic.reply.i1.evt-1"


@pytest.mark.parametrize(
    "subject",
    ["", "greentic.events.dev.a.b", "greentic.reply.i1", "greentic.reply.*.e", "$JS.API.STREAM.X"],
)
def test_reply_subject_of_another_form_counts_as_none(subject: str) -> None:
    assert read_reply_to({REPLY: subject}) is None


def test_absent_headers_read_as_nothing() -> None:
    assert read_reply_to(None) is None
    assert read_reply_to({}) is None
    assert read_hops(None) == 0
    assert read_hops({}) == 0


@pytest.mark.parametrize(
    ("text", "hops"), [("3", 3), ("999999", 999999), ("1000000", 0), ("-1", 0), ("x", 0), ("", 0)]
)
def test_hops_are_read_or_none(text: str, hops: int) -> None:
    assert read_hops({HOPS: text}) == hops


def test_only_a_trace_context_is_passed_on() -> None:
    assert checked_traceparent({"traceparent": TRACE}) == TRACE
    for value in (TRACE + "\r\nX: y", TRACE.upper(), "", None, 7):
        assert checked_traceparent({"traceparent": value}) is None
    assert checked_traceparent(None) is None


@pytest.mark.parametrize(
    "reply",
    [
        "$JS.ACK.S.D.2.7.9.1700000000.5",
        "$JS.ACK.hub.ACCHASH.S.D.2.7.9.1700000000.5",
        "$JS.ACK.hub.ACCHASH.S.D.2.7.9.1700000000.5.rand",
    ],
)
def test_both_forms_of_the_ack_subject_are_read(reply: str) -> None:
    assert parse_ack_subject(reply) == AckSubject("S", "D", 2, 7)
    assert waiting_behind(reply) == 5


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "_INBOX.a.b",
        "$JS.ACK.",
        "$JS.ACK.S.D.2.7",
        "$JS.ACK.S.D.x.7.9.1.5",
        "$JS.ACK.a.b.c.d.e.f.g.h",
    ],
)
def test_anything_else_is_no_ack_subject(reply: str) -> None:
    assert parse_ack_subject(reply) is None


@pytest.mark.parametrize(
    "reply", ["", "_INBOX.a.b", "$JS.ACK.", "$JS.ACK.S.D.2.7", "$JS.ACK.S.D.2.7.9.1.x"]
)
def test_what_does_not_tell_what_waits_tells_nothing(reply: str) -> None:
    assert waiting_behind(reply) == 0
