"""The page about webhooks says what the code does."""

import json
import re
from pathlib import Path

from app.providers.webhook.batch import ITEMS_MAX, LINES_MAX
from app.providers.webhook.bodies import FORM_FIELDS_MAX
from app.providers.webhook.delivery import DELIVERY_ID_HEADERS
from app.providers.webhook.options import ALGORITHMS, BODY_BYTES_MAX
from tests.support.webhooks import a_batch, a_door, a_webhook, take_all

PAGE = (Path(__file__).parents[5] / "docs" / "webhooks.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def test_shown_options_are_legal() -> None:
    options = json.loads(block("json"))["events-webhook"]
    assert a_webhook("prod", **options).warnings == ()


def test_shown_batch_is_three_events() -> None:
    events = take_all(a_door(), a_batch(block("jsonl").encode()))
    assert [getattr(event, "event_type", event) for event in events] == [
        "order.created",
        "order.created",
        "order.paid",
    ]


def test_every_algorithm_and_header_is_in_a_table() -> None:
    rows = "\n".join(line for line in PAGE.splitlines() if line.startswith("| "))
    assert not [name for name in ALGORITHMS if f"`{name}`" not in rows]
    assert not [name for name in DELIVERY_ID_HEADERS if f"`{name}`" not in rows.lower()]


def test_limits_are_those_of_the_code() -> None:
    for limit in (ITEMS_MAX, LINES_MAX, FORM_FIELDS_MAX):
        assert f"{limit:,}" in PAGE
    assert f"{BODY_BYTES_MAX // 1024} KiB" in PAGE
