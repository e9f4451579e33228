"""A webhook that a flow answers: SPEC 9, rule by rule."""

from typing import Any

import pytest

from actors.outcomes import Answer, Ended
from actors.ports import PublishAck
from tests.support.ingress import JSON_HEADERS, PATH, Ingress


def waiting_ingress(flows: int = 1, **options: Any) -> Ingress:
    ingress = Ingress(options)
    ingress.door.flows = flows
    return ingress


async def test_inbox_is_open_before_the_event_is_published() -> None:
    ingress = waiting_ingress()
    await ingress.client.post()
    assert ingress.inbox.opened == ["E1"]
    assert ingress.door.accepted[0][3] == "greentic.reply.x.E1"
    assert ingress.inbox.waiting == 0


async def test_first_answer_wins() -> None:
    ingress = waiting_ingress(flows=2)
    ingress.inbox.messages = [
        Ended("r1", "completed"),
        Answer(201, {"X-Order": "7"}, {"ok": True}),
        Answer(500, {}, None),
    ]
    reply = await ingress.client.post()
    assert (reply.status, reply.json) == (201, {"ok": True})
    assert reply.header("x-order") == "7"
    assert reply.header("content-type") == "application/json"


async def test_all_flows_ended_without_an_answer_is_202() -> None:
    ingress = waiting_ingress(flows=2)
    ingress.inbox.messages = [Ended("r1", "completed"), Ended("r2", "cancelled")]
    ingress.inbox.is_endless = True
    reply = await ingress.client.post()
    assert (reply.status, reply.json) == (202, {"event_id": "E1"})


async def test_all_flows_ended_and_one_failed_is_502_with_its_run() -> None:
    ingress = waiting_ingress(flows=2)
    ingress.inbox.messages = [Ended("r1", "failed"), Ended("r2", "completed")]
    reply = await ingress.client.post()
    assert (reply.status, reply.json["code"]) == (502, "http.flow_failed")
    assert (reply.json["run_id"], reply.json["event_id"]) == ("r1", "E1")


async def test_end_told_twice_counts_once() -> None:
    ingress = waiting_ingress(flows=2)
    ingress.inbox.messages = [Ended("r1", "failed"), Ended("r1", "failed")]
    reply = await ingress.client.post()
    assert reply.status == 202, "the second flow has not ended: the deadline decides"


async def test_deadline_is_202_however_many_messages_come() -> None:
    ingress = waiting_ingress(flows=9, sync_timeout_ms=2000)
    ingress.inbox.seconds_between = 1.5
    ingress.inbox.messages = [Ended("r1", "failed"), Ended("r2", "failed"), Answer(200)]
    started = ingress.clock.now
    reply = await ingress.client.post()
    assert reply.status == 202
    assert len(ingress.inbox.messages) == 1, "what comes after the deadline is not read"
    assert ingress.clock.now - started == pytest.approx(3.0)


async def test_zero_timeout_never_waits() -> None:
    ingress = waiting_ingress(sync_timeout_ms=0)
    assert (await ingress.client.post()).status == 202
    assert ingress.inbox.opened == []


async def test_duplicate_is_202_at_once() -> None:
    ingress = waiting_ingress()
    ingress.inbox.is_endless = True
    ingress.door.ack = PublishAck("FIRST", 1, is_duplicate=True)
    reply = await ingress.client.post()
    assert (reply.status, reply.json) == (202, {"event_id": "FIRST"})
    assert ingress.inbox.waiting == 0


async def test_client_that_leaves_frees_the_inbox() -> None:
    ingress = waiting_ingress()
    ingress.inbox.is_endless = True
    reply = await ingress.client.request(
        "POST", PATH, headers=JSON_HEADERS, parts=[b"{}"], leaves=True
    )
    assert reply.status == 0
    assert ingress.inbox.waiting == 0
    assert len(ingress.door.accepted) == 1
    assert ingress.counted(499) == 1


@pytest.mark.parametrize(
    ("answer", "body", "media"),
    [
        (Answer(200, {}, "hi é"), "hi é".encode(), "text/plain; charset=utf-8"),
        (Answer(200, {}, [1, 2**70]), b"[1,1180591620717411303424]", "application/json"),
        (Answer(200, {}, None), b"", None),
        (Answer(200, {}, False), b"false", "application/json"),
        (Answer(204, {}, {"a": 1}), b"", None),
        (Answer(200, {"Content-Type": "text/xml"}, "<a/>"), b"<a/>", "text/xml"),
    ],
)
async def test_answers_bodies(answer: Answer, body: bytes, media: str | None) -> None:
    ingress = waiting_ingress()
    ingress.inbox.messages = [answer]
    reply = await ingress.client.post()
    assert (reply.status, reply.body) == (answer.status, body)
    assert reply.header("content-type") == media


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Connection", "upgrade"),
        ("Transfer-Encoding", "chunked"),
        ("CONTENT-LENGTH", "0"),
        ("Upgrade", "h2c"),
        ("Date", "now"),
        ("X-A", "a\r\nSet-Cookie: b=c"),
        ("X-A", "a\nb"),
        ("X-A", "a\x00"),
        ("X-A", "é"),
        ("X A", "a"),
        ("X-A:", "a"),
        ("", "a"),
        ("X-É", "a"),
        ("X-" + "a" * 200, "a"),
        ("X-A", "a" * 9000),
    ],
)
async def test_header_that_could_break_the_connection_is_left_out(name: str, value: str) -> None:
    ingress = waiting_ingress()
    ingress.inbox.messages = [Answer(200, {name: value, "X-Ok": "yes"}, "body")]
    reply = await ingress.client.post()
    sent = {key.decode() for key, _ in reply.headers}
    expected = {"content-type", "content-length"} | (set() if len(value) > 8192 else {"x-ok"})
    assert sent == expected
    assert reply.body == b"body"


async def test_headers_are_limited_in_number() -> None:
    ingress = waiting_ingress()
    ingress.inbox.messages = [Answer(200, {f"x-{n}": "" for n in range(1000)}, None)]
    assert len((await ingress.client.post()).headers) == 64 + 1


@pytest.mark.parametrize(
    "answer",
    [Answer(99), Answer(100), Answer(600), Answer(200, {}, "x" * 524289), Answer(200, {}, {1j: 2}),
     Answer(200, {}, "\ud800")],
)  # fmt: skip
async def test_answer_that_is_no_response_is_502_and_says_that_the_event_is_stored(
    answer: Answer,
) -> None:
    ingress = waiting_ingress()
    ingress.inbox.messages = [answer]
    reply = await ingress.client.post()
    assert (reply.status, reply.json["code"]) == (502, "http.answer_unsendable")
    assert reply.json["event_id"] == "E1"
