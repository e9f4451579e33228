"""The shared vectors of signatures and of CloudEvents, through the provider."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from actors.errors import InvalidEventError
from app.errors import SignatureError
from tests.support.webhooks import VECTORS, a_door, a_request, take

NOW = 1_700_000_000
HEADERS = {"github": "x-hub-signature-256", "shopify": "x-shopify-hmac-sha256"}
STANDARD = ("webhook-id", "webhook-timestamp", "webhook-signature")
BEYOND_US = {"no-tolerance-given-old-ok": "we always have a tolerance, as the vector's note wants"}


def read(name: str) -> Any:
    path = VECTORS / name
    return json.loads(path.read_text()) if path.exists() else None


def cases(algorithm: str, name: str) -> Iterator[Any]:
    document = read(name)
    if document is None:
        reason = "the shared vectors are not here"
        yield pytest.param(algorithm, None, marks=pytest.mark.skip(reason=reason))
        return
    for case in document["cases"]:
        yield pytest.param(case.get("alg", algorithm), case, id=f"{algorithm}-{case['id']}")


SIGNATURES = [
    *cases("sha256", "sig_generic_hmac.json"),
    *cases("github", "sig_github.json"),
    *cases("shopify", "sig_shopify.json"),
    *cases("stripe", "sig_stripe.json"),
    *cases("slack", "sig_slack.json"),
    *cases("standard-webhooks", "sig_standard_webhooks.json"),
]


def headers_of(algorithm: str, case: dict[str, Any]) -> dict[str, str]:
    match algorithm:
        case "standard-webhooks":
            return {name: case[name] for name in STANDARD}
        case "stripe":
            return {"stripe-signature": case["header"]}
        case "slack":
            return {
                "x-slack-request-timestamp": case["timestamp"],
                "x-slack-signature": case["value"],
            }
        case _:
            return {HEADERS.get(algorithm, "x-sig"): case["value"]}


def now_of(case: dict[str, Any]) -> float:
    stamp = case.get("webhook-timestamp", "")
    return float(case.get("now") or (stamp if re.fullmatch("[0-9]+", stamp) else NOW))


@pytest.mark.parametrize(("algorithm", "case"), SIGNATURES)
def test_published_signatures(algorithm: str, case: dict[str, Any]) -> None:
    entry: dict[str, Any] = {"algorithm": algorithm, "secret": case["secret"]}
    if algorithm.startswith("sha"):
        entry["header"] = "X-Sig"
    door = a_door("prod", signatures={"v": entry}, now_seconds=now_of(case))
    request = a_request(case["body"].encode(), "v.x", headers=headers_of(algorithm, case))
    if case["valid"] and case["id"] not in BEYOND_US:
        assert door.verify(request) == "v"
    else:
        with pytest.raises(SignatureError):
            door.verify(request)


# ── CloudEvents ──────────────────────────────────────────────────────────────────────────────

CLOUDEVENTS = read("cloudevents_http.json")
needs_vectors = pytest.mark.skipif(CLOUDEVENTS is None, reason="the shared vectors are not here")


def scenarios() -> Iterator[tuple[str, dict[str, str], bytes, dict[str, str], Any]]:
    """Read each scenario outline: title, headers, body, attributes, data; one for each example."""
    feature = CLOUDEVENTS["feature"] if CLOUDEVENTS else ""
    for outline in feature.split("Scenario Outline:")[1:]:
        for example in re.findall(r"\| (application/.*?) *\|", outline.partition("Examples:")[2]):
            text = outline.replace("<contentType>", example)
            message, data = (part.strip("\n") for part in text.split('"""')[1::2])
            head, _, body = message.partition("\n\n")
            pairs = (line.strip().split(": ", 1) for line in head.splitlines()[1:])
            rows = re.findall(r"\| +(\w+) \| +(.*?) +\|", text.partition("attributes are:")[2])
            attributes = {name: value for name, value in rows if name != "key"}
            headers = {name.lower(): value for name, value in pairs}
            yield text.splitlines()[0].strip(), headers, body.encode(), attributes, json.loads(data)


SCENARIOS = list(scenarios())


@needs_vectors
def test_scenarios_are_read() -> None:
    assert len(SCENARIOS) == 4


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario[0])
def test_conformance_scenarios(scenario: Any) -> None:
    _, headers, body, attributes, data = scenario
    del headers["host"], headers["content-length"]
    event = take(a_door(), a_request(body, "com.example.someevent", media="", headers=headers))
    assert event.metadata["cloudevent"] == attributes
    assert event.payload == data
    assert event.source == "/mycontext/subcontext"


@needs_vectors
def test_published_header_encodings() -> None:
    marks = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "order.created"}
    for case in CLOUDEVENTS["header_encoding"]:
        request = a_request(headers={**marks, "ce-subject": case["header"]})
        if case["valid"]:
            event = take(a_door(), request)
            assert event.metadata["cloudevent"]["subject"] == case["value"]
        else:
            with pytest.raises(InvalidEventError, match="ce-subject"):
                take(a_door(), request)
