"""Sending by Twilio: the form, the receipt, what may be repeated, options and arguments."""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import ValidationError

from actors.errors import NodeError, PermanentError, TransientError
from actors.ports import HttpRequest, HttpResponse
from actors.testing.http import MemoryHttp, Respond
from app.errors import SettingsError
from app.providers.provider import ActionCall, Provider
from app.providers.sms_twilio.arguments import SendArguments
from app.providers.sms_twilio.failures import CODES, TRANSIENT
from app.providers.sms_twilio.spec import TWILIO
from tests.support.twilio import (
    ACCOUNT,
    BASE,
    OURS,
    SERVICE,
    SID,
    THEIRS,
    TOKEN,
    a_provider,
    options,
)

VECTORS = Path(__file__).resolve().parents[6] / "shared" / "vectors"
CREATED = {"sid": SID, "status": "queued", "to": THEIRS, "from": OURS, "num_segments": "2",
           "num_media": "0", "error_code": None, "messaging_service_sid": None,
           "date_created": "Thu, 24 Aug 2023 05:01:45 +0000"}  # fmt: skip


def answering(status: int, document: Any, **headers: str) -> MemoryHttp:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return MemoryHttp(lambda _: HttpResponse(status, named, body))


def failing(error: NodeError) -> MemoryHttp:
    def respond(_request: HttpRequest) -> HttpResponse:
        raise error

    return MemoryHttp(respond)


async def send(provider: Provider, **arguments: Any) -> Any:
    assert provider.outbound is not None
    given = {"to": THEIRS, "body": "hi", **arguments}
    checked = SendArguments.model_validate({k: v for k, v in given.items() if v is not None})
    return await provider.outbound.perform(ActionCall("demo", "send", checked, "key", 7.5))


async def sent_form(provider_fields: dict[str, Any], **arguments: Any) -> dict[str, list[str]]:
    http = answering(201, CREATED)
    await send(a_provider(http, **provider_fields), **arguments)
    ((_, request),) = http.calls
    assert request.body is not None
    return parse_qs(request.body.decode(), keep_blank_values=True, strict_parsing=True)


async def failure(http: MemoryHttp) -> NodeError:
    with pytest.raises(NodeError) as caught:
        await send(a_provider(http))
    assert TOKEN not in str(caught.value)
    return caught.value


# ── Requests ─────────────────────────────────────────────────────────────────────────────────


async def test_a_message_is_posted_as_the_api_wants_it() -> None:
    http = answering(201, CREATED)
    receipt = await send(a_provider(http), body="Ça & 👍", media_url="https://x.org/a.png?b=1&c")
    ((tenant, request),) = http.calls
    assert tenant == "demo"
    assert request.method == "POST"
    assert request.url == f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    assert request.timeout_seconds == 7.5
    headers = dict(request.headers)
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    pair = base64.b64decode(headers["authorization"].removeprefix("Basic "))
    assert pair == f"{ACCOUNT}:{TOKEN}".encode()
    assert request.body is not None
    assert parse_qs(request.body.decode()) == {
        "To": [THEIRS], "From": [OURS], "Body": ["Ça & 👍"],
        "MediaUrl": ["https://x.org/a.png?b=1&c"],
    }  # fmt: skip
    assert receipt == {
        "sid": SID, "status": "queued", "to": THEIRS, "from": OURS, "num_segments": 2,
        "num_media": 0, "messaging_service_sid": None,
        "date_created": "Thu, 24 Aug 2023 05:01:45 +0000",
    }  # fmt: skip


async def test_the_sender_is_the_calls_else_the_options() -> None:
    both = {"messaging_service_sid": SERVICE}
    assert "From" not in await sent_form(both)
    assert (await sent_form(both))["MessagingServiceSid"] == [SERVICE]
    form = await sent_form(both, from_number="+15005550999")
    assert form["From"] == ["+15005550999"]
    assert "MessagingServiceSid" not in form
    form = await sent_form({}, messaging_service_sid=SERVICE)
    assert "From" not in form


async def test_without_a_sender_nothing_is_sent() -> None:
    http = answering(201, CREATED)
    with pytest.raises(PermanentError) as caught:
        await send(a_provider(http, from_number=None))
    assert caught.value.reason == "sms.no_sender"
    assert http.calls == []


async def test_callbacks_go_to_our_route_if_asked_for() -> None:
    assert "StatusCallback" not in await sent_form({"public_base_url": BASE})
    on = {"public_base_url": BASE, "status_callback": True}
    assert (await sent_form(on))["StatusCallback"] == [f"{BASE}/events/sms/twilio/demo/status"]
    own = await sent_form(on, status_callback="https://x.org/cb")
    assert own["StatusCallback"] == ["https://x.org/cb"]
    emulated = {"status_callback": True, "endpoints": {"events-sms-twilio": "http://127.0.0.1:9/t"}}
    form = await sent_form(emulated)
    assert form["StatusCallback"] == ["http://127.0.0.1:9/t/events/sms/twilio/demo/status"]


def test_callbacks_without_a_public_url_are_a_problem_of_the_options() -> None:
    with pytest.raises(SettingsError, match="public_base_url"):
        a_provider(status_callback=True)


async def test_an_emulator_stands_in_for_the_api() -> None:
    http = answering(201, CREATED)
    await send(a_provider(http, endpoints={"events-sms-twilio": "http://127.0.0.1:9/twilio/"}))
    url = http.calls[0][1].url
    assert url == f"http://127.0.0.1:9/twilio/2010-04-01/Accounts/{ACCOUNT}/Messages.json"


@pytest.mark.skipif(not VECTORS.is_dir(), reason="shared/vectors is not beside the checkout")
async def test_the_vectors_examples_are_understood() -> None:
    vector = json.loads((VECTORS / "twilio_messages_api.json").read_bytes())
    assert set(await sent_form({}, media_url=["https://x.org/1"])) <= set(vector["form_fields"])
    for name, example in vector["examples"].items():
        receipt = await send(a_provider(answering(201, example["value"])))
        assert receipt["sid"] == example["value"]["sid"], name
        assert receipt["num_segments"] == int(example["value"]["num_segments"])


# ── Failures ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "code", [21211, 21408, 21606, 21608, 21610, 21612, 21614, 21617, 30003, 30004, 30005, 30006, 30007]
)  # fmt: skip
async def test_permanent_codes(code: int) -> None:
    error = await failure(answering(400, {"code": code, "message": "No.", "status": 400}))
    assert isinstance(error, PermanentError)
    assert error.reason == CODES[code][1]
    assert str(error) == f"Twilio answered 400, error {code}: No."


@pytest.mark.parametrize("code", [20429, 30001, 30008, 21611])
async def test_transient_codes(code: int) -> None:
    error = await failure(answering(429, {"code": code, "message": "Later"}, retry_after="7"))
    assert isinstance(error, TransientError)
    assert error.retry_after_seconds == 7.0


@pytest.mark.parametrize(
    ("status", "is_transient"),
    [(400, False), (401, False), (404, False), (408, True), (429, True), (302, False), (200, None),
     (500, True), (502, True), (503, True)],
)  # fmt: skip
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"code": "x"}', b"[" * 20_000, b"\xff"])
async def test_statuses_decide_where_there_is_no_known_code(
    status: int, is_transient: bool | None, body: bytes
) -> None:
    error = await failure(answering(status, body))
    assert isinstance(error, TransientError) is bool(is_transient)
    if is_transient is None:
        assert error.reason == "sms.unreadable"


@pytest.mark.parametrize("value", ["", "soon", "-1", "9" * 40, "٣"])
async def test_a_strange_retry_after_is_none(value: str) -> None:
    error = await failure(answering(503, b"", retry_after=value))
    assert isinstance(error, TransientError)
    assert error.retry_after_seconds is None


async def test_a_long_wait_is_bounded() -> None:
    error = await failure(answering(503, b"", retry_after="999999"))
    assert isinstance(error, TransientError)
    assert error.retry_after_seconds == 86_400.0


@pytest.mark.parametrize("reason", ["http.timeout", "http.broken"])
async def test_a_lost_answer_says_that_a_repeat_may_send_twice(reason: str) -> None:
    error = await failure(failing(TransientError("no answer within 7 s", reason=reason)))
    assert isinstance(error, TransientError)
    assert error.reason == "sms.maybe_sent"
    assert "twice" in str(error)


@pytest.mark.parametrize(
    "given", [TransientError("open", reason="http.connect"), PermanentError("no", reason="http.refused")]
)  # fmt: skip
async def test_a_request_that_never_left_is_passed_on_as_it_is(given: NodeError) -> None:
    assert await failure(failing(given)) is given


async def test_secrets_in_an_answer_are_not_repeated() -> None:
    error = await failure(answering(401, {"code": 20003, "message": f"bad {TOKEN} " + "x" * 5000}))
    assert "bad ***" in str(error)
    assert len(str(error)) <= 400


@pytest.mark.parametrize(
    ("more", "kind"),
    [({"status": "failed"}, PermanentError), ({"error_code": 30008}, TransientError)],
)
async def test_a_message_that_failed_at_once(more: dict[str, Any], kind: type[NodeError]) -> None:
    assert isinstance(await failure(answering(201, CREATED | more)), kind)


def test_every_code_has_a_kind_and_a_reason_of_ours() -> None:
    for kind, reason in CODES.values():
        assert kind in {TRANSIENT, "permanent"}
        assert reason.startswith("sms.")


# ── Check ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("respond", "said"),
    [
        (lambda _: HttpResponse(200, {}, b'{"status":"active"}'), ()),
        (lambda _: HttpResponse(200, {}, b'{"status":"suspended"}'), ("not active",)),
        (lambda _: HttpResponse(401, {}, b'{"code":20003}'), ("do not work",)),
    ],
)
async def test_check_asks_for_the_account(respond: Respond, said: tuple[str, ...]) -> None:
    http = MemoryHttp(respond)
    problems = await a_provider(http).check()
    assert len(problems) == len(said)
    assert all(part in text for part, text in zip(said, problems, strict=True))
    url = http.calls[0][1].url
    assert url == f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}.json"


async def test_check_says_that_nobody_answers_and_that_nobody_can_send() -> None:
    assert "does not answer" in (await a_provider(failing(TransientError("no"))).check())[0]
    http = answering(200, {"status": "active"})
    assert "nothing can be sent" in (await a_provider(http, from_number=None).check())[0]


# ── Options and arguments ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"account_sid": None}, "account_sid is missing"),
        ({"auth_token": None, "account_sid": None}, "account_sid and auth_token are missing"),
        ({"account_sid": "AC1"}, "AC and 32 hex digits"),
        ({"auth_token": ""}, "no auth token"),
        ({"auth_token": "a b"}, "blank"),
        ({"auth_token": "tök"}, "no auth token"),
        ({"messaging_service_sid": "MG"}, "MG and 32"),
        ({"from_number": "0049123"}, None),
        ({"from_number": "+0123"}, "must be a number"),
        ({"from_number": "Our Grand Shop"}, "must be a number"),
        ({"from_number": "ShopInc"}, None),
        ({"auth_tokens": []}, "Extra inputs"),
        ({"status_callback": "yes"}, "valid boolean"),
    ],
)
def test_options(change: dict[str, Any], said: str | None) -> None:
    if said is None:
        assert options(**change).enabled
        return
    with pytest.raises(ValidationError, match=said) as caught:
        options(**change)
    assert TOKEN not in str(caught.value)


def test_a_disabled_provider_needs_no_credentials() -> None:
    assert not TWILIO.options_model.model_validate({"enabled": False}).model_dump()["enabled"]


def test_the_token_is_in_no_repr() -> None:
    assert TOKEN not in repr(options())
    provider = a_provider()
    assert TOKEN not in repr(provider)
    assert TOKEN not in repr(provider.inbound)


@pytest.mark.parametrize(
    "bad",
    [
        {"to": "4155550123"},
        {"to": "+14155550123\n"},
        {"to": "+1" + "2" * 15},
        {"to": "+٣٣٣٣٣"},
        {"to": 14155550123},
        {"body": None},
        {"body": "x" * 1601},
        {"body": "\ud800"},
        {"body": "\x00"},
        {"body": True},
        {"media_url": ["https://x.org"] * 11},
        {"media_url": "ftp://x.org/a"},
        {"media_url": "https://"},
        {"media_url": "https://x.org/a b"},
        {"media_url": "https://[x"},
        {"media_url": "https://x.org/" + "a" * 2048},
        {"status_callback": "javascript:alert(1)"},
        {"from_number": "+0"},
        {"messaging_service_sid": "SM" + "0" * 32},
        {"from": OURS},
    ],
)
def test_bad_arguments_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SendArguments.model_validate({"to": THEIRS, "body": "hi", **bad})


@pytest.mark.parametrize(
    "good",
    [
        {"to": "+1234567890"},
        {"to": "+1987654321"},
        {"body": 4711},
        {"body": "", "media_url": ["https://x.org"] * 10},
        {"media_url": ""},
    ],
)
def test_good_arguments(good: dict[str, Any]) -> None:
    assert SendArguments.model_validate({"to": THEIRS, "body": "hi", **good}).to.startswith("+")


def test_the_spec_is_whole() -> None:
    assert [route.path for route in TWILIO.routes] == [
        "/events/sms/twilio/{tenant}/incoming",
        "/events/sms/twilio/{tenant}/status",
    ]
    assert [action.name for action in TWILIO.actions] == ["send"]
    assert [action.arguments for action in TWILIO.actions] == [SendArguments]
