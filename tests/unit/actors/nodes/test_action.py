"""`event` with a provider. In: arguments. Out: what the provider is asked to do."""

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from actors.errors import PermanentError
from actors.nodes.resources import FlowResources
from actors.ports import ABSENT, NoProviderActions
from actors.testing.actions import MemoryActions
from actors.testing.secrets import MemorySecrets
from tests.support.steps import Stage, a_plan, a_step, build_node, value_of

MAIL = {"provider": "events-mail", "action": "send", "to": "{{payload.to}}", "subject": "Hello"}


class Arguments(BaseModel):
    """What the action takes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    to: str
    subject: str
    html: str | None = None


@dataclass(frozen=True)
class Form:
    """An action as the bundle knows it."""

    arguments: type[BaseModel] = Arguments
    html_arguments: frozenset[str] = frozenset({"html"})


KNOWN = FlowResources(actions={"events-mail": {"send": Form()}})


def a_provider() -> MemoryActions:
    return MemoryActions(lambda _: {"message_id": "m-1"})


async def test_a_provider_acts_under_the_key_of_the_step() -> None:
    provider = a_provider()
    plan = a_plan("event", MAIL, KNOWN)
    value = await value_of(plan, a_step(Stage(actions=provider), {"to": "a@example.org"}))
    assert value == {"message_id": "m-1"}
    (request,) = provider.requests
    assert (request.tenant, request.provider, request.action) == ("demo", "events-mail", "send")
    assert request.arguments == {"to": "a@example.org", "subject": "Hello"}
    assert request.idempotency_key == "run-1:step:1"


async def test_html_is_escaped_and_text_is_not() -> None:
    provider = a_provider()
    config = MAIL | {"subject": "Hi {{payload.name}}", "html": "<p>{{payload.name}}</p>"}
    payload = {"to": "a@example.org", "name": "<b>&"}
    await value_of(a_plan("event", config, KNOWN), a_step(Stage(actions=provider), payload))
    arguments = provider.requests[0].arguments
    assert arguments["subject"] == "Hi <b>&"
    assert arguments["html"] == "<p>&lt;b&gt;&amp;</p>"


async def test_a_world_without_providers_refuses() -> None:
    plan = a_plan("event", MAIL)
    with pytest.raises(PermanentError) as caught:
        await value_of(plan, a_step(Stage(actions=NoProviderActions()), {"to": "a@example.org"}))
    assert caught.value.reason == "action.off"


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        ({"provider": "events-male"}, "flow.unknown_provider", ("config", "provider")),
        ({"action": "sent"}, "flow.unknown_action", ("config", "action")),
        ({"subjct": "x"}, "flow.unknown_key", ("config", "subjct")),
        ({"to": None}, "flow.bad_value", ("config", "to")),
        ({"to": 5}, "flow.bad_value", ("config", "to")),
    ],
)
def test_the_doctor_knows_the_action(
    change: dict[str, Any], code: str, path: tuple[str, ...]
) -> None:
    config = {"provider": "events-mail", "action": "send", "to": "x", "subject": "y"} | change
    (finding,) = build_node("event", config, KNOWN).findings
    assert (finding.code, finding.path) == (code, path)


def test_a_missing_argument_is_named() -> None:
    config = {"provider": "events-mail", "action": "send", "to": "{{x}}"}
    (finding,) = build_node("event", config, KNOWN).findings
    assert finding.code == "flow.missing_key"
    assert "subject" in finding.message


async def test_its_record_is_shown_what_is_asked_of_the_provider() -> None:
    context = a_step(Stage(actions=a_provider()), {"to": "a@example.org"})
    await value_of(a_plan("event", MAIL, KNOWN), context)
    assert context.given == {**MAIL, "to": "a@example.org"}


async def test_nothing_is_shown_of_arguments_that_read_secrets() -> None:
    context = a_step(Stage(actions=a_provider(), secrets=MemorySecrets({("demo", "TO"): "x"})))
    await value_of(a_plan("event", MAIL | {"to": "{{secrets.TO}}"}, KNOWN), context)
    assert context.given is ABSENT
