"""Signatures that others published, for every scheme that has some."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from app.providers.provider import InboundRequest
from app.providers.signatures.catalog import build_scheme
from app.providers.signatures.scheme import Verdict

VECTORS = Path(__file__).resolve().parents[6] / "shared" / "vectors"

pytestmark = pytest.mark.skipif(
    not VECTORS.is_dir(), reason="the folder shared/vectors is not beside the checkout"
)


def cases(name: str) -> list[Any]:
    """One parameter a case; none where the file is absent."""
    path = VECTORS / f"sig_{name}.json"
    if not path.is_file():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))["cases"]
    return [pytest.param(case, id=case["id"]) for case in found]


def test_the_files_are_not_empty() -> None:
    names = ("generic_hmac", "github", "shopify", "slack", "standard_webhooks", "stripe", "twilio",
             "sendgrid")  # fmt: skip
    assert all(cases(name) for name in names)


def judged(
    algorithm: str, secret: str, request: InboundRequest, now: float, **more: Any
) -> Verdict:
    return build_scheme(algorithm, [secret], **more).judge(request, now_seconds=now)


def request_of(body: str, **headers: str) -> InboundRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return InboundRequest(headers=named, body=body.encode())


@pytest.mark.parametrize("case", cases("generic_hmac"))
def test_generic_hmac(case: Any) -> None:
    request = request_of(case["body"], x_sig=case["value"])
    verdict = judged(case["alg"], case["secret"], request, 0, header="X-Sig")
    assert verdict.is_accepted == case["valid"], verdict


@pytest.mark.parametrize("case", [*cases("github"), *cases("shopify")])
def test_github_and_shopify(case: Any) -> None:
    algorithm = "github" if "Hub" in case["header"] else "shopify"
    request = InboundRequest({case["header"].lower(): case["value"]}, case["body"].encode())
    verdict = judged(algorithm, case["secret"], request, 0)
    assert verdict.is_accepted == case["valid"], verdict


@pytest.mark.parametrize("case", cases("slack"))
def test_slack(case: Any) -> None:
    request = request_of(
        case["body"], x_slack_signature=case["value"], x_slack_request_timestamp=case["timestamp"]
    )
    assert judged("slack", case["secret"], request, case["now"]).is_accepted == case["valid"]
    # The signature itself is the documentation's own; a minute later it is good.
    then = int(case["timestamp"]) + 60
    assert judged("slack", case["secret"], request, then).is_accepted


@pytest.mark.parametrize("case", cases("standard_webhooks"))
@pytest.mark.parametrize("family", ["webhook", "svix"])
def test_standard_webhooks(case: Any, family: str) -> None:
    headers = {
        name.replace("webhook", family): case[name]
        for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
    }
    now = float(case["webhook-timestamp"])
    request = InboundRequest(headers, case["body"].encode())
    for secret in (case["secret"], case["secret"].removeprefix("whsec_")):
        verdict = judged("standard-webhooks", secret, request, now)
        assert verdict.is_accepted == case["valid"], verdict
        assert (verdict.signed_id == case["webhook-id"]) == case["valid"]


def test_the_key_pair_of_svix_belongs_together() -> None:
    document = json.loads((VECTORS / "sig_standard_webhooks.json").read_text(encoding="utf-8"))
    pair = document["ed25519_keypair_from_svix"]
    unsigned = InboundRequest({"webhook-id": "msg_1"}, b"{}")
    headers = build_scheme("standard-webhooks", [pair["whsk"]]).sign(unsigned, now_seconds=1000)
    assert headers["webhook-signature"].startswith("v1a,")
    signed = InboundRequest(headers, b"{}")
    assert judged("standard-webhooks", pair["whpk"], signed, 1000).key == 0


@pytest.mark.parametrize("case", cases("stripe"))
def test_stripe(case: Any) -> None:
    request = request_of(case["body"], stripe_signature=case["header"])
    # Without a tolerance there is nothing for an ingress to do: those are judged in their time.
    now = case["now"] if case["tolerance"] is not None else 1533204620
    verdict = judged("stripe", case["secret"], request, now)
    assert verdict.is_accepted == case["valid"], verdict


@pytest.mark.parametrize("case", cases("twilio"))
def test_twilio(case: Any) -> None:
    headers = {"x-twilio-signature": case["signature"]}
    if "json_body" in case:
        headers["content-type"] = "application/json"
        body = case["json_body"].encode()
    else:
        headers["content-type"] = "application/x-www-form-urlencoded; charset=UTF-8"
        body = urlencode(case["params"], doseq=True).encode()
    request = InboundRequest(headers, body, public_url=lambda: str(case["url"]))
    verdict = judged("twilio", case["token"], request, 0)
    assert verdict.is_accepted == case["valid"], verdict


@pytest.mark.parametrize("case", cases("sendgrid"))
def test_sendgrid(case: Any) -> None:
    request = request_of(
        case["body"],
        x_twilio_email_event_webhook_signature=case["signature"],
        x_twilio_email_event_webhook_timestamp=case["timestamp"],
    )
    verdict = judged("sendgrid", case["public_key_der_b64"], request, 1600112502)
    assert verdict.is_accepted == case["valid"], verdict
