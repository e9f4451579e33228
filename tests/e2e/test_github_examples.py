"""Every example of GitHub's webhooks, signed as GitHub signs, comes out of NATS as it was.

In: the payloads of `@octokit/webhooks-examples`, each also with integers that no double keeps, as
JSON and as forms. Out: events whose payload is equal in every value, read by a client not ours.
"""

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from tests.support.octokit import SECRET, GithubDelivery, load_deliveries
from tests.support.programs import nats_credentials, running_program, write_bundle
from tests.support.streams import read_stream

AT_ONCE = 16
EXAMPLES_MIN = 400
ANSWERS = {
    "events-webhook": {
        "signatures": {"github": {"header": "X-Hub-Signature-256", "algorithm": "github", "secret": SECRET}}
    }
}  # fmt: skip


@pytest.mark.parametrize("is_form", [False, True], ids=["json", "form"])
async def test_payloads_are_equal_in_every_value(
    pytestconfig: pytest.Config,
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
    is_form: bool,
) -> None:
    deliveries = load_deliveries(pytestconfig, tmp_path_factory, is_form=is_form)
    assert len(deliveries) >= EXAMPLES_MIN
    bundle = write_bundle(tmp_path / "bundle", {})
    (bundle / "answers.json").write_text(json.dumps(ANSWERS))
    async with running_program(bundle, tmp_path / "log") as program:
        statuses = await post_all(program.url, deliveries)
        assert set(statuses) == {202}
        # GitHub repeats a delivery under its own id: nothing is stored twice.
        assert set(await post_all(program.url, deliveries[:AT_ONCE])) == {202}
        credentials = nats_credentials(bundle / ".greentic")
        stored = await read_stream(
            credentials, "EVENTS-dev-T-demo", "greentic.events.dev.demo.github.>"
        )
    by_delivery = {event["metadata"]["delivery_id"]: event for event in stored}
    assert len(stored) == len(by_delivery) == len(deliveries)
    for delivery in deliveries:
        event = by_delivery[delivery.delivery_id]
        assert event["event_type"] == delivery.event_type
        assert event["metadata"]["signature"] == "github"
        assert event["payload"] == delivery.document
        assert "x-hub-signature-256" not in event["metadata"]["headers"]


async def post_all(url: str, deliveries: list[GithubDelivery]) -> list[int]:
    """Post them, some at once; gives the statuses in order."""
    gate = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:

        async def post(delivery: GithubDelivery) -> int:
            path = f"/events/webhook/demo/{delivery.event_type}"
            async with gate:
                answer = await client.post(path, content=delivery.body, headers=delivery.headers)
            return answer.status_code

        return list(await asyncio.gather(*map(post, deliveries)))
