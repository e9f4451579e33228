"""What the emulated APIs refuse, what becomes of messages, and how answers are read."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.twiml.messaging_response import Body, Media, Message, MessagingResponse

from actors.testing.clock import VirtualClock
from app.emulators import status_reports
from app.emulators.inbound_mail import InboundMail, build_parts
from app.emulators.ingress_client import IngressAnswer, IngressClient
from app.emulators.outbox import SMS, Outbox, OutboxMessage
from app.emulators.receiving import read_twiml
from app.emulators.sendgrid_rules import problems_of
from app.emulators.status_reports import REPORTS_MAX, Reported, StatusReports, statuses_of
from app.emulators.twilio_rules import Message as SmsMessage
from app.emulators.twilio_rules import Refusal, fate_of, read_message

BASE = "http://127.0.0.1:8080"
STATUS_URL = f"{BASE}/events/sms/twilio/demo/status"
MAIL: dict[str, Any] = {
    "personalizations": [{"to": [{"email": "a@x.org"}]}],
    "from": {"email": "b@x.org"},
    "subject": "s",
    "content": [{"type": "text/plain", "value": "v"}, {"type": "text/html", "value": "<p>"}],
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


# ── SendGrid ─────────────────────────────────────────────────────────────────────────────────


def test_a_whole_mail_has_no_problems() -> None:
    assert problems_of(MAIL) == []
    assert problems_of({**MAIL, "content": None, "template_id": "d-1", "subject": None}) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"from": None}, "from.email"),
        ({"from": {"email": "nobody"}}, "from.email"),
        ({"reply_to": {"email": 1}}, "reply_to.email"),
        ({"personalizations": []}, "personalizations"),
        ({"personalizations": [1]}, "personalizations.0"),
        ({"personalizations": [{}] * 1001}, "personalizations"),
        ({"personalizations": [{"to": []}]}, "personalizations.0.to"),
        ({"personalizations": [{"to": "a@x.org"}]}, "personalizations.0.to"),
        ({"personalizations": [{"to": [{"email": "a@x.org"}], "cc": [{"email": "A@x.org"}]}]},
         "personalizations.0.cc.0.email"),
        ({"personalizations": [{"to": [{"email": f"a{n}@x.org"} for n in range(1001)]}]},
         "personalizations.0"),
        ({"subject": ""}, "subject"),
        ({"content": []}, "content"),
        ({"content": MAIL["content"][::-1]}, "content"),
        ({"content": [{"type": "text/plain", "value": ""}]}, "content.0"),
        ({"content": ["text"]}, "content.0"),
        ({"attachments": {}}, "attachments"),
        ({"attachments": [{"content": "aGk="}]}, "attachments.0.filename"),
        ({"attachments": [{"filename": "a", "content": "???"}]}, "attachments.0.content"),
        ({"attachments": [{"filename": "a", "content": ""}]}, "attachments.0.content"),
        ({"categories": ["c"] * 11}, "categories"),
    ],
)  # fmt: skip
def test_a_mails_problems_are_told_by_field(change: dict[str, Any], field: str) -> None:
    assert [problem.field for problem in problems_of({**MAIL, **change})] == [field]


@given(
    st.dictionaries(st.sampled_from([*MAIL, "attachments", "categories", "reply_to"]), json_values)
)
def test_any_document_is_judged(change: dict[str, Any]) -> None:
    for problem in problems_of({**MAIL, **change}):
        assert json.dumps(problem.as_document())


# ── Twilio ───────────────────────────────────────────────────────────────────────────────────


def a_sms(to: str = "+14155550123", service: str | None = None) -> SmsMessage:
    return SmsMessage(to, None if service else "+15005550006", service, "hi", (), STATUS_URL)


names = st.sampled_from(["To", "From", "Body", "MediaUrl", "StatusCallback", "MessagingServiceSid"])


@given(st.dictionaries(names, st.lists(st.text(max_size=20), max_size=3)))
def test_any_form_is_judged(fields: dict[str, list[str]]) -> None:
    found = read_message(fields)
    assert isinstance(found, Refusal | SmsMessage)


@pytest.mark.parametrize(
    ("to", "fate"),
    [("+14155550123", ("delivered", None)), ("+15005553003", ("undelivered", 30003)),
     ("+15005553008", ("undelivered", 30008)), ("+15005553001", ("failed", 30001)),
     ("+15005553009", ("delivered", None))],
)  # fmt: skip
def test_numbers_of_ours_fail_later(to: str, fate: tuple[str, int | None]) -> None:
    assert fate_of(to) == fate


def test_the_first_status_has_no_callback_as_with_twilio() -> None:
    assert [status for status, _ in statuses_of(a_sms())] == ["sent", "delivered"]
    by_service = [status for status, _ in statuses_of(a_sms(service="MG" + "0" * 32))]
    assert by_service == ["queued", "sent", "delivered"]
    assert statuses_of(a_sms("+15005553002")) == [("failed", 30002)]


class SilentIngress(IngressClient):
    """An ingress that is not there, and counts."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(lambda: BASE, lambda: "https://hooks.example.org/", clock)
        self.posts: list[str] = []

    async def post_twilio(self, target: str, fields: Any, auth_token: str) -> IngressAnswer:
        self.posts.append(dict(fields)["MessageStatus"])
        return IngressAnswer(0, "", "nobody is there")


async def test_callbacks_are_bounded_noted_and_end_with_the_program() -> None:
    clock, outbox = VirtualClock(), Outbox()
    ingress = SilentIngress(clock)
    reports = StatusReports(ingress, outbox, clock)
    for number in range(REPORTS_MAX + 1):
        outbox.add(OutboxMessage(str(number), SMS, "twilio", 0, "", ()))
        reports.begin(Reported(str(number), "AC1", "token", a_sms()))
    await clock.advance(status_reports.STEP_SECONDS)
    assert ingress.posts == ["sent"] * REPORTS_MAX
    first, last = outbox.find("0"), outbox.find(str(REPORTS_MAX))
    assert first is not None
    assert last is not None
    assert first.notes == ["sent: nobody is there"]
    assert last.notes == ["no callbacks: too many messages are under way"]
    await reports.close()
    await clock.advance(60)
    assert len(ingress.posts) == REPORTS_MAX
    await ingress.close()


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (STATUS_URL, "/events/sms/twilio/demo/status"),
        (f"{STATUS_URL}?a=b#c", "/events/sms/twilio/demo/status?a=b"),
        ("https://hooks.example.org/events/x", "/events/x"),
        (f"{BASE}/metrics", None),
        ("http://127.0.0.1:80801/events/x", None),
        ("http://127.0.0.1:8080@evil.example/events/x", None),
        ("https://evil.example/events/x", None),
        ("", None),
    ],
)
async def test_only_our_own_routes_are_called(url: str, target: str | None) -> None:
    client = SilentIngress(VirtualClock())
    assert client.target_of(url) == target
    await client.close()


async def test_without_an_ingress_that_is_the_answer() -> None:
    clock = VirtualClock()
    client = IngressClient(lambda: None, lambda: None, clock)
    assert (await client.post_twilio("/events/x", [], "token")).status == 0
    assert (await client.post_parts("/events/x", [])).body == "no ingress runs in this process"
    await client.close()


# ── What comes in ────────────────────────────────────────────────────────────────────────────


def test_twiml_of_the_official_library_is_read() -> None:
    response = MessagingResponse()
    response.message("one & <two>")
    message = Message()
    message.append(Body("three"))
    message.append(Media("https://x.org"))
    response.append(message)
    assert read_twiml(str(response)) == ["one & <two>", "three"]


@pytest.mark.parametrize(
    "text",
    ["", "<Response", "<Other><Message>a</Message></Other>", '{"event_id": "E1"}',
     '<!DOCTYPE r [<!ENTITY a "b">]><Response><Message>&a;</Message></Response>',
     "<Response>" + " " * 70_000 + "</Response>"],
)  # fmt: skip
def test_what_is_no_twiml_has_no_messages(text: str) -> None:
    assert read_twiml(text) == []


def test_a_mail_has_the_fields_of_inbound_parse() -> None:
    mail = InboundMail("Zoë <zoe@x.org>", "in@y.org", "Größe", "text", "", 1_700_000_000.0)
    fields = {name: content.decode() for name, (_, content, _) in build_parts(mail)}
    assert json.loads(fields["envelope"]) == {"to": ["in@y.org"], "from": "zoe@x.org"}
    assert json.loads(fields["charsets"])["subject"] == "UTF-8"
    assert "html" not in fields
    assert "Date: Tue, 14 Nov 2023 22:13:20 +0000\nFrom: Zoë <zoe@x.org>\n" in fields["headers"]
    wanted = {"dkim", "sender_ip", "SPF", "attachments", "spam_score", "text", "to", "from"}
    assert wanted <= set(fields)
