"""Sending by SendGrid: the JSON, beside the official library's; answers; the check of `setup`."""

import json
from pathlib import Path
from typing import Any

import pytest
from sendgrid.helpers import mail as judge

from actors.errors import NodeError, PermanentError, TransientError
from actors.ports import HttpRequest, HttpResponse
from actors.testing.http import MemoryHttp
from app.providers.provider import OutboundProvider
from tests.support.mailing import API_KEY, action_call, sendgrid

VECTOR = Path(__file__).parents[6] / "shared" / "vectors" / "sendgrid_mail_send_kitchen_sink.json"
MAIL: dict[str, Any] = {"to": "ada@example.org", "subject": "Hello", "content": "text"}


def sender(http: MemoryHttp, **options: Any) -> OutboundProvider:
    outbound = sendgrid(http, **options).outbound
    assert outbound is not None
    return outbound


async def sent(
    action: str = "send", options: dict[str, Any] | None = None, **arguments: Any
) -> Any:
    """Give the document that goes to SendGrid."""
    http = MemoryHttp(lambda _: HttpResponse(202, {"x-message-id": "m1"}, b""))
    await sender(http, **(options or {})).perform(action_call(action, **arguments))
    body = http.calls[0][1].body
    assert body is not None
    return json.loads(body)


# ── The document ─────────────────────────────────────────────────────────────────────────────


async def test_mail_is_what_the_official_library_writes() -> None:
    ours = await sent(
        options={"from_name": "Shop", "sandbox": True},
        to=["Ada <ada@example.org>", "bob@example.org"],
        cc="carl@example.org",
        bcc={"email": "dan@example.org", "name": "Dan"},
        subject="Grüße",
        html="<b>text</b>",
        content="text",
        reply_to="Help <help@example.org>",
        categories=["orders", "bills"],
        headers={"X-Order": "7"},
        custom={"order": "7"},
        attachments=[
            {"filename": "a.pdf", "content": "JVBERg==", "type": "application/pdf"},
            {
                "filename": "b.png",
                "content": "YWJj",
                "type": "image/png",
                "disposition": "inline",
                "content_id": "logo",
            },
        ],
    )
    mail = judge.Mail(
        from_email=judge.From("shop@example.org", "Shop"),
        to_emails=[judge.To("ada@example.org", "Ada"), judge.To("bob@example.org")],
        subject="Grüße",
    )
    mail.add_cc(judge.Cc("carl@example.org"))
    mail.add_bcc(judge.Bcc("dan@example.org", "Dan"))
    # In the wrong order: the library sorts them, since the API refuses HTML before text.
    mail.add_content(judge.Content("text/html", "<b>text</b>"))
    mail.add_content(judge.Content("text/plain", "text"))
    mail.reply_to = judge.ReplyTo("help@example.org", "Help")
    mail.category = [judge.Category("orders"), judge.Category("bills")]
    mail.header = judge.Header("X-Order", "7")
    mail.custom_arg = judge.CustomArg("order", "7")
    mail.mail_settings = judge.MailSettings(sandbox_mode=judge.SandBoxMode(True))
    pdf = judge.Attachment("JVBERg==", "a.pdf", "application/pdf", "attachment")
    png = judge.Attachment("YWJj", "b.png", "image/png", "inline", "logo")
    theirs = mail.get()
    # The library writes attachments last first.
    theirs["attachments"] = [pdf.get(), png.get()]
    assert _without_order(ours) == _without_order(theirs)
    assert [item["type"] for item in ours["content"]] == ["text/plain", "text/html"]


async def test_template_is_what_the_official_library_writes() -> None:
    data = {"name": "Ada", "items": [{"id": 820982911946154508}], "none": None}
    ours = await sent("send_template", to="ada@example.org", template_id="d-1", dynamic_data=data)
    mail = judge.Mail(from_email="shop@example.org", to_emails="ada@example.org")
    mail.template_id = judge.TemplateId("d-1")
    mail.dynamic_template_data = data
    assert ours == mail.get()


@pytest.mark.skipif(not VECTOR.exists(), reason="the shared vectors are not beside the checkout")
async def test_parts_of_the_kitchen_sink() -> None:
    want = json.loads(VECTOR.read_text(encoding="utf-8"))["body"]
    first = want["personalizations"][0]
    contents = {item["type"]: item["value"] for item in want["content"]}
    ours = await sent(
        options={
            "from_email": want["from"]["email"],
            "from_name": want["from"]["name"],
            "sandbox": True,
        },
        to=first["to"],
        cc=first["cc"],
        bcc=first["bcc"],
        subject=want["subject"],
        content=contents["text/plain"],
        html=contents["text/html"],
        reply_to=want["reply_to"],
        categories=want["categories"],
        headers=want["headers"],
        custom=want["custom_args"],
        attachments=[
            {**item, "content": "YWJj", "content_id": item["content_id"]}
            for item in want["attachments"]
        ],
    )
    for key in ("from", "reply_to", "subject", "headers", "custom_args"):
        assert ours[key] == want[key], key
    assert ours["content"] == want["content"][:2]
    assert set(ours["categories"]) == set(want["categories"])
    personalization = ours["personalizations"][0]
    assert personalization == {key: first[key] for key in ("to", "cc", "bcc")}
    assert [{**item, "content": ""} for item in ours["attachments"]] == [
        {**item, "content": ""} for item in want["attachments"]
    ]
    settings = want["mail_settings"]
    assert ours["mail_settings"]["sandbox_mode"] == settings["sandbox_mode"]


async def test_recipients_name_loses_what_sendgrid_refuses_in_it() -> None:
    ours = await sent(**{**MAIL, "to": '"Lovelace,  Ada; Countess" <ada@example.org>'})
    to = ours["personalizations"][0]["to"]
    assert to == [{"email": "ada@example.org", "name": "Lovelace Ada Countess"}]


async def test_what_is_absent_is_left_out() -> None:
    assert await sent(**MAIL) == {
        "from": {"email": "shop@example.org"},
        "personalizations": [{"to": [{"email": "ada@example.org"}]}],
        "subject": "Hello",
        "content": [{"type": "text/plain", "value": "text"}],
    }


def _without_order(document: Any) -> Any:
    """Sort categories, whose order the library turns round."""
    return {**document, "categories": sorted(document["categories"])}


# ── The request and its answer ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({}, "https://api.sendgrid.com/v3/mail/send"),
        ({"data_residency": "eu"}, "https://api.eu.sendgrid.com/v3/mail/send"),
        (
            {"endpoints": {"events-email-sendgrid": "http://127.0.0.1:9/"}},
            "http://127.0.0.1:9/v3/mail/send",
        ),
    ],
)
async def test_request_goes_to_the_api_with_the_key(options: dict[str, Any], url: str) -> None:
    http = MemoryHttp(lambda _: HttpResponse(202, {"x-message-id": "m1"}, b""))
    receipt = await sender(http, **options).perform(action_call(**MAIL))
    assert receipt == {"message_id": "m1", "status": "accepted"}
    tenant, request = http.calls[0]
    assert (tenant, request.method, request.url) == ("demo", "POST", url)
    assert dict(request.headers) == {
        "authorization": f"Bearer {API_KEY}",
        "content-type": "application/json",
    }


async def test_sandbox_says_that_nothing_was_sent() -> None:
    http = MemoryHttp(lambda _: HttpResponse(200, {}, b""))
    receipt = await sender(http, sandbox=True).perform(action_call(**MAIL))
    assert receipt == {"message_id": None, "status": "checked"}


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (400, PermanentError, "email.refused"),
        (401, PermanentError, "email.unauthorized"),
        (403, PermanentError, "email.forbidden"),
        (404, PermanentError, "email.refused"),
        (408, TransientError, "email.unavailable"),
        (413, PermanentError, "too_large"),
        (429, TransientError, "email.rate_limited"),
        (301, PermanentError, "email.refused"),
        (500, TransientError, "email.unavailable"),
        (503, TransientError, "email.unavailable"),
    ],
)
async def test_answer_is_sorted_and_told(status: int, kind: type[NodeError], reason: str) -> None:
    error = {"message": "The from address does not match", "field": "from", "help": "http://x"}
    body = json.dumps({"errors": [error, {"message": "Second"}]}).encode()
    http = MemoryHttp(lambda _: HttpResponse(status, {}, body))
    with pytest.raises(kind) as caught:
        await sender(http).perform(action_call(**MAIL))
    assert caught.value.reason == reason
    assert str(caught.value) == (
        f"SendGrid answered {status}: from: The from address does not match; Second"
    )


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("99999", 86400.0), ("", None), ("soon", None), ("-1", None), ("9" * 400, None)],
)
async def test_retry_after_is_passed_on(value: str, seconds: float | None) -> None:
    http = MemoryHttp(lambda _: HttpResponse(429, {"retry-after": value}, b""))
    with pytest.raises(TransientError) as caught:
        await sender(http).perform(action_call(**MAIL))
    assert caught.value.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("http.timeout", "email.maybe_sent"),
        ("http.broken", "email.maybe_sent"),
        ("http.connect", "http.connect"),
        ("http.circuit_open", "http.circuit_open"),
    ],
)
async def test_lost_answer_says_that_the_mail_may_be_sent(reason: str, told: str) -> None:
    def refuse(_: HttpRequest) -> HttpResponse:
        raise TransientError("gone", reason=reason, retry_after_seconds=3)

    with pytest.raises(TransientError, match="gone") as caught:
        await sender(MemoryHttp(refuse)).perform(action_call(**MAIL))
    assert caught.value.reason == told
    assert caught.value.retry_after_seconds == 3


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"\xff",
        b'{"errors": 1}',
        b'{"errors": [1, {"message": 2}, {}]}',
        b'{"errors":' + b"[" * 100_000,
    ],
)
async def test_odd_error_body_is_no_other_error(body: bytes) -> None:
    http = MemoryHttp(lambda _: HttpResponse(400, {}, body))
    with pytest.raises(PermanentError, match=r"^SendGrid answered 400$"):
        await sender(http).perform(action_call(**MAIL))


async def test_error_text_is_bounded_and_without_the_key() -> None:
    body = json.dumps({"errors": [{"message": f"bad {API_KEY}\r\n" + "x" * 10_000}]}).encode()
    http = MemoryHttp(lambda _: HttpResponse(400, {}, body))
    with pytest.raises(PermanentError) as caught:
        await sender(http).perform(action_call(**MAIL))
    text = str(caught.value)
    assert API_KEY not in text
    assert text.isprintable()
    assert len(text) < 600


@pytest.mark.parametrize("value", [float("nan"), "\ud800"])
async def test_data_that_is_no_json_is_a_wrong_argument(value: Any) -> None:
    arguments: dict[str, Any] = {
        "to": "a@b.org",
        "template_id": "d-1",
        "dynamic_data": {"a": value},
    }
    with pytest.raises(PermanentError) as caught:
        await sent("send_template", **arguments)
    assert caught.value.reason == "action.bad_argument"


async def test_provider_never_shows_its_key() -> None:
    provider = sendgrid()
    assert API_KEY not in repr(provider)
    assert provider.outbound is not None
    await provider.outbound.close()


# ── The check of `setup` ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (200, b'{"scopes": ["mail.send"]}', None),
        (200, b'{"scopes": ["stats.read"]}', "the API key may not send"),
        (200, b"{}", "the API key may not send"),
        (401, b'{"errors": [{"message": "no"}]}', "does not work: SendGrid answered 401: no"),
        (500, b"", "does not work: SendGrid answered 500"),
    ],
)
async def test_check_asks_for_the_keys_scopes(
    status: int, body: bytes, problem: str | None
) -> None:
    http = MemoryHttp(lambda _: HttpResponse(status, {}, body))
    found = await sendgrid(http).check()
    assert len(found) == (problem is not None)
    assert problem is None or problem in found[0]
    request = http.calls[0][1]
    assert (request.method, request.url) == ("GET", "https://api.sendgrid.com/v3/scopes")


async def test_check_says_that_nobody_answers() -> None:
    def refuse(_: HttpRequest) -> HttpResponse:
        raise TransientError("no connection", reason="http.connect")

    assert await sendgrid(MemoryHttp(refuse)).check() == (
        "SendGrid does not answer: no connection",
    )
