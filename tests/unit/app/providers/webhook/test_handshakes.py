"""What is answered without an event: Slack's challenge, and the CloudEvents handshake."""

import json
from typing import Any

import pytest

from actors.errors import InvalidEventError
from app.errors import SignatureError
from app.providers.provider import Inbound
from app.providers.signatures.catalog import build_scheme
from app.providers.webhook.handshake import handshake
from tests.support.webhooks import a_door, a_request, a_webhook, take

NOW = 1_700_000_000
SLACK = {"slack": {"algorithm": "slack", "secret": "s"}}
CHALLENGE = {"token": "t", "challenge": "3eZbrw1aB1OGN7uiMM=", "type": "url_verification"}


def ask(document: Any, event_type: str = "slack.event", **options: Any) -> Inbound:
    request = a_request(json.dumps(document).encode(), event_type)
    scheme = build_scheme("slack", ["s"])
    headers = {**request.headers, **scheme.sign(request, now_seconds=NOW)}
    request = a_request(request.body, event_type, headers=headers)
    door = a_door("prod", now_seconds=NOW, **{"signatures": SLACK, **options})
    return door.receive(request, door.verify(request))


# ── Slack ────────────────────────────────────────────────────────────────────────────────────


def test_slack_hears_its_challenge_and_no_event_is_made() -> None:
    inbound = ask(CHALLENGE)
    assert inbound.events == ()
    assert inbound.answer is not None
    assert (inbound.answer.status, inbound.answer.media_type) == (200, "application/json")
    assert json.loads(inbound.answer.body) == {"challenge": CHALLENGE["challenge"]}


def test_challenge_must_be_signed() -> None:
    with pytest.raises(SignatureError):
        a_door(signatures=SLACK).verify(a_request(json.dumps(CHALLENGE).encode(), "slack.event"))


def test_challenge_is_an_event_like_any_other_where_slack_does_not_sign() -> None:
    inbound = ask(CHALLENGE, "order.created", allow_unsigned=True)
    assert inbound.answer is None
    assert len(inbound.events) == 1


def test_challenge_under_another_signature_is_an_event() -> None:
    door = a_door(signatures={"slack": {"algorithm": "token", "secret": "s"}})
    request = a_request(
        json.dumps(CHALLENGE).encode(), "slack.x", headers={"authorization": "Bearer s"}
    )
    assert take(door, request).payload == CHALLENGE


@pytest.mark.parametrize("document", [{"type": "event_callback"}, {"challenge": "x"}, [], "x"])
def test_what_is_no_challenge_is_an_event(document: Any) -> None:
    assert len(ask(document).events) == 1


@pytest.mark.parametrize("challenge", [None, "", 5, ["x"], "x" * 4097])
def test_odd_challenge_is_refused(challenge: Any) -> None:
    with pytest.raises(InvalidEventError, match="challenge"):
        ask({**CHALLENGE, "challenge": challenge})


# ── CloudEvents ──────────────────────────────────────────────────────────────────────────────


def granted(env: str, *allowed: str, **headers: str) -> Any:
    named = {f"webhook-request-{name}": value for name, value in headers.items()}
    provider = a_webhook(env, allow_unsigned=True, webhook_allowed_origins=list(allowed))
    return provider.handshake(named)


def test_origin_is_granted_by_name_and_the_rate_as_asked() -> None:
    assert granted("prod", "EventGrid.Azure.net", origin="eventgrid.azure.NET", rate="120") == {
        "allow": "POST",
        "webhook-allowed-origin": "eventgrid.azure.NET",
        "webhook-allowed-rate": "120",
    }
    assert granted("prod", "*", origin="a.example") == {
        "allow": "POST",
        "webhook-allowed-origin": "a.example",
    }


@pytest.mark.parametrize("origin", ["b.example", "x.a.example", "a.example.org", "a.exampl"])
@pytest.mark.parametrize("env", ["prod", "dev"])
def test_origin_that_is_not_named_is_refused(env: str, origin: str) -> None:
    assert granted(env, "a.example", origin=origin) is None


def test_where_no_origins_are_named_prod_grants_none_and_dev_any() -> None:
    assert granted("prod", origin="a.example") is None
    assert granted("dev", origin="a.example") is not None


@pytest.mark.parametrize(
    "origin", ["", "a b", "a\r\nx: y", "é.example", "a" * 254, "*", "-a", "a.", "a, b", "a/b"]
)
def test_origin_that_is_no_host_name_is_refused(origin: str) -> None:
    assert granted("prod", "*", origin=origin) is None
    assert granted("dev", origin=origin) is None


def test_request_without_an_origin_is_no_handshake() -> None:
    assert handshake({"webhook-request-rate": "1"}, allowed_origins=["*"], env="dev") is None


@pytest.mark.parametrize("rate", ["", "0", "-1", "1.5", "*", "1" * 10, "٣", "1\r\nx: y"])
def test_odd_rate_is_answered_with_no_limit(rate: str) -> None:
    assert granted("dev", origin="a", rate=rate)["webhook-allowed-rate"] == "*"
