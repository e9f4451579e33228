"""Which id a delivery has: what makes a repeat no second event, and a replay no new one."""

import json
from typing import Any

import pytest

from app.providers.provider import InboundRequest
from app.providers.signatures.catalog import build_scheme
from app.providers.webhook.delivery import DELIVERY_ID_HEADERS
from tests.support.webhooks import a_door, a_request, take

NOW = 1_700_000_000
SECRET = {"standard-webhooks": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"}


def delivery_id(
    algorithm: str, body: Any, *, at: int = NOW, headers: dict[str, str] | None = None
) -> str | None:
    """Sign a request at a time, and give the id that its event has."""
    return taken(algorithm, signed(algorithm, body, at=at, headers=headers))


def signed(
    algorithm: str, body: Any, *, at: int = NOW, headers: dict[str, str] | None = None
) -> InboundRequest:
    request = a_request(json.dumps(body).encode(), "v.x", headers=headers)
    scheme = build_scheme(algorithm, [SECRET.get(algorithm, "s")])
    return a_request(
        request.body, "v.x", headers={**request.headers, **scheme.sign(request, now_seconds=at)}
    )


def taken(algorithm: str, request: InboundRequest) -> str | None:
    entry = {"algorithm": algorithm, "secret": SECRET.get(algorithm, "s")}
    event = take(a_door("prod", signatures={"v": entry}, now_seconds=NOW), request)
    assert event.metadata.get("delivery_id") == event.delivery_id
    return event.delivery_id


@pytest.mark.parametrize("name", DELIVERY_ID_HEADERS)
def test_known_delivery_id_headers_are_recognized(name: str) -> None:
    event = take(a_door(), a_request(headers={name: "d-1"}))
    assert event.delivery_id == "d-1"
    assert event.metadata["delivery_id"] == "d-1"


@pytest.mark.parametrize("value", ["", "x" * 257, "é", "a\x00b"])
def test_unusable_delivery_id_is_ignored(value: str) -> None:
    event = take(a_door(), a_request(headers={"webhook-id": value}))
    assert event.delivery_id is None
    assert "delivery_id" not in event.metadata


def test_standard_webhooks_id_is_the_signed_one() -> None:
    headers = {"webhook-id": "msg_1", "x-github-delivery": "other", "svix-id": "other"}
    request = signed("standard-webhooks", {}, headers={"webhook-id": "msg_1"})
    assert taken("standard-webhooks", request) == "msg_1"
    # Headers of another name, or of the other family, change nothing.
    again = a_request(request.body, "v.x", headers={**headers, **request.headers})
    assert taken("standard-webhooks", again) == "msg_1"


def test_svix_id_is_the_signed_one_in_its_own_family() -> None:
    request = signed("standard-webhooks", {}, headers={"svix-id": "msg_2"})
    replayed = a_request(request.body, "v.x", headers={**request.headers, "webhook-id": "fresh"})
    assert taken("standard-webhooks", replayed) == "msg_2"


def test_stripe_event_id_is_the_same_on_a_retry_signed_later() -> None:
    event = {"id": "evt_123", "object": "event"}
    assert delivery_id("stripe", event) == "evt_123"
    assert delivery_id("stripe", event, at=NOW + 60) == "evt_123"
    assert delivery_id("stripe", event, headers={"idempotency-key": "other"}) == "evt_123"


@pytest.mark.parametrize("body", [{"id": "ch_1"}, {"id": 5}, {}, [], "evt_1", {"id": ["evt_1"]}])
@pytest.mark.parametrize("algorithm", ["stripe", "slack"])
def test_document_without_a_signed_id_is_known_by_time_and_bytes(algorithm: str, body: Any) -> None:
    first = delivery_id(algorithm, body)
    assert first is not None
    assert first.startswith("sha256:")
    assert delivery_id(algorithm, body, headers={"x-github-delivery": "other"}) == first
    assert delivery_id(algorithm, body, at=NOW + 1) != first
    assert delivery_id(algorithm, [body]) != first


def test_replay_with_the_signature_written_otherwise_is_still_the_same_delivery() -> None:
    request = signed("stripe", {"any": 1})
    first = taken("stripe", request)
    value = request.headers["stripe-signature"]
    stamp, digest = value.split(",")
    for other in (f"{digest},{stamp}", f"v0=1,{value}", f"{value},{digest}", f"{value},x=t=5",
                  f" t=5,{value}", f"{stamp},v1={digest[3:].upper()}"):  # fmt: skip
        headers = {**request.headers, "stripe-signature": other}
        assert taken("stripe", a_request(request.body, "v.x", headers=headers)) == first


def test_slack_event_id_is_the_same_on_a_retry_signed_later() -> None:
    event = {"type": "event_callback", "event_id": "Ev1"}
    assert delivery_id("slack", event) == "Ev1"
    assert delivery_id("slack", event, at=NOW - 60) == "Ev1"


@pytest.mark.parametrize("value", ["é" * 10, "x" * 300, "a\x00", "\u20ac"])
@pytest.mark.parametrize("algorithm", ["slack", "stripe"])
def test_odd_signed_id_counts_by_its_digest(algorithm: str, value: str) -> None:
    body = {"slack": {"event_id": value}, "stripe": {"id": f"evt_{value}"}}[algorithm]
    first = delivery_id(algorithm, body)
    assert first is not None
    assert first.startswith("sha256:")
    assert delivery_id(algorithm, body, at=NOW + 60) == first


def test_github_delivery_is_told_by_its_header() -> None:
    headers = {"x-github-delivery": "72d3162e", "idempotency-key": "other"}
    assert delivery_id("github", {}, headers=headers) == "72d3162e"
    assert delivery_id("github", {}) is None


def test_shopify_webhook_id_goes_before_the_event_id() -> None:
    both = {"x-shopify-event-id": "e", "x-shopify-webhook-id": "w", "webhook-id": "other"}
    assert delivery_id("shopify", {}, headers=both) == "w"
    del both["x-shopify-webhook-id"]
    assert delivery_id("shopify", {}, headers=both) == "e"
    assert delivery_id("shopify", {}, headers={"idempotency-key": "k"}) == "k"
