"""The webhook provider: options, signatures, and what becomes of a request."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.errors import InvalidEventError
from actors.ports import InboundRequest
from app.errors import SettingsError, SignatureError
from app.providers.catalog import PROVIDERS, build_provider, find_provider
from app.providers.provider import InboundProvider, RawRequest
from app.providers.webhook.provider import DELIVERY_ID_HEADERS
from app.providers.webhook.signature import signature_matches

VECTORS = Path(__file__).parents[5] / "shared" / "vectors" / "sig_generic_hmac.json"
KEY = b"key"
BODY = b'{"a": 1}'
DIGEST = hmac.new(KEY, BODY, hashlib.sha256).digest()


def webhook(env: str = "dev", **options: Any) -> InboundProvider:
    return build_provider("events-webhook", options, env=env)


def request(body: bytes = BODY, event_type: str = "order.created", **more: Any) -> InboundRequest:
    return InboundRequest(
        event_type, more.get("headers", {}), more.get("query", {}), body, more.get("signature")
    )


# ── Options ──────────────────────────────────────────────────────────────────────────────────


def test_defaults_are_those_of_the_contract() -> None:
    provider = webhook()
    assert provider.name == "events-webhook"
    assert provider.body_bytes_max == 768 * 1024
    assert provider.sync_timeout_seconds == 5.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"secret_key": "", "secret_header": "x"}, "secret_key: is empty"),
        ({"secret_key": "  ", "secret_header": "x"}, "secret_key: is empty"),
        ({"secret_key": "s" * 1025, "secret_header": "x"}, "secret_key: is longer than"),
        ({"secret_key": "s"}, "secret_header is missing"),
        ({"secret_header": "x"}, "secret_key is missing"),
        ({"secret_key": "s", "secret_header": "a b"}, "secret_header: is no header name"),
        ({"secret_key": "s", "secret_header": ""}, "secret_header: is no header name"),
        ({"signatures": {"github": {}}}, "signature entries (github)"),
        ({"max_body_bytes": 0}, "max_body_bytes"),
        ({"max_body_bytes": 786433}, "max_body_bytes"),
        ({"max_body_bytes": True}, "max_body_bytes"),
        ({"sync_timeout_ms": -1}, "sync_timeout_ms"),
        ({"sync_timeout_ms": 60_001}, "sync_timeout_ms"),
        ({"dedup_window_hours": 73}, "dedup_window_hours"),
        ({"enabled": "yes"}, "enabled"),
        ({"public_base_url": "example.org"}, "public_base_url: must begin with http"),
        ({"secretkey": "s"}, "secretkey: is no option"),
    ],
)
def test_wrong_option_is_refused_by_name(options: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        webhook(**options)
    assert words in str(caught.value)


def test_all_wrong_options_are_reported_at_once_and_no_value_is_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        webhook(secret_key=["hunter2"], max_body_bytes="hunter2", other="hunter2")
    assert len(caught.value.problems) == 3
    assert "hunter2" not in str(caught.value)


def test_unknown_provider_is_refused() -> None:
    with pytest.raises(SettingsError, match="events-fax"):
        build_provider("events-fax", {}, env="dev")


def test_catalogue_names_are_unique_and_found() -> None:
    assert len({spec.name for spec in PROVIDERS}) == len(PROVIDERS)
    assert all(find_provider(spec.name) is spec for spec in PROVIDERS)
    assert find_provider("events-fax") is None


def test_secret_is_not_in_the_options_text() -> None:
    spec = find_provider("events-webhook")
    assert spec is not None
    options = spec.options_model.model_validate({"secret_header": "x", "secret_key": "hunter2"})
    assert "hunter2" not in repr(options) + str(options.model_dump())


@pytest.mark.parametrize(
    ("env", "options", "warned"),
    [
        ("dev", {}, True),
        ("prod", {}, True),
        ("dev", {"allow_unsigned": True}, False),
        ("prod", {"secret_header": "x", "secret_key": "s"}, False),
    ],
)
def test_missing_secret_is_warned_of_once_at_start(
    env: str, options: dict[str, Any], *, warned: bool
) -> None:
    assert bool(webhook(env, **options).warnings) is warned


# ── Signatures ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "value",
    [
        DIGEST.hex(),
        DIGEST.hex().upper(),
        "sha256=" + DIGEST.hex(),
        base64.b64encode(DIGEST).decode(),
        base64.b64encode(DIGEST).decode().rstrip("="),
        "sha256=" + base64.b64encode(DIGEST).decode(),
    ],
)
def test_every_documented_form_of_the_signature_matches(value: str) -> None:
    assert signature_matches(value, BODY, KEY)
    assert not signature_matches(value, BODY + b" ", KEY)
    assert not signature_matches(value, BODY, KEY + b" ")


@pytest.mark.parametrize(
    "value",
    [None, "", "sha256=", "=", "é" * 64, "0" * 63, "0" * 64, "A" * 43, "A" * 42 + "=", "=" * 44,
     "\ud800" * 64, "0" * 10**6, DIGEST.hex() + "\n", " " + DIGEST.hex(), "sha1=" + DIGEST.hex(),
     "sha256 =" + DIGEST.hex(), DIGEST[:20].hex()],
)  # fmt: skip
def test_anything_else_is_no_match_and_no_error(value: str | None) -> None:
    assert not signature_matches(value, BODY, KEY)


def _vectors() -> Iterator[Any]:
    if not VECTORS.exists():
        yield pytest.param(None, marks=pytest.mark.skip(reason="the shared vectors are not here"))
        return
    for case in json.loads(VECTORS.read_text())["cases"]:
        if case["alg"] == "sha256" and "," not in case["value"]:
            yield pytest.param(case, id=case["id"])


@pytest.mark.parametrize("case", list(_vectors()))
def test_published_vectors(case: dict[str, Any]) -> None:
    matched = signature_matches(case["value"], case["body"].encode(), case["secret"].encode())
    assert matched is case["valid"]


def test_secret_outside_ascii_works() -> None:
    provider = webhook(secret_header="X-Sig", secret_key="clé")
    value = hmac.new("clé".encode(), BODY, hashlib.sha256).hexdigest()
    assert provider.verify(RawRequest("a", {"x-sig": value}, BODY)) == "secret_header"


def test_refusal_names_the_header_and_not_the_secret() -> None:
    provider = webhook(secret_header="X-Sig", secret_key="hunter2")
    with pytest.raises(SignatureError, match="x-sig") as caught:
        provider.verify(RawRequest("a", {}, BODY))
    assert "hunter2" not in str(caught.value)


# ── Normalization ────────────────────────────────────────────────────────────────────────────


def test_event_of_a_request() -> None:
    event = webhook().normalize(
        request(headers={"user-agent": "x", "traceparent": "00-a-b-01"}, query={"a": "1"})
    )
    assert (event.event_type, event.source, event.payload) == ("order.created", "webhook", {"a": 1})
    assert event.metadata == {
        "headers": {"user-agent": "x", "traceparent": "00-a-b-01"},
        "query": {"a": "1"},
        "provider": "events-webhook",
        "traceparent": "00-a-b-01",
    }
    assert event.delivery_id is None


@pytest.mark.parametrize(
    "name",
    ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key",
     "x-auth-token", "x-gitlab-token", "x-amz-security-token", "x-goog-iap-jwt-assertion",
     "x-csrf-token", "x-forwarded-client-cert", "x-telegram-bot-api-secret-token", "x-our-sig"],
)  # fmt: skip
def test_header_that_carries_credentials_never_reaches_the_event(name: str) -> None:
    provider = webhook(secret_header="X-Our-Sig", secret_key="s")
    event = provider.normalize(request(headers={name: "hunter2", "x-github-event": "push"}))
    assert event.metadata["headers"] == {"x-github-event": "push"}


@pytest.mark.parametrize("name", ["token", "API_KEY", "access_token", "password", "secret"])
def test_query_field_that_carries_credentials_never_reaches_the_event(name: str) -> None:
    event = webhook().normalize(request(query={name: "hunter2", "page_token": "5"}))
    assert event.metadata["query"] == {"page_token": "5"}


@pytest.mark.parametrize("name", DELIVERY_ID_HEADERS)
def test_known_delivery_id_headers_are_recognized(name: str) -> None:
    event = webhook().normalize(request(headers={name: "d-1"}))
    assert event.delivery_id == "d-1"
    assert event.metadata["delivery_id"] == "d-1"


@pytest.mark.parametrize("value", ["", "x" * 257, "é", "a\x00b"])
def test_unusable_delivery_id_is_ignored(value: str) -> None:
    assert webhook().normalize(request(headers={"webhook-id": value})).delivery_id is None


@pytest.mark.parametrize("value", ["", "x" * 129, "é"])
def test_unusable_traceparent_is_ignored(value: str) -> None:
    event = webhook().normalize(request(headers={"traceparent": value}))
    assert "traceparent" not in event.metadata


@pytest.mark.parametrize("number", [2**53 + 1, -(2**63) - 1, 2**64, 10**40])
def test_integers_stay_exact(number: int) -> None:
    assert webhook().normalize(request(str(number).encode())).payload == number


@pytest.mark.parametrize("event_type", ["timer.x", "email.received", "twilio.sms.incoming"])
def test_reserved_types_are_refused(event_type: str) -> None:
    with pytest.raises(InvalidEventError, match="its own provider"):
        webhook().normalize(request(event_type=event_type))


def test_deep_document_is_refused_and_a_wide_one_is_not() -> None:
    with pytest.raises(InvalidEventError, match="deeper"):
        webhook().normalize(request(b"[" * 70 + b"1" + b"]" * 70))
    wide = b"[" + b",".join([b"[]"] * 1000) + b"]"
    assert len(webhook().normalize(request(wide)).payload) == 1000
