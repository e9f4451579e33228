"""Twilio's routes under chance: whatever comes, it is an event, a refusal, and readable TwiML."""

import contextlib
import xml.etree.ElementTree as ET
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors.errors import InvalidEventError
from actors.outcomes import Answer
from actors.ports import NormalizedEvent
from app.errors import IngressError, SignatureError
from app.providers.provider import InboundProvider, InboundRequest
from app.providers.sms_twilio.twiml import DOCUMENT_BYTES_MAX
from tests.support.twilio import ACCOUNT, BASE, FORM, a_provider, a_request


def the_inbound() -> InboundProvider:
    inbound = a_provider().inbound
    assert inbound is not None
    return inbound


INBOUND = the_inbound()

routes = st.sampled_from(["incoming", "status"])
types = st.sampled_from([FORM, "application/json", "text/xml", "", f"{FORM};charset=x", "a/b;;="])
headers = st.dictionaries(
    st.sampled_from(["x-twilio-signature", "content-encoding", "traceparent", "cookie",
                     "x-twilio-webhooks-signature-settings"]),
    st.text(max_size=60),
)  # fmt: skip
bodies = st.one_of(
    st.binary(max_size=300),
    st.binary(max_size=200).map(lambda tail: b"AccountSid=%s&" % ACCOUNT.encode() + tail),
)
names = st.one_of(
    st.sampled_from(["MessageSid", "MessageStatus", "NumMedia", "MediaUrl0", "From", "ErrorCode",
                     "Body", "from", "message_sid"]),
    st.text(min_size=1, max_size=12),
)  # fmt: skip
texts = st.text(st.characters(codec="utf-8"), max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(routes, types, headers, bodies, st.text(max_size=60))
def test_hostile_requests_are_refused_and_never_break(
    route: str, media: str, more: dict[str, str], body: bytes, url: str
) -> None:
    request = InboundRequest(
        headers={"content-type": media, **more}, body=body, tenant="demo", route=route,
        public_url=lambda: url,
    )  # fmt: skip
    try:
        INBOUND.verify(request)
    except SignatureError:
        pass
    else:
        raise AssertionError("nobody but Twilio can sign")
    with contextlib.suppress(IngressError, InvalidEventError):
        INBOUND.receive(request, None)


@given(routes, st.dictionaries(names, texts | st.lists(texts, min_size=2, max_size=3), max_size=8))
def test_every_signed_form_is_an_event_with_all_its_fields(
    route: str, fields: dict[str, Any]
) -> None:
    sent = {name.replace("\ud800", ""): value for name, value in fields.items()}
    sent = {"MessageSid": "SM1", "MessageStatus": "sent", **sent, "AccountSid": ACCOUNT}
    try:
        request = a_request(sent, route=route)
    except UnicodeEncodeError:
        return
    assert request.public_url().startswith(BASE)
    try:
        (event,) = INBOUND.receive(request, INBOUND.verify(request)).events
    except InvalidEventError:
        return
    assert isinstance(event, NormalizedEvent)
    assert event.delivery_id
    for name, value in sent.items():
        assert name.islower() or event.payload[name] == value


@given(st.integers(200, 399), json_values, st.sampled_from(["text/plain", "text/html", "x"]))
def test_every_answer_of_a_flow_is_readable_xml(status: int, body: Any, media: str) -> None:
    answer = INBOUND.answer("incoming", Answer(status, {"content-type": media}, body))
    assert answer is not None
    assert len(answer.body) <= DOCUMENT_BYTES_MAX
    document = ET.fromstring(answer.body)  # noqa: S314
    assert document.tag == "Response"
    assert [each.tag for each in document] in ([], ["Message"])
