"""CloudEvents as the official SDK writes them, and as strangers do."""

import json
from typing import Any

from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import InvalidEventError
from app.errors import MediaTypeError
from app.providers.webhook.events import cloudevent_delivery_id
from tests.support.webhooks import a_batch, a_door, a_request, take

texts = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=30
).filter(lambda text: text == text.strip(" "))
scalars = st.none() | st.booleans() | st.integers() | texts
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
DOOR = a_door("dev")


# The SDK writes JSON objects alone as JSON: of `False` in binary mode it makes "False".
objects = st.dictionaries(texts, documents, min_size=1, max_size=3)


@given(texts, texts, texts, objects)
def test_both_modes_of_the_sdk_say_the_same(source: str, name: str, note: str, data: Any) -> None:
    sent = CloudEvent(
        {"source": source, "id": name, "type": "order.created", "subject": note,
         "datacontenttype": "application/json"},
        data,
    )  # fmt: skip
    events = []
    for message in (to_binary_event(sent), to_structured_event(sent)):
        headers = {key.lower(): value for key, value in message.headers.items()}
        events.append(take(DOOR, a_request(message.body, media="", headers=headers)))
    first, second = events
    attributes = first.metadata["cloudevent"]
    assert attributes == second.metadata["cloudevent"]
    assert attributes == {**sent.get_attributes(), "time": attributes["time"]}
    assert first.payload == second.payload == data
    assert first.delivery_id == second.delivery_id


@given(texts, texts, texts, texts)
def test_no_two_pairs_have_one_delivery_id(a: str, b: str, c: str, d: str) -> None:
    same = cloudevent_delivery_id(a, b) == cloudevent_delivery_id(c, d)
    assert same == ((a, b) == (c, d))


kinds = st.sampled_from(
    ["application/json", "application/cloudevents+json", "application/x-www-form-urlencoded",
     "text/plain", "", "application/x-ndjson", "application/cloudevents-batch+json"]
)  # fmt: skip
hostile = st.text(st.characters(max_codepoint=255), max_size=20)
pieces = st.one_of(
    st.binary(max_size=60),
    documents.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(
        st.sampled_from(["specversion", "id", "type", "source", "data", "data_base64", "time"]),
        scalars | st.just("1.0"),
    ).map(lambda value: json.dumps(value).encode()),
)


@given(
    kinds,
    pieces,
    st.dictionaries(
        st.sampled_from(["ce-specversion", "ce-id", "ce-type", "ce-source", "ce-x", "ce-"]),
        hostile | st.just("1.0"),
    ),
)
def test_any_request_ends_in_events_or_a_refusal(
    media: str, body: bytes, headers: dict[str, str]
) -> None:
    for request in (
        a_request(body, media=media, headers=headers),
        a_batch(body, media=media, headers=headers),
    ):
        try:
            inbound = DOOR.receive(request, None)
        except (InvalidEventError, MediaTypeError):
            continue
        assert inbound.is_batch or len(inbound.events) == 1
