"""The webhook route: what is stored, what is refused, and in which order."""

import asyncio
import hashlib
import hmac
import threading
from typing import Any

import pytest
from structlog.testing import capture_logs

from actors.errors import (
    ActorStoppedError,
    InvalidEventError,
    MailboxFullError,
    QuotaExceededError,
    UnavailableError,
)
from actors.ports import PublishAck
from app.providers.provider import Provider
from tests.support.ingress import JSON_HEADERS, PATH, Client, Ingress

SECRET = "quite secret"
SIGNED = {"secret_header": "X-Signature", "secret_key": SECRET}


def sign(body: bytes) -> str:
    return hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


async def test_stored_event_is_answered_with_its_id() -> None:
    ingress = Ingress()
    reply = await ingress.client.post(b'{"id": 820982911946154508}')
    assert (reply.status, reply.json) == (202, {"event_id": "E1"})
    assert reply.header("content-type") == "application/json"
    assert reply.header("content-length") == str(len(reply.body))
    [(provider, event, event_id, reply_to)] = ingress.door.accepted
    assert (provider, event_id, reply_to) == ("events-webhook", "E1", None)
    assert (event.event_type, event.payload) == ("order.created", {"id": 820982911946154508})
    assert ingress.counted(202) == 1


async def test_body_in_parts_is_joined() -> None:
    ingress = Ingress()
    reply = await ingress.client.request(
        "POST", PATH, headers=JSON_HEADERS, parts=[b'{"a"', b":", b"", b"1}"]
    )
    assert reply.status == 202
    assert ingress.door.events[0].payload == {"a": 1}


async def test_query_is_decoded_and_the_last_of_a_repeated_field_counts() -> None:
    ingress = Ingress()
    await ingress.client.post(query=b"a=1&a=2&b=x%20%C3%A9&c=")
    assert ingress.door.events[0].metadata["query"] == {"a": "2", "b": "x é", "c": ""}


async def test_duplicate_gets_the_first_events_id() -> None:
    ingress = Ingress()
    ingress.door.ack = PublishAck('FIRST"', 1, is_duplicate=True)
    reply = await ingress.client.post()
    assert (reply.status, reply.json) == (202, {"event_id": 'FIRST"'})


@pytest.mark.parametrize(
    "path",
    [
        "/events/webhook/",
        "/events/webhook/demo",
        "/events/webhook/demo/",
        "/events/webhook//order.created",
        "/events/webhook/demo/order.created/",
        "/events/webhook/demo/order/created",
        "/events/webhook/nobody/order.created",
        "/events/webhook/demo%2Forder.created/x",
        "/events/webhook/de%6Do/order.created",
        "/events/webhook/../order.created",
        "/elsewhere",
    ],
)
async def test_unknown_path_or_tenant_is_404(path: str) -> None:
    reply = await Ingress().client.post(path=path)
    assert reply.status == 404
    assert reply.header("content-type") == "application/problem+json"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "HEAD", "BREW"])
async def test_other_methods_are_405_with_allow(method: str) -> None:
    reply = await Ingress().client.request(method, PATH)
    assert reply.status == 405
    assert reply.header("allow") == "POST"


async def test_disabled_provider_is_404() -> None:
    ingress = Ingress()
    del ingress.providers["events-webhook"]
    reply = await ingress.client.post()
    assert (reply.status, reply.json["code"]) == (404, "http.provider_disabled")


@pytest.mark.parametrize(
    "event_type",
    ["Order.created", "order..created", "order.result", "result", "a.b.c.d.e.f.g.h.i", "x" * 129,
     "order.%63reated", "ordér", "*", ">", "timer.tick", "email.opened", "twilio.sms.incoming"],
)  # fmt: skip
async def test_bad_or_reserved_event_types_are_422(event_type: str) -> None:
    ingress = Ingress()
    reply = await ingress.client.post(path=f"/events/webhook/demo/{event_type}")
    assert (reply.status, reply.json["code"]) == (422, "actors.invalid_event")
    assert "event_type" in reply.json["detail"]
    assert ingress.door.accepted == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"nope", b"NaN", b'{"a": Infinity}', b"1e999", b'"\xff"', b"\xef\xbb\xbf{}",
     b"[" * 66 + b"]" * 66, b"[" * 100_000, b'{"a":' * 70 + b"1" + b"}" * 70, b"1" * 5000],
)  # fmt: skip
async def test_body_that_is_no_json_is_422(body: bytes) -> None:
    ingress = Ingress()
    reply = await ingress.client.post(body)
    assert (reply.status, reply.json["code"]) == (422, "actors.invalid_event")
    assert ingress.door.accepted == []


async def test_64_levels_are_deep_enough() -> None:
    assert (await Ingress().client.post(b"[" * 64 + b"]" * 64)).status == 202


@pytest.mark.parametrize(
    ("headers", "status", "word"),
    [
        ({}, 415, "missing"),
        ({"content-type": "text/plain"}, 415, "not supported"),
        ({"content-type": "multipart/form-data; boundary=x"}, 415, "not supported"),
        ({"content-type": "application/x-ndjson"}, 415, "JSON lines"),
        ({"content-type": "application/json; charset=latin-1"}, 415, "charset"),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415, "uncompressed"),
        ({"content-type": "application/json", "ce-specversion": "1.0"}, 422, "CloudEvent"),
    ],
)
async def test_other_media_are_refused_by_name(
    headers: dict[str, str], status: int, word: str
) -> None:
    reply = await Ingress().client.post(headers=headers)
    assert reply.status == status
    assert word in reply.json["detail"]


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json; charset=UTF-8",
     'application/json;charset="utf-8"', "application/vnd.github+json", "application/json;x=y"],
)  # fmt: skip
async def test_json_media_are_taken(content_type: str) -> None:
    assert (await Ingress().client.post(headers={"content-type": content_type})).status == 202


async def test_announced_length_over_the_limit_is_413_before_a_byte_is_read() -> None:
    client = Ingress({"max_body_bytes": 10}).client
    headers = JSON_HEADERS | {"content-length": "2000000"}
    reply = await client.post(b"x" * 11, headers=headers)
    assert (reply.status, reply.header("connection")) == (413, "close")
    assert client.messages_read == 0


async def test_unannounced_body_over_the_limit_is_413_while_streaming() -> None:
    ingress = Ingress({"max_body_bytes": 10})
    parts = [b"x" * 6] * 3 + [b""]
    reply = await ingress.client.request("POST", PATH, headers=JSON_HEADERS, parts=parts)
    assert reply.status == 413
    assert reply.header("connection") is None, "a short rest is read away"
    assert (await ingress.client.post(b"1234567890")).status == 202


async def test_one_large_part_is_413_and_ends_the_request() -> None:
    reply = await Ingress({"max_body_bytes": 10}).client.post(b"x" * 11)
    assert (reply.status, reply.header("connection")) == (413, None)


async def test_endless_refused_body_is_cut_off() -> None:
    client = Ingress({"max_body_bytes": 10}).client
    parts = [b"x" * 65536] * 100
    reply = await client.request("POST", PATH, headers=JSON_HEADERS, parts=parts)
    assert (reply.status, reply.header("connection")) == (413, "close")
    assert client.messages_read < 20


async def test_client_that_asks_first_is_not_told_to_send_a_refused_body() -> None:
    client = Ingress().client
    headers = JSON_HEADERS | {"expect": "100-continue", "content-length": "8"}
    reply = await client.post(path="/events/webhook/nobody/x", headers=headers)
    assert (reply.status, reply.header("connection")) == (404, "close")
    assert client.messages_read == 0


@pytest.mark.parametrize("length", ["", "-1", "+1", "1e3", "9" * 400, "٣", "1, 1"])
async def test_malformed_content_length_is_400(length: str) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", length.encode())]
    reply = await Ingress().client.post(headers=headers)
    assert (reply.status, reply.json["code"]) == (400, "http.bad_request")


@pytest.mark.parametrize("query", [b"a=%ff", b"&".join(b"a=1" for _ in range(101)), b"a=\xe9"])
async def test_hostile_query_is_400(query: bytes) -> None:
    assert (await Ingress().client.post(query=query)).status == 400


async def test_client_that_leaves_while_sending_stores_nothing() -> None:
    ingress = Ingress()
    reply = await ingress.client.request(
        "POST", PATH, headers=JSON_HEADERS, parts=[b""], leaves=True
    )
    assert reply.status == 0
    assert ingress.door.accepted == []
    assert ingress.counted(499) == 1


async def test_client_that_leaves_while_being_refused_is_let_go() -> None:
    ingress = Ingress()
    reply = await ingress.client.request("PUT", PATH, parts=[b""], leaves=True)
    assert reply.status == 0
    assert ingress.counted(499) == 1


async def test_signature_over_the_raw_bytes_is_accepted_and_named() -> None:
    ingress = Ingress(SIGNED)
    body = b'{ "a" :  1 }'
    reply = await ingress.client.post(body, headers=JSON_HEADERS | {"X-Signature": sign(body)})
    assert reply.status == 202
    metadata = ingress.door.events[0].metadata
    assert metadata["signature"] == "secret_header"
    assert "x-signature" not in metadata["headers"]


HOSTILE_SIGNATURES: dict[str, list[bytes]] = {
    "missing": [],
    "empty": [b""],
    "blank": [b" "],
    "wrong": [b"0" * 64],
    "odd hex": [b"0" * 63],
    "no hex": [b"g" * 64],
    "non-ascii": ["é".encode() * 32],
    "latin-1": [b"\xff" * 64],
    "fullwidth digits": ["\uff10".encode() * 64],
    "nul": [b"\x00" * 64],
    "huge": [b"0" * 30_000],
    "prefix only": [b"sha256="],
    "other prefix": [b"sha1=" + b"0" * 40],
    "bad base64": [b"*" * 43 + b"="],
    "padding inside": [b"=" * 44],
    "twice": [sign(b'{"id":1}').encode()] * 2,
    "right then wrong": [sign(b'{"id":1}').encode(), b"0" * 64],
    "of other bytes": [sign(b'{"id": 1}').encode()],
    "double prefix": [b"sha256=sha256=" + sign(b'{"id":1}').encode()],
}


@pytest.mark.parametrize("values", HOSTILE_SIGNATURES.values(), ids=HOSTILE_SIGNATURES.keys())
async def test_hostile_signature_is_401_and_never_500(values: list[bytes]) -> None:
    ingress = Ingress(SIGNED)
    headers = [(b"content-type", b"application/json")]
    reply = await ingress.client.post(headers=headers + [(b"x-signature", v) for v in values])
    assert (reply.status, reply.json["code"]) == (401, "http.signature")
    assert SECRET not in reply.body.decode()
    assert ingress.door.accepted == []


async def test_unsigned_event_is_refused_in_prod_unless_spelled_out() -> None:
    assert (await Ingress(env="prod").client.post()).status == 401
    assert (await Ingress({"allow_unsigned": True}, env="prod").client.post()).status == 202


async def test_checks_come_in_the_order_of_the_contract() -> None:
    """Each request is wrong in every later way too: the earliest check must speak."""
    client = Ingress(SIGNED | {"max_body_bytes": 4}).client
    text = {"content-type": "text/plain"}
    long, nobody, bad = b"not json", "/events/webhook/nobody/BAD", "/events/webhook/demo/BAD"

    async def status(body: bytes, path: str, headers: dict[str, str], method: str = "POST") -> int:
        return (await client.request(method, path, headers=headers, parts=[body])).status

    signed = JSON_HEADERS | {"x-signature": sign(b"nope")}
    assert await status(long, nobody, text, "PUT") == 405
    assert await status(long, nobody, text) == 404
    assert await status(long, bad, text) == 413
    # Who sends it comes before what it is: a stranger learns nothing of what is taken.
    assert await status(b"nope", bad, text) == 401
    assert await status(b"nope", PATH, signed | text) == 415
    assert await status(b"nope", bad, signed) == 422


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (InvalidEventError("payload", "is too long"), 422, None),
        (QuotaExceededError("demo", "too many events", retry_after_seconds=2.2), 429, "3"),
        (UnavailableError("no answer", retry_after_seconds=0.1), 503, "1"),
        (UnavailableError("no answer"), 503, "2"),
        (ActorStoppedError("stopping"), 503, "2"),
        (MailboxFullError("full"), 503, "2"),
        (UnavailableError("no answer", retry_after_seconds=1e9), 503, "3600"),
    ],
)
async def test_what_the_door_refuses_is_never_a_2xx(
    error: Exception, status: int, retry_after: str | None
) -> None:
    ingress = Ingress()
    ingress.door.error = error
    reply = await ingress.client.post()
    assert (reply.status, reply.header("retry-after")) == (status, retry_after)
    assert reply.json["status"] == status
    assert reply.json["detail"] == str(error)


async def test_unexpected_error_is_a_500_that_tells_nothing() -> None:
    ingress = Ingress()
    ingress.door.error = RuntimeError("password=hunter2")
    with capture_logs() as lines:
        reply = await ingress.client.post()
    assert (reply.status, reply.json["code"]) == (500, "http.internal")
    assert b"hunter2" not in reply.body
    assert [line["event"] for line in lines] == ["request.failed"]


async def test_more_requests_than_allowed_at_once_are_503() -> None:
    ingress = Ingress(requests_max=1)
    ingress.door.flows = 1
    ingress.inbox.is_endless = True
    held = asyncio.ensure_future(ingress.client.post())
    while not ingress.inbox.waiting:
        await asyncio.sleep(0)
    reply = await Client(ingress.app).post()
    assert (reply.status, reply.json["code"]) == (503, "http.overloaded")
    assert reply.header("retry-after") == "1"
    assert ingress.app.in_flight == 1
    held.cancel()
    await asyncio.wait({held})
    assert ingress.app.in_flight == 0
    assert ingress.inbox.waiting == 0


# ── Handshakes and large bodies ──────────────────────────────────────────────────────────────


async def test_a_cloudevents_handshake_is_granted_to_allowed_origins_only() -> None:
    ingress = Ingress()
    origin = {"webhook-request-origin": "events.example.com", "webhook-request-rate": "120"}
    granted = await ingress.client.request("OPTIONS", PATH, headers=origin)
    assert granted.status == 204
    assert granted.header("webhook-allowed-origin") == "events.example.com"
    refused = await Ingress(env="prod").client.request("OPTIONS", PATH, headers=origin)
    assert (refused.status, refused.json["code"]) == (403, "http.origin")
    assert refused.header("webhook-allowed-origin") is None
    unknown = await ingress.client.request(
        "OPTIONS", PATH.replace("demo", "nobody"), headers=origin
    )
    assert unknown.status == 404


async def test_a_large_body_is_understood_beside_the_event_loop() -> None:
    ingress = Ingress()
    loop_thread, seen = threading.get_ident(), []
    inbound = ingress.providers["events-webhook"].inbound
    assert inbound is not None
    receive = inbound.receive
    parts = inbound.verify, inbound.answer, inbound.body_bytes_max

    class Watched:
        """The provider, and in which thread it is asked."""

        sync_timeout_seconds = 0.0
        verify, answer, body_bytes_max = parts

        def receive(self, request: Any, signature: str | None) -> Any:
            seen.append(threading.get_ident() == loop_thread)
            return receive(request, signature)

    watched = Provider("events-webhook", inbound=Watched())
    ingress.providers["events-webhook"] = watched
    assert (await ingress.client.post(b"[1]")).status == 202
    assert (await ingress.client.post(b'["%s"]' % (b"x" * 300_000))).status == 202
    assert (await ingress.client.post(b"[%s" % (b" " * 300_000))).status == 422
    assert seen == [True, False, False]
