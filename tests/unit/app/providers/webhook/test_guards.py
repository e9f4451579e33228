"""Who may post what, and what `metadata.signature` says of it."""

import base64
import hashlib
import hmac
import time
from dataclasses import replace
from typing import Any

import pytest
import stripe
from slack_sdk.signature import SignatureVerifier
from standardwebhooks.webhooks import Webhook

from app.errors import SignatureError, WrongTenantError
from app.providers.provider import InboundProvider, InboundRequest
from app.providers.signatures.catalog import build_scheme
from tests.support.webhooks import (
    BODY,
    FakeApiKeys,
    a_batch,
    a_door,
    a_request,
    lines,
    take,
    take_all,
)

NOW = 1_700_000_000
WHSEC = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
ENTRIES: dict[str, dict[str, Any]] = {
    "sha1": {"header": "x-sig", "secret": "s"},
    "sha256": {"header": "x-sig", "secret": "s"},
    "sha512": {"header": "X-Sig", "secret": "s"},
    "github": {"secret": "s"},
    "shopify": {"secret": "s"},
    "stripe": {"secret": "whsec_s"},
    "slack": {"secret": "s"},
    "standard-webhooks": {"secret": WHSEC},
    "token": {"header": "x-gitlab-token", "secret": "t0ken"},
    "basic": {"secret": "user:pass"},
}
EVENT = lines({"event_type": "a.b", "payload": 1})


def guarded(algorithm: str, name: str = "shop", env: str = "prod", **more: Any) -> InboundProvider:
    entry = {"algorithm": algorithm, **ENTRIES[algorithm]}
    return a_door(env, signatures={name: entry}, now_seconds=NOW, **more)


def signed(algorithm: str, request: InboundRequest, secret: str | None = None) -> InboundRequest:
    entry = ENTRIES[algorithm]
    scheme = build_scheme(algorithm, [secret or entry["secret"]], header=entry.get("header"))
    return a_request(
        request.body,
        request.event_type,
        headers={**request.headers, **scheme.sign(request, now_seconds=NOW)},
    )


def sha256(secret: str, body: bytes = BODY) -> dict[str, str]:
    return {"x-sig": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


# ── Which guard ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("algorithm", ENTRIES)
def test_entry_guards_the_types_of_its_name(algorithm: str) -> None:
    door = guarded(algorithm)
    request = signed(algorithm, a_request(event_type="shop.order.created"))
    assert take(door, request).metadata["signature"] == "shop"
    with pytest.raises(SignatureError):
        door.verify(a_request(event_type="shop.order.created"))


@pytest.mark.parametrize("algorithm", sorted(ENTRIES.keys() - {"token", "basic"}))
def test_other_bytes_or_another_secret_are_refused(algorithm: str) -> None:
    door = guarded(algorithm)
    request = signed(algorithm, a_request(event_type="shop"))
    with pytest.raises(SignatureError, match=algorithm):
        door.verify(a_request(BODY + b" ", "shop", headers=request.headers))
    other = {"standard-webhooks": "whsec_" + base64.b64encode(b"other" * 6).decode()}
    wrong = signed(algorithm, a_request(event_type="shop"), other.get(algorithm, "wrong"))
    with pytest.raises(SignatureError, match=algorithm):
        door.verify(wrong)


@pytest.mark.parametrize("algorithm", ENTRIES)
def test_signature_and_credentials_never_reach_the_event(algorithm: str) -> None:
    request = signed(algorithm, a_request(event_type="shop", headers={"x-github-event": "push"}))
    event = take(guarded(algorithm), request)
    assert event.metadata["headers"] == {
        "content-type": "application/json",
        "x-github-event": "push",
    }


def test_types_without_an_entry_fall_to_the_global_secret() -> None:
    door = guarded("github", secret_header="X-Sig", secret_key="clé")
    request = a_request(headers=sha256("clé"))
    assert take(door, request).metadata["signature"] == "secret_header"
    with pytest.raises(SignatureError, match="x-sig"):
        door.verify(a_request())
    # The global secret does not open what has an entry of its own, nor the other way round.
    with pytest.raises(SignatureError, match="github"):
        door.verify(a_request(event_type="shop.x", headers=sha256("clé")))
    with pytest.raises(SignatureError, match="sha256"):
        door.verify(a_request(headers=signed("github", a_request()).headers))


@pytest.mark.parametrize("event_type", ["shopping.x", "x.shop", "shop_.x", "SHOP.x", "shop%2ex"])
def test_only_the_whole_first_token_names_an_entry(event_type: str) -> None:
    with pytest.raises(SignatureError, match="no signature is configured"):
        guarded("github").verify(a_request(event_type=event_type))


@pytest.mark.parametrize("env", ["prod", "dev", "staging"])
def test_what_nothing_guards_is_refused_in_prod_alone(env: str) -> None:
    door = a_door(env)
    if env == "prod":
        with pytest.raises(SignatureError, match="env prod"):
            door.verify(a_request())
    else:
        assert "signature" not in take(door, a_request()).metadata


def test_unsigned_events_can_be_asked_for_in_prod() -> None:
    assert a_door("prod", allow_unsigned=True).verify(a_request()) is None
    with pytest.raises(SignatureError):
        guarded("github", allow_unsigned=True).verify(a_request(event_type="shop"))


def test_of_several_secrets_each_has_a_name() -> None:
    entry = {"algorithm": "sha256", "header": "x-sig", "secrets": ["new", "old"]}
    door = a_door("prod", signatures={"shop": entry})
    assert door.verify(a_request(event_type="shop", headers=sha256("new"))) == "shop#1"
    assert door.verify(a_request(event_type="shop", headers=sha256("old"))) == "shop#2"
    with pytest.raises(SignatureError):
        door.verify(a_request(event_type="shop", headers=sha256("older")))


@pytest.mark.parametrize("algorithm", ["stripe", "slack", "standard-webhooks"])
def test_signed_time_may_be_off_by_the_tolerance_both_ways(algorithm: str) -> None:
    entry = {"algorithm": algorithm, **ENTRIES[algorithm], "tolerance_seconds": 60}
    request = signed(algorithm, a_request(event_type="shop"))
    for seconds, is_taken in ((-61, False), (-60, True), (60, True), (61, False)):
        door = a_door("prod", signatures={"shop": entry}, now_seconds=NOW + seconds)
        if is_taken:
            assert door.verify(request) == "shop"
        else:
            with pytest.raises(SignatureError, match="60 s are tolerated"):
                door.verify(request)


def test_refusal_names_the_header_and_not_the_secret() -> None:
    door = a_door(secret_header="X-Sig", secret_key="hunter2")
    with pytest.raises(SignatureError, match="x-sig") as caught:
        door.verify(a_request())
    assert "hunter2" not in str(caught.value)
    right = sha256("hunter2")["x-sig"]
    with pytest.raises(SignatureError) as caught:
        door.verify(a_request(headers=sha256("hunter3")))
    assert right not in str(caught.value)


# ── As the senders' own libraries sign ───────────────────────────────────────────────────────


def test_stripes_library_signs_what_is_taken() -> None:
    stamp = int(time.time())
    digest = stripe.WebhookSignature._compute_signature(f"{stamp}.{BODY.decode()}", "whsec_s")
    header = {"stripe-signature": f"t={stamp},v1={digest}"}
    entry = {"algorithm": "stripe", **ENTRIES["stripe"]}
    door = a_door("prod", signatures={"stripe": entry}, now_seconds=stamp)
    assert door.verify(a_request(event_type="stripe.charge.updated", headers=header)) == "stripe"


def test_slacks_library_signs_what_is_taken() -> None:
    signature = SignatureVerifier("s").generate_signature(timestamp=str(NOW), body=BODY)
    assert signature is not None
    headers = {"x-slack-request-timestamp": str(NOW), "x-slack-signature": signature}
    door = guarded("slack", "slack")
    assert door.verify(a_request(event_type="slack.event", headers=headers)) == "slack"


def test_the_standard_webhooks_library_signs_what_is_taken() -> None:
    from datetime import UTC, datetime

    stamp = datetime.fromtimestamp(NOW, UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(NOW),
        "webhook-signature": Webhook(WHSEC).sign("msg_1", stamp, BODY.decode()),
    }
    event = take(guarded("standard-webhooks"), a_request(event_type="shop.x", headers=headers))
    assert (event.metadata["signature"], event.delivery_id) == ("shop", "msg_1")


# ── Batches ──────────────────────────────────────────────────────────────────────────────────


def bearer(token: str, scheme: str = "Bearer") -> dict[str, str]:
    return {"authorization": f"{scheme} {token}"}


KEYS = FakeApiKeys(
    {
        "ours": ("demo", "publish"),
        "theirs": ("other", "publish"),
        "reader": ("demo", "read"),
    }
)
GLOBAL = {"secret_header": "x-sig", "secret_key": "s"}


@pytest.mark.parametrize("env", ["prod", "dev"])
@pytest.mark.parametrize("options", [{}, GLOBAL, {"allow_unsigned": True}])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_api_key_of_the_tenant_opens_the_batch_route(
    env: str, options: dict[str, Any], scheme: str
) -> None:
    door = a_door(env, api_keys=KEYS, **options)
    (event,) = take_all(door, a_batch(EVENT, headers=bearer("ours", scheme)))
    assert not isinstance(event, Exception)
    assert event.metadata["signature"] == "api_key"
    assert "authorization" not in event.metadata["headers"]


@pytest.mark.parametrize("env", ["prod", "dev"])
@pytest.mark.parametrize("options", [{}, GLOBAL, {"allow_unsigned": True}])
def test_api_key_of_another_tenant_is_a_403_and_no_key_a_401(
    env: str, options: dict[str, Any]
) -> None:
    door = a_door(env, api_keys=KEYS, **options)
    with pytest.raises(WrongTenantError):
        door.verify(a_batch(EVENT, headers=bearer("theirs")))
    for token in ("", "nobody", "reader", "ours ours", "\xff", "o" * 100_000):
        with pytest.raises(SignatureError):
            door.verify(a_batch(EVENT, headers=bearer(token)))


def test_global_secret_opens_the_batch_route_and_an_entry_does_not() -> None:
    door = guarded("github", "github", **GLOBAL)
    assert door.verify(a_batch(EVENT, headers=sha256("s", EVENT))) == "secret_header"
    assert (
        door.verify(a_batch(EVENT, headers={**sha256("s", EVENT), **bearer("nobody")}))
        == "secret_header"
    )
    by_entry = build_scheme("github", ["s"]).sign(a_batch(EVENT), now_seconds=NOW)
    with pytest.raises(SignatureError):
        door.verify(a_batch(EVENT, headers=by_entry))


@pytest.mark.parametrize("options", [{}, {"allow_unsigned": True}])
def test_batch_that_nothing_guards_is_refused_in_prod_alone(options: dict[str, Any]) -> None:
    with pytest.raises(SignatureError, match="API key"):
        a_door("prod", **options).verify(a_batch(EVENT))
    assert a_door("dev", **options).verify(a_batch(EVENT)) is None


@pytest.mark.parametrize("env", ["prod", "dev"])
def test_batch_needs_the_global_secret_where_there_is_one(env: str) -> None:
    with pytest.raises(SignatureError, match="x-sig"):
        a_door(env, **GLOBAL).verify(a_batch(EVENT))


def test_unsigned_batch_cannot_hold_what_alone_must_be_signed() -> None:
    door = guarded("github", "github", env="dev", api_keys=KEYS)
    body = lines({"event_type": "github.push", "payload": 1}, {"event_type": "a", "payload": 1})
    refused, taken = take_all(door, a_batch(body))
    assert "line 1: event_type: 'github.push' must be signed" in str(refused)
    assert not isinstance(taken, Exception)
    assert len(take_all(door, a_batch(body, headers=bearer("ours")))) == 2


def test_address_of_the_sender_reaches_whoever_judges_the_key() -> None:
    heard: list[tuple[str, str, str]] = []

    class Listening(FakeApiKeys):
        """Hears what it is asked."""

        def find_tenant(self, token: str, scope: str, address: str = "") -> str | None:
            heard.append((token, scope, address))
            return "demo"

    door = a_door("prod", api_keys=Listening())
    request = replace(a_batch(EVENT, headers=bearer("ours")), client=lambda: "192.0.2.1")
    door.verify(request)
    assert heard == [("ours", "publish", "192.0.2.1")]
