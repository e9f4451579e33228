"""Every example payload of `@octokit/webhooks-examples`, signed as GitHub signs, comes out exact."""

import json

import pytest

from app.errors import SignatureError
from app.providers.provider import InboundRequest
from tests.support.octokit import SECRET, GithubDelivery, load_deliveries
from tests.support.webhooks import a_door, take

pytestmark = pytest.mark.e2e

EXAMPLES_MIN = 700
"""So many the package has at least; each comes twice."""

DOOR = a_door("prod", signatures={"github": {"algorithm": "github", "secret": SECRET}})


@pytest.fixture(scope="module", params=["json", "form"])
def deliveries(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[GithubDelivery]:
    is_form = request.param == "form"
    return load_deliveries(request.config, tmp_path_factory, is_form=is_form)


def post(delivery: GithubDelivery, body: bytes | None = None) -> InboundRequest:
    return InboundRequest(
        headers=delivery.headers,
        body=delivery.body if body is None else body,
        tenant="demo",
        event_type=delivery.event_type,
        route="event",
    )


def test_every_example_comes_out_as_it_went_in(deliveries: list[GithubDelivery]) -> None:
    assert len(deliveries) >= 2 * EXAMPLES_MIN
    for delivery in deliveries:
        event = take(DOOR, post(delivery))
        # As text, since 1, 1.0 and True are equal values in Python.
        assert json.dumps(event.payload) == json.dumps(delivery.document), delivery.delivery_id
        assert event.event_type == delivery.event_type
        assert event.delivery_id == delivery.delivery_id
        assert event.metadata["signature"] == "github"
        assert event.metadata["headers"]["x-github-event"] == delivery.event
        assert "x-hub-signature-256" not in event.metadata["headers"]


def test_no_example_passes_with_a_byte_changed(deliveries: list[GithubDelivery]) -> None:
    for delivery in deliveries[::20]:
        body = bytearray(delivery.body)
        body[len(body) // 2] ^= 1
        with pytest.raises(SignatureError):
            DOOR.verify(post(delivery, bytes(body)))


def test_deliveries_are_told_apart(deliveries: list[GithubDelivery]) -> None:
    assert len({delivery.delivery_id for delivery in deliveries}) == len(deliveries)
